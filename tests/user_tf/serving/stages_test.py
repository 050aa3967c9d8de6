"""A state, documents by id and explanations: the scores of `rank`, in parts."""

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.features.feature_columns import FEATURES
from tests.user_tf.serving.conftest import DOCUMENTS
from tests.user_tf.serving.served_requests import (
    HISTORY,
    RECOMMENDATION,
    SEARCH,
    as_tensors,
    replace,
    tensors,
)
from tests.user_tf.serving.server_batching import lay_together
from user_tf.models.batch_ops import EncodedPast
from user_tf.serving.graph.distinct_texts import number_texts
from user_tf.serving.graph.request_features import RequestFeatures
from user_tf.serving.graph.user_state import StateLayout, UserState
from user_tf.serving.request import PADDING_SCORE, Behavior, Opening, to_arrays
from user_tf.serving.signatures import SIGNATURES

OPENED = (Opening(1, "shoe", "red hat"), Opening(0, "", "sock", True), Opening(3, "", "rain"))
REQUESTS = (
    SEARCH,
    RECOMMENDATION,
    replace(SEARCH, history=(), session=1, user_id="carol"),
    replace(RECOMMENDATION, opened=OPENED, candidates=("big quagga sun", "", "sock", "zebra")),
    replace(SEARCH, query="rain", opened=OPENED, candidates=("zebra", "red hat")),
    replace(SEARCH, query="shoe", history=(*HISTORY, Behavior(3, "shoe", ("sock",)))),
)
TARGET = ("query", "candidate_count", "candidates")


def arrays_of(name, request, **others):
    """Return the arrays of a signature for one request."""
    arrays = to_arrays([request])
    if name == "encode_user":
        others["task"] = np.array([request.task], object)
    if name == "rank_documents":
        ids = {title: document for document, title in DOCUMENTS.items()}
        found = [ids.get(title, "not here") for title in request.candidates]
        others["document_ids"] = np.array([found], object)
    wanted = SIGNATURES[name]
    return {key: value for key, value in arrays.items() if key in wanted} | others


def call(served, name, arrays):
    """Return the outputs of a signature as arrays."""
    found = served[name](**as_tensors(arrays))
    return {key: value.numpy() for key, value in found.items()}


@pytest.fixture(scope="module")
def ranked(served):
    return [call(served, "rank", arrays_of("rank", request)) for request in REQUESTS]


@pytest.fixture(scope="module")
def states(served):
    return [call(served, "encode_user", arrays_of("encode_user", one)) for one in REQUESTS]


@pytest.mark.parametrize("name", ["rank_with_state", "rank_documents"])
def test_a_state_gives_the_scores_of_rank(served, ranked, states, name):
    for request, expected, encoded in zip(REQUESTS, ranked, states, strict=True):
        found = call(served, name, arrays_of(name, request, state=encoded["state"]))
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
        for watched in ("known_user", "history_kept", "unknown_words"):
            np.testing.assert_allclose(found[watched], expected[watched], atol=1e-6)
        if name == "rank_documents":
            share = np.mean([title in DOCUMENTS.values() for title in request.candidates])
            np.testing.assert_allclose(found["known_documents"], [share], atol=1e-6)


@pytest.mark.parametrize("name", ["encode_user", "rank_with_state", "rank_documents"])
def test_a_batch_of_the_server_gives_what_its_requests_give_alone(served, states, name):
    others = [{"state": encoded["state"]} for encoded in states]
    if name == "encode_user":
        others = [{}] * len(REQUESTS)
    alone = [
        arrays_of(name, request, **other) for request, other in zip(REQUESTS, others, strict=True)
    ]
    together = call(served, name, lay_together(alone))
    for row, arrays in enumerate(alone):
        for key, value in call(served, name, arrays).items():
            found = together[key][row : row + 1]
            if key == "state":
                found = call(
                    served,
                    "rank_with_state",
                    arrays_of("rank_with_state", REQUESTS[row], state=found),
                )["scores"]
                value = call(
                    served,
                    "rank_with_state",
                    arrays_of("rank_with_state", REQUESTS[row], state=value),
                )["scores"]
            elif key == "scores":
                assert (found[:, value.shape[1] :] == PADDING_SCORE).all()
                found = found[:, : value.shape[1]]
            np.testing.assert_allclose(found, value, atol=1e-5)


def test_a_documents_title_is_not_read_where_its_id_is_known(served, states):
    arrays = arrays_of("rank_documents", SEARCH, state=states[0]["state"])
    before = call(served, "rank_documents", arrays)["scores"]
    titles = arrays["candidates"].copy()
    titles[arrays["document_ids"] != "not here"] = "rain"
    found = call(served, "rank_documents", arrays | {"candidates": titles})["scores"]
    np.testing.assert_array_equal(found, before)


