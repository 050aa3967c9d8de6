"""The client over both transports, against a stand-in for the server: scores, errors, retries, masking."""

import concurrent.futures
import json
import urllib.request

import grpc
import numpy as np
import pytest

from data_pipeline.log.user_ids import key_fingerprint, mask_user
from tests.user_tf.serving.client.stand_in_server import ServerError, StandInServer, listening
from tests.user_tf.serving.served_requests import HISTORY, RECOMMENDATION, SEARCH, replace, tensors
from user_tf.serving.client.grpc_transport import GrpcTransport
from user_tf.serving.client.model_client import ModelClient, read_model_manifest
from user_tf.serving.client.rest_transport import RestTransport
from user_tf.serving.client.retries import PassingFailure, call_within
from user_tf.serving.request import RequestError, to_arrays

KEY = b"the key"
MANIFEST = {
    "tasks": ["recommendation", "search"],
    "features": ["document_clicks", "query_cosine"],
    "key_fingerprint": key_fingerprint(KEY),
}
LONG = tuple(sorted(HISTORY * 3, key=lambda behavior: behavior.session))
REQUESTS = (
    SEARCH,
    RECOMMENDATION,
    replace(SEARCH, history=()),
    replace(RECOMMENDATION, history=LONG, candidates=("rain", "hat", "sun", "sock")),
    replace(SEARCH, user_id="Zoë 用户", query='a "red" hat\n', candidates=("sock",)),
)


@pytest.fixture(scope="module")
def server(served):
    """Yield a server of versions 1 and 3, and its addresses."""
    stand_in = StandInServer({1: served, 3: served}, {"stable": 1, "canary": 3})
    with listening(stand_in) as addresses:
        yield stand_in, *addresses


@pytest.fixture(params=["rest", "grpc"])
def transport(request, server):
    """Return a function that makes a transport to the server."""
    _, rest, rpc = server
    if request.param == "rest":
        return lambda **where: RestTransport(rest, **where)
    return lambda **where: GrpcTransport(rpc, **where)


def client(transport, **changes):
    # The first call of a signature prepares its graph, which takes long on a busy machine.
    return ModelClient(transport, MANIFEST, **({"deadline_seconds": 600.0} | changes))


def alone(served, request, features=None):
    signature = served["rank" if features is None else "rank_with_features"]
    return signature(**tensors([request], features))["scores"].numpy()[0]


def test_a_client_gets_the_scores_of_the_model(transport, served):
    answers = client(transport()).rank(REQUESTS)
    for request, answer in zip(REQUESTS, answers, strict=True):
        np.testing.assert_allclose(answer.scores, alone(served, request), atol=1e-4)
        assert answer.ranking[0] == int(np.argmax(answer.scores))
    assert [answer.known_user for answer in answers] == [True, True, True, True, False]
    assert [answer.history_kept for answer in answers[:3]] == [4, 4, 0]


def test_features_travel_and_missing_ones_too(transport, served):
    request = replace(SEARCH, features=((1.5, np.nan), *((np.nan, np.nan),) * 4))
    [answer] = client(transport()).rank([request])
    np.testing.assert_allclose(answer.scores, alone(served, request, 2), atol=1e-4)
    assert abs(answer.scores[0] - alone(served, SEARCH)[0]) > 1e-3


def test_requests_that_a_server_lays_together_get_the_scores_they_get_alone(served):
    stand_in = StandInServer({1: served}, batch_seconds=1.0)
    with listening(stand_in) as (rest, rpc), concurrent.futures.ThreadPoolExecutor(8) as pool:
        clients = [client(RestTransport(rest)), client(GrpcTransport(rpc))]
        calls = [
            pool.submit(clients[number % 2].rank, [request])
            for number, request in enumerate(REQUESTS)
        ]
        answers = [call.result()[0] for call in calls]
    assert max(stand_in.batches) > 1
    for request, answer in zip(REQUESTS, answers, strict=True):
        assert len(answer.scores) == len(request.candidates)
        np.testing.assert_allclose(answer.scores, alone(served, request), atol=1e-4)


@pytest.mark.parametrize("shape", ["inputs", "instances"])
def test_an_empty_history_of_rest_may_be_an_empty_list(server, served, shape):
    arrays = to_arrays([REQUESTS[2]])
    empty = [name for name in arrays if name.startswith(("history_", "opened_"))]
    columns = {name: value.tolist() for name, value in arrays.items()}
    columns |= {name: [[]] for name in empty if not name.endswith("history_count")}
    columns |= {name: columns[name] for name in ("history_count", "opened_count")}
    columns |= {"history_count": [0], "opened_count": [0]}
    content = columns if shape == "inputs" else [{n: value[0] for n, value in columns.items()}]
    body = json.dumps({"signature_name": "rank", shape: content}).encode()
    address = f"{server[1]}/v1/models/user:predict"
    with urllib.request.urlopen(urllib.request.Request(address, body)) as response:
        answer = json.load(response)
    scores = (
        answer["outputs"]["scores"][0] if shape == "inputs" else answer["predictions"][0]["scores"]
    )
    np.testing.assert_allclose(scores, alone(served, REQUESTS[2]), atol=1e-4)


