"""A request that breaks a rule is refused by a message that names the argument."""

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.serving.served_requests import RECOMMENDATION, SEARCH, as_tensors, replace
from user_tf.serving.graph.request_checks import RequestCaps, check_request
from user_tf.serving.graph.rules import Rules
from user_tf.serving.request import Behavior, Opening, to_arrays

OPENED = (Opening(1, "shoe", "red hat"), Opening(3, "", "sock"))
REQUEST = replace(SEARCH, opened=OPENED)
CAPS = RequestCaps(max_history=6, max_candidates=7, max_text_bytes=40)


def arrays_with(**changes):
    arrays = to_arrays([REQUEST])
    return arrays | {name: np.array(value, arrays[name].dtype) for name, value in changes.items()}


@pytest.fixture(scope="module")
def check():
    """Return a compiled check of arrays with small caps, which returns arrays."""
    compiled = {}

    def run(arrays):
        tensors = as_tensors(arrays)
        if tuple(tensors) not in compiled:
            signature = {
                name: tf.TensorSpec([None] * len(value.shape), value.dtype)
                for name, value in tensors.items()
            }
            compiled[tuple(tensors)] = tf.function(
                lambda request: check_request(request, CAPS), input_signature=[signature]
            )
        return compiled[tuple(tensors)](tensors)

    return run


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": ["a", "b"]}, "`query` must have one row a request, as many as `user_id`. Got 2"),
        ({"session": []}, "`session` must have one row a request, as many as `user_id`. Got 0"),
        ({"candidates": [["a"] * 5] * 2}, "`candidates` must have one row a request.*Got 2"),
        (
            {"candidate_count": [6]},
            "`candidate_count` must be at most the number of columns.*Got 6",
        ),
        ({"candidate_count": [2**32 + 2]}, "`candidate_count` must be at most.*Got 4294967298"),
        ({"candidate_count": [0]}, "`candidate_count` must be at least 1. Got 0"),
        (
            {"candidate_count": [-(2**63)]},
            "`candidate_count` must be at least 1. Got -9223372036854",
        ),
        ({"history_count": [5]}, "`history_count` must be at most.*`history_session`.*Got 5"),
        ({"history_count": [-1]}, "`history_count` must be at least 0. Got -1"),
        ({"history_query": [["a", "b"]]}, "`history_count` must be.*`history_query` and.*Got 4"),
        ({"opened_count": [3]}, "`opened_count` must be at most.*`opened_session`.*Got 3"),
        ({"session": [0]}, "`session` must be at least 1. Got 0"),
        ({"session": [2]}, "`history_session` must be from 1 to `session`. Got 3"),
        ({"history_session": [[0, 1, 2, 3]]}, "`history_session` must be from 1 to.*Got 0"),
        ({"history_session": [[1, 2, 1, 3]]}, "`history_session` must not decrease. Got 1"),
        ({"history_session": [[3, 3, 2, 1]]}, "`history_session` must not decrease. Got 2"),
        ({"history_title_count": [[2, 0, 0, 1]]}, "must be 1 for a behavior without query. Got 0"),
        ({"history_title_count": [[2, 1, -1, 1]]}, "`history_title_count` must be from 0.*Got -1"),
        ({"history_title_count": [[2, 1, 9, 1]]}, "`history_title_count` must be from 0.*Got 9"),
        ({"history_title_count": [[2, 1, 2**62, 1]]}, "`history_title_count` must be from 0"),
        ({"history_title_count": [[2, 1, 2, 1]]}, "`history_title_count` must sum up.*Got 6"),
        ({"opened_session": [[4, 0]]}, "`opened_session` must be from 0 to `session`. Got 4"),
        ({"opened_session": [[-1, 0]]}, "`opened_session` must be from 0 to `session`. Got -1"),
        ({"opened_together": [[0, 2]]}, "`opened_together` must be 0 or 1. Got 2"),
        (
            {"query": ["x" * 41]},
            "`query` must hold texts of at most 40 bytes.*Got 41.*max_text_bytes",
        ),
        ({"user_id": ["ü" * 21]}, "`user_id` must hold texts of at most 40 bytes.*Got 42"),
        ({"opened_titles": [["x" * 41, ""]]}, "`opened_titles` must hold texts"),
        ({"candidates": [["x"] * 4 + ["y" * 50]]}, "`candidates` must hold texts.*Got 50"),
        ({"candidates": [["x"] * 8]}, "`candidate_count` must be at most 7.*max_candidates"),
    ],
)
def test_a_rule_that_is_broken_is_named(check, changes, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        check(arrays_with(**changes))


def test_a_long_history_is_refused_by_its_setting(check):
    for history, message in (
        ((Behavior(1, "a", ()),) * 7, "`history_count` must be at most 6.*max_history.*"),
        ((Behavior(1, "a", ("x", "y")),) * 4, "`history_title_count` must sum up to at most 6 for"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            check(to_arrays([replace(REQUEST, history=history)]))


def test_features_must_lie_beside_the_candidates(check):
    arrays = to_arrays([REQUEST], 2)
    check(arrays)
    for wrong in (arrays["features"][:, :1], np.repeat(arrays["features"], 2, axis=1)):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="`features` must have as many columns as `cand"
        ):
            check(arrays | {"features": wrong})


def test_a_task_has_a_name(check):
    arrays = {name: value for name, value in to_arrays([REQUEST]).items() if name != "query"}
    arrays = {name: value for name, value in arrays.items() if not name.startswith("candidate")}
    check(arrays | {"task": np.array(["search"], object)})
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`task` must be one of.*Got 6"):
        check(arrays | {"task": np.array(["browse"], object)})


def test_what_lies_beyond_the_counts_is_not_checked(check):
    arrays = to_arrays([REQUEST, replace(RECOMMENDATION, history=(), session=1)])
    arrays["history_session"][1] = [9, -1, 4, 0]
    arrays["history_title_count"][1] = 2**62
    arrays["history_titles"][1] = "x" * 99
    arrays["opened_session"][1] = 7
    arrays["opened_titles"][1] = "x" * 99
    arrays["opened_together"][1] = 7
    arrays["candidates"][1, 3:] = "x" * 99
    found = check(arrays)
    assert found["history_session"].shape == (2, 4)
    alone = {name: value[1:] for name, value in arrays.items()}
    assert check(alone)["history_titles"].shape == (1, 0)


def test_the_served_model_refuses_and_goes_on(served):
    good = to_arrays([SEARCH])
    expected = served["rank"](**as_tensors(good))["scores"].numpy()
    for changes, message in (
        ({"candidate_count": np.array([2**32 + 2])}, "`candidate_count` must be at most"),
        ({"session": np.array([0])}, "`session` must be at least 1"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            served["rank"](**as_tensors(good | changes))
    np.testing.assert_array_equal(served["rank"](**as_tensors(good))["scores"], expected)


@pytest.mark.parametrize("query", [" ", "!!!", "\u3000", "\n\t"])
def test_a_query_without_words_is_a_search_without_words(served, query):
    """As in preparation: only the empty query is a recommendation."""
    found = served["explain"](**as_tensors(to_arrays([replace(SEARCH, query=query)])))
    parts = found["contributions"].numpy()[0]
    assert np.isfinite(found["scores"]).all()
    assert np.ptp(parts[:, 4]) == 0, "KNRM has no word to match"
    other = served["rank"](**as_tensors(to_arrays([replace(SEARCH, query="")])))
    assert np.abs(other["scores"].numpy() - found["scores"].numpy()).max() > 1e-3


def test_the_first_broken_rule_is_named():
    rules = Rules()
    rules.need("a", "be 1", tf.constant([True]), tf.constant([1]), "x")
    rules.need("b", "be 2", tf.constant([True, False]), tf.constant([2, 3]), "y")
    rules.need_each(["c", "d"], "be 3", tf.constant([False, True]), tf.constant([4, 3]), "z")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`b` must be 2. Got 3. Fix: y."):
        rules.guard({})


def test_a_cap_must_be_positive():
    with pytest.raises(ValueError, match=r"`max_candidates` must be at least 1. Got 0"):
        RequestCaps(max_candidates=0)