def test_a_state_is_refused_by_another_query_export_or_content(served, states):
    state = states[0]["state"]

    def rank(changed, request=SEARCH):
        arrays = arrays_of("rank_with_state", request, state=changed)
        return call(served, "rank_with_state", arrays)["scores"]

    assert np.isfinite(rank(state)).all()
    other, changed, longer = state.copy(), state.copy(), state.copy()
    other[0, 0] ^= 1
    changed[0, 700] += 1
    longer[0, 4] = 2**30
    for wrong, message in (
        (other, r"`state` must be of this export.*encode_user"),
        (changed, "`state` must hold the numbers of encode_user, unchanged"),
        (longer, "`state` must hold the numbers of encode_user, unchanged"),
        (state[:, :-5], "`state` must hold the numbers of encode_user, unchanged"),
        (state[:, :3], "`state` must hold the numbers of encode_user, unchanged"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            rank(wrong)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"`state` must be a state of the task of the query.*Got 2",
    ):
        rank(state, RECOMMENDATION)


def test_an_explanation_adds_up_to_the_score(served, copies, ranked):
    for request, expected in zip(REQUESTS, ranked, strict=True):
        found = call(served, "explain", arrays_of("explain", request))
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
        parts = found["contributions"]
        assert parts.shape[2] == copies["search"].scorer.linear.kernel.shape[0]
        np.testing.assert_allclose(parts.sum(axis=2), expected["scores"], atol=1e-5)
        if not request.query:
            assert not parts[:, :, 4:].any(), "KNRM and F of a recommendation are 0"


def test_attention_is_that_of_the_model_behavior_by_behavior(served, graph, copies):
    arrays = arrays_of("explain", SEARCH)
    found = call(served, "explain", arrays)["attention"][0]
    batch = graph.batch(tensors([SEARCH]), tf.fill([1, 5, 2], np.nan))
    expected = copies["search"].attention(batch).numpy()[0]
    # Past sessions 1, 1, 2 lie in slots 0, 1 and 5; the current one follows 20 sessions of 5.
    np.testing.assert_allclose(found, expected[[0, 1, 5, 100]], atol=1e-6)
    assert found[3] == 1 and abs(found[:3].sum() - 1) < 1e-6


def test_a_behavior_that_is_not_kept_gets_no_attention(served):
    history = tuple(Behavior(1, "", (word,)) for word in ("red", *["sun"] * 5))
    request = replace(SEARCH, history=history, session=2)
    found = call(served, "explain", arrays_of("explain", request))["attention"][0]
    assert found[0] == 0 and (found[1:] > 0).all()


def test_f_of_a_state_is_that_of_the_request(graph):
    """All columns of F, of which the served model of these tests has two."""
    old = graph.features
    names = [feature.name for feature in FEATURES]
    features = RequestFeatures(names, old.vectors, old.encode, old.counts)
    layout = StateLayout(1, history=0, session=0, types=5, width=16, word_width=features.width)
    requests = tensors(REQUESTS)
    numbers = tf.zeros([len(REQUESTS)], tf.int32)
    past = EncodedPast(None, None, None, tf.zeros([len(REQUESTS), 5], tf.int32))
    state = UserState(numbers, numbers, past, features.remember(requests))
    memory = layout.unpack(layout.check({"state": layout.pack(state)})["state"]).memory
    mask = tf.sequence_mask(requests["candidate_count"], requests["candidates"].shape[1])
    titles = tf.where(mask, requests["candidates"], "")
    texts = number_texts({"query": requests["query"], "titles": titles}, features.encode)
    query, candidates = (features.read(texts).at(texts.rows[key]) for key in texts.rows)
    searched = tf.not_equal(requests["query"], "")
    found = features.compare(memory, searched, query, candidates, mask)
    expected = features.compute(requests).numpy()
    np.testing.assert_array_equal(found, expected)
    of_user = [names.index(name) for name in ("user_document_clicks", "query_repeated_by_user")]
    assert (expected[:, :, of_user].max(axis=(0, 1)) > 0).all()


def test_two_openings_of_a_state_are_counted(graph):
    request = replace(SEARCH, opened=(Opening(3, "red hat", "sock"),) * 2)
    memory = graph.features.remember(tensors([request]))
    assert memory.opened.numpy().tolist() == [[True, True, False, False]]
    once = graph.features.remember(tensors([replace(request, opened=request.opened[:1])]))
    assert once.opened.numpy().sum() == 1


def test_arguments_are_those_of_the_table(served):
    for name, specs in SIGNATURES.items():
        found = served[name].structured_input_signature[1]
        assert {key: (spec.dtype, spec.shape.rank) for key, spec in found.items()} == {
            key: (spec.dtype, spec.shape.rank) for key, spec in specs.items()
        }
    assert set(TARGET) <= set(SIGNATURES["rank_with_state"])
