"""Tests of ranking from Python, with a stand-in for the SavedModel."""

import types

import numpy as np
import pytest
import tensorflow as tf

import user_tf
from user_tf.serving import saved_ranker
from user_tf.serving.request import RequestError, to_arrays


class Signature:
    """Score a candidate by the length of its title; keep what was asked."""

    def __init__(self, features=0):
        self.structured_input_signature = (
            (),
            dict.fromkeys(to_arrays([])) | {"features": tf.TensorSpec([None, None, features])},
        )

    def __call__(self, **tensors):
        self.asked = {name: value.numpy().tolist() for name, value in tensors.items()}
        return {"scores": tf.strings.length(tensors["candidates"])}


@pytest.fixture(name="ranker")
def _ranker(tmp_path, monkeypatch):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    signatures = {"rank": Signature(), "rank_with_features": Signature(2)}
    monkeypatch.setattr(
        saved_ranker, "load", lambda version: types.SimpleNamespace(signatures=signatures)
    )
    return user_tf.load_served(tmp_path), signatures


def test_candidates_come_best_first_with_scores_and_positions(ranker):
    ranked = ranker[0].rank(["hat", "shoes", "cap", "trail"], user_id="u", query="shoes")
    assert [tuple(candidate) for candidate in ranked] == [
        ("shoes", 5, 1),
        ("trail", 5, 3),
        ("hat", 3, 0),
        ("cap", 3, 2),
    ]


def test_behaviors_and_mappings_are_the_same_history(ranker):
    ranker, signatures = ranker
    behaviors = [
        user_tf.Search("boots", ["Snow boots"], session=1),
        user_tf.Browse("How to run", session=2),
    ]
    asked = []
    mappings = [
        {"query": "boots", "clicked": ["Snow boots"], "session": 1},
        {"title": "How to run", "session": 2},
    ]
    for history in (behaviors, mappings):
        ranker.rank(["a"], history=history)
        asked.append(signatures["rank"].asked)
    assert asked[0] == asked[1]
    assert asked[0]["history_session"] == [[1, 2]]
    assert asked[0]["history_query"] == [[b"boots", b""]]
    assert asked[0]["history_title_count"] == [[1, 1]]
    assert asked[0]["history_titles"] == [[b"Snow boots", b"How to run"]]


@pytest.mark.parametrize(
    ("arguments", "session"),
    [
        ({}, 1),
        ({"history": [user_tf.Browse("a", session=4)]}, 4),
        ({"history": [user_tf.Browse("a", session=4)], "session": 5}, 5),
        ({"history": [user_tf.Browse("a", time=0)], "time": 1900}, 2),
        ({"history": [user_tf.Browse("a", time=0)], "time": 1700}, 1),
    ],
)
def test_the_current_session_is_the_last_one_unless_given_or_cut_by_time(
    ranker, arguments, session
):
    ranker, signatures = ranker
    ranker.rank(["a"], **arguments)
    assert signatures["rank"].asked["session"] == [session]


def test_features_use_the_signature_with_features(ranker):
    ranker, signatures = ranker
    ranker.rank(["a", "b"], query="q", features=[[1, None], [2.0, 3.0]])
    np.testing.assert_array_equal(
        signatures["rank_with_features"].asked["features"], [[[1, np.nan], [2, 3]]]
    )
    with pytest.raises(RequestError, match=r"`features` must hold 2 values.*Got 1"):
        ranker.rank(["a"], query="q", features=[[1]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"candidates": []}, "`candidates`"),
        ({"candidates": ["a"], "history": [{"session": 1}]}, r"history\[0\]"),
        ({"candidates": ["a"], "history": [{"time": 1, "title": "b"}]}, "`session`"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(ranker, arguments, message):
    with pytest.raises(RequestError, match=message):
        ranker[0].rank(**arguments)


def test_a_model_of_one_task_refuses_the_other(ranker):
    ranker[0].manifest = {"tasks": ["search"]}
    with pytest.raises(RequestError, match="trained for search only"):
        ranker[0].rank(["a"])