def test_a_version_is_named_by_number_or_label(transport, server):
    for where in ({"version": 3}, {"label": "canary"}, {"label": "stable"}, {}):
        assert client(transport(**where)).rank([SEARCH])
    for where in ({"version": 2}, {"label": "nightly"}, {"model": "other"}):
        with pytest.raises(LookupError, match=r"must name a model of the server.* Fix: "):
            client(transport(**where)).rank([SEARCH])


def test_what_the_model_refuses_is_refused_at_once(transport, server):
    stand_in, before = server[0], len(server[0].batches)
    arrays = to_arrays([SEARCH])
    del arrays["query"]
    with pytest.raises(RequestError, match=r"does not match signature.*query"):
        transport().predict("rank", arrays, 60.0)
    stand_in.failures = [
        ServerError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "assertion failed: [`session` must be at least 1.]\n\t [[{{node Assert}}]]",
        )
    ]
    with pytest.raises(RequestError, match=r"\A`session` must be at least 1\.\Z"):
        client(transport()).rank([SEARCH])
    assert len(stand_in.batches) == before


def test_a_passing_failure_is_tried_again(transport, server):
    busy = [ServerError(grpc.StatusCode.UNAVAILABLE, "queue full") for _ in range(2)]
    server[0].failures = list(busy)
    assert client(transport()).rank([SEARCH])
    server[0].failures = list(busy)
    with pytest.raises(PassingFailure, match="queue full"):
        client(transport(), attempts=2).rank([SEARCH])
    assert not server[0].failures


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "127.0.0.1:9"])
def test_a_server_that_is_not_there_is_a_failure_to_connect(address):
    made = RestTransport(address) if "http" in address else GrpcTransport(address)
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9"):
        client(made).rank([SEARCH])


def test_a_server_that_is_too_slow_is_left(transport, server):
    server[0].delay = 0.5
    try:
        with pytest.raises(TimeoutError, match="no answer"):
            client(transport(), deadline_seconds=0.05).rank([SEARCH])
    finally:
        server[0].delay = 0.0


def test_attempts_share_one_deadline():
    now, given = [0.0], []

    def fail(seconds):
        given.append(seconds)
        now[0] += 0.4
        raise PassingFailure("busy")

    with pytest.raises(TimeoutError, match=r"`deadline_seconds` must leave.*within 1\.000 s"):
        call_within(fail, 1.0, attempts=9, clock=lambda: now[0], sleep=lambda seconds: None)
    np.testing.assert_allclose(given, [1.0, 0.6, 0.2])


class Recording:
    """Keep what is sent; answer nothing but zeros."""

    def predict(self, signature, arrays, seconds):
        self.users = arrays["user_id"].tolist()
        rows, width = arrays["candidates"].shape
        outputs = {"known_user": np.zeros(rows, bool), "scores": np.zeros([rows, width])}
        return outputs | {name: np.zeros(rows) for name in ("history_kept", "unknown_words")}


def test_raw_ids_leave_the_process_masked():
    sent = Recording()
    requests = [replace(SEARCH, user_id=user) for user in ("alice", "", "Zoë 用户")]
    client(sent, key=KEY).rank(requests)
    assert sent.users == [mask_user(KEY, "alice"), "", mask_user(KEY, "Zoë 用户")]
    client(sent).rank(requests)
    assert sent.users == ["alice", "", "Zoë 用户"]


def test_another_key_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`key` must be the masking key.*fingerprint"):
        client(Recording(), key=b"another key")
    extra = tmp_path / "assets.extra"
    extra.mkdir()
    (extra / "export.json").write_text(json.dumps(MANIFEST | {"key_fingerprint": None}))
    for path in (tmp_path, extra / "export.json"):
        with pytest.raises(ValueError, match="`key` must be None for a model"):
            ModelClient(Recording(), read_model_manifest(path), KEY)


def test_a_model_of_one_task_and_scores_that_are_not_finite_are_refused():
    one = ModelClient(Recording(), MANIFEST | {"tasks": ["search"]})
    with pytest.raises(RequestError, match="trained for search only"):
        one.rank([RECOMMENDATION])

    class Broken(Recording):
        def predict(self, *arguments):
            outputs = super().predict(*arguments)
            return outputs | {"scores": np.full_like(outputs["scores"], np.nan)}

    with pytest.raises(RequestError, match=r"`scores` of a model must be finite.*roll back"):
        client(Broken()).rank([SEARCH])
