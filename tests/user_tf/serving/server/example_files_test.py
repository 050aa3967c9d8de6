"""The files beside a served model: warm-up, bodies for curl, expected scores, the card."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tests.user_tf.serving.served_requests import SEARCH, replace
from user_tf.serving.example_requests import made_up, write_server_files
from user_tf.serving.request import to_arrays
from user_tf.serving.server.model_card import CARD, SERVED, write_card
from user_tf.serving.signatures import SIGNATURES

MANIFEST = {
    "tasks": ["recommendation", "search"],
    "signatures": ["rank", "rank_with_features", "encode_user", "rank_documents"],
    "features": ["document_clicks", "query_cosine"],
}
EXAMPLE = replace(SEARCH, features=((0.0, 1.0),) * 5)


def answer(signature, arrays):
    """Return the length of each title as its score, or the task's length as the state."""
    assert set(arrays) == set(SIGNATURES[signature])
    if signature == "encode_user":
        return {"state": tf.constant([[len(arrays["task"][0])]])}
    return {"scores": tf.strings.length(tf.constant(arrays["candidates"].tolist()))}


@pytest.fixture(scope="module")
def extra(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extra")
    write_server_files(folder, EXAMPLE, MANIFEST, answer)
    return folder


def test_there_is_a_warm_up_request_for_every_signature_and_task(extra):
    asked = {}
    for record in tf.data.TFRecordDataset(str(extra / "tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "user"
        values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        assert set(values) == set(SIGNATURES[request.model_spec.signature_name])
        asked.setdefault(request.model_spec.signature_name, []).append(values)
    assert sorted(asked) == sorted(MANIFEST["signatures"])
    for signature in ("rank", "rank_with_features", "rank_documents"):
        assert [values["query"][0] for values in asked[signature]] == [b"", b"red hat"]
    assert [values["task"][0] for values in asked["encode_user"]] == [b"recommendation", b"search"]
    assert [values["state"].tolist() for values in asked["rank_documents"]] == [[[14]], [[6]]]
    wide = asked["rank_with_features"][0]["features"]
    assert wide.shape == (1, 5, 2) and np.isnan(wide).all()


def test_a_model_of_one_task_is_warmed_by_that_task(tmp_path):
    manifest = MANIFEST | {"tasks": ["search"], "signatures": ["rank"], "features": []}
    recommendation = made_up(["", "hat", "sun"])
    write_server_files(tmp_path, replace(recommendation, query=""), manifest, answer)
    (record,) = tf.data.TFRecordDataset(str(tmp_path / "tf_serving_warmup_requests"))
    request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    assert tf.make_ndarray(request.inputs["query"]).tolist() == [b"hat"]


def test_both_bodies_hold_the_example(extra):
    body = json.loads((extra / "example_rest.json").read_text("utf-8"))
    assert body["signature_name"] == "rank"
    arrays = to_arrays([SEARCH])
    assert body["inputs"] == {name: value.tolist() for name, value in arrays.items()}
    framed = (extra / "example_grpc.bin").read_bytes()
    assert framed[0] == 0 and int.from_bytes(framed[1:5], "big") == len(framed) - 5
    inputs = predict_pb2.PredictRequest.FromString(framed[5:]).inputs
    for name, value in arrays.items():
        found = tf.make_ndarray(inputs[name]).tolist()
        texts = np.vectorize(str.encode, otypes=[object])
        assert found == (texts(value) if value.dtype == object else value).tolist()


def test_the_expected_scores_are_those_of_rank(extra):
    expected = json.loads((extra / "expected_scores.json").read_text())
    assert expected["signature"] == "rank" and expected["scores"] == [7, 4, 0, 5, 7]


CARD_MANIFEST = MANIFEST | {
    "command": "the command",
    "run": "RUN",
    "phases": {"search": "search", "recommendation": "pretrain"},
    "dataset": "DATASET",
    "dataset_manifest_sha256": "0123",
    "key_fingerprint": "14cce1747682e9ca",
    "tensorflow": "2.21.0",
    "keras": "3.15.1",
    "scenario": "unified",
    "limits": {"session_behaviors": 5},
    "counts": None,
    "session_minutes": 30.0,
    "known_users": 7,
    "data": {
        "logs": [
            {
                "source": "mind",
                "masked": True,
                "report": {
                    "first_time": "2024-01-01T00:00:00Z",
                    "last_time": "2024-01-02T00:00:00Z",
                    "users": 2000,
                    "searches": 3,
                    "recommendations": 4,
                },
            }
        ],
        "boundaries": {"test": 1_706_238_780_838_813, "train": 0},
        "statistics": {
            split: {"users": 1, "search_targets": 1234, "recommendation_targets": 5}
            for split in ("train", "validation", "test")
        },
    },
}


def test_the_card_says_what_the_model_is_and_lists_its_files(tmp_path):
    extra = tmp_path / "assets.extra"
    extra.mkdir()
    (tmp_path / "saved_model.pb").write_text("")
    write_card(tmp_path, extra, CARD_MANIFEST)
    card = (extra / CARD).read_text("utf-8")
    for part in (
        "## Use",
        "## Limits",
        "Not measured: run",
        "masked, key fingerprint 14cce1747682e9ca",
        "mind, 2024-01-01T00:00:00Z to",
        "2,000 users",
        "Begin of test: 2024-01-26T03:13:00 UTC",
        "Targets of test: 1,234 searches",
        "`saved_model.pb` | 0 | e3b0c44298fc",
        "recommendation: pretrain",
    ):
        assert part in card, part
    metrics = {"map": 0.5, "mrr": 0.25, "ndcg_at_10": None}
    served = {"served": metrics | {"queries": 1234}, "evaluation": metrics}
    content = {"date": "2024-02-03T00:00:00", "tasks": {"search": served}}
    (extra / SERVED).write_text(json.dumps(content))
    write_card(tmp_path, extra, CARD_MANIFEST | {"key_fingerprint": None})
    card = (extra / CARD).read_text("utf-8")
    assert "| search | served | 1,234 | 0.5000 | 0.2500 | - |" in card and "2024-02-03" in card
    assert "Not measured" not in card and "* User ids: masked\n" in card
    assert f"/{CARD}" not in card
