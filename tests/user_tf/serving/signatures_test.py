"""The served graph: signatures, scores, and every kind of emptiness."""

import dataclasses

import numpy as np
import tensorflow as tf

from tests.user_tf.serving.served_requests import (
    DTYPES,
    HISTORY,
    RECOMMENDATION,
    SEARCH,
    replace,
    scores,
    tensors,
)
from user_tf.serving.request import Behavior, Request
from user_tf.serving.signatures import SIGNATURES


def test_signatures_have_the_documented_names_and_dtypes(served):
    assert set(served) == {*SIGNATURES, "serving_default"}
    for name in ("rank", "rank_with_features", "serving_default"):
        signature, wide = served[name], name == "rank_with_features"
        expected = DTYPES | ({"features": (tf.float32, 3)} if wide else {})
        specs = signature.structured_input_signature[1]
        assert {key: (spec.dtype, spec.shape.rank) for key, spec in specs.items()} == expected
        outputs = {name: spec.dtype for name, spec in signature.structured_outputs.items()}
        assert outputs == {
            "scores": tf.float32,
            "known_user": tf.bool,
            "history_kept": tf.int32,
            "unknown_words": tf.float32,
        }


def test_a_saved_model_scores_as_the_models_do(served, graph, copies):
    requests = [SEARCH, RECOMMENDATION]
    batch = graph.batch(tensors(requests), tf.fill([2, 5, 2], np.nan))
    found = scores(served, *requests)
    for row, task in enumerate(("search", "recommendation")):
        expected = copies[task](batch).numpy()[row, : len(found[row])]
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


def test_row_subsets_change_no_score(graph, copies):
    """Texts of 1 to 6 tokens in three buckets, searches with and without clicks."""
    wide = dataclasses.replace(graph, row_subsets=True)
    requests = [SEARCH, replace(SEARCH, query="", candidates=("red hat sun rain shoe sock", ""))]
    arguments = tensors(requests), tf.fill([2, 5, 2], np.nan)
    batch = wide.add_row_subsets(wide.batch(*arguments))
    assert {"texts_upto_2", "texts_upto_6", "clicked_searches"} <= set(batch)
    for ranker in copies.values():
        expected = graph.score(ranker, *arguments)
        found = wide.score(ranker, *arguments)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, atol=1e-5)


def test_each_task_has_its_own_copy(served, graph, copies):
    found = scores(served, SEARCH)[0]
    other = graph.score(copies["recommendation"], tensors([SEARCH]), tf.fill([1, 5, 2], np.nan))
    assert np.abs(found - other["scores"].numpy()[0]).max() > 1e-2


def test_requests_of_both_tasks_may_come_in_any_order(served):
    first = scores(served, SEARCH, RECOMMENDATION, replace(SEARCH, query="sock"))
    second = scores(served, RECOMMENDATION, replace(SEARCH, query="sock"), SEARCH)
    for one, other in zip(first, [second[2], second[0], second[1]], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_every_kind_of_emptiness_gives_finite_scores(served):
    scores(
        served,
        replace(SEARCH, history=()),
        replace(RECOMMENDATION, history=()),
        replace(SEARCH, candidates=("", "")),
        replace(SEARCH, query="?!", history=(Behavior(3, "...", ("",)), Behavior(3, "", ("",)))),
        replace(SEARCH, query="zebra quagga", candidates=("okapi",)),
        Request("", "", 1, (), ("",)),
    )


def test_an_unknown_user_is_scored_as_no_user(served):
    unknown, nobody, known = scores(
        served,
        replace(RECOMMENDATION, user_id="carol"),
        replace(RECOMMENDATION, user_id=""),
        RECOMMENDATION,
    )
    np.testing.assert_allclose(unknown, nobody, atol=1e-6)
    assert np.abs(unknown - known).max() > 1e-4


def test_an_unknown_word_still_matches_itself(served):
    same, other = scores(served, replace(SEARCH, query="zebra", candidates=("zebra", "quagga")))[0]
    assert abs(same - other) > 1e-4


def test_what_a_server_watches(served):
    long = tuple(Behavior(number, "", ("sun",)) for number in (1, *[2] * 9, *range(3, 31)))
    requests = [
        replace(SEARCH, query="zebra hat", candidates=("red", "quagga")),
        replace(RECOMMENDATION, user_id="carol", history=long, session=30, candidates=("",)),
        replace(SEARCH, history=(), session=1, query="red"),
    ]
    found = served["rank"](**tensors(requests))
    assert found["known_user"].numpy().tolist() == [True, False, True]
    assert found["history_kept"].numpy().tolist() == [4, 21, 0]
    # Of the third: red, red hat, sock, zebra, big sun.
    np.testing.assert_allclose(found["unknown_words"], [2 / 4, 0, 1 / 7], atol=1e-6)


def test_history_and_clicked_titles_reach_the_scores(served):
    changed = replace(SEARCH, history=(Behavior(1, "shoe", ("rain", "red shoe")), *HISTORY[1:]))
    plain, reclicked, shorter = scores(
        served, SEARCH, changed, replace(SEARCH, history=HISTORY[1:])
    )
    assert np.abs(plain - reclicked).max() > 1e-5
    assert np.abs(plain - shorter).max() > 1e-5


def test_given_features_override_and_missing_ones_are_the_graphs(served, graph):
    raw = graph.features.compute(tensors([SEARCH])).numpy()[0]
    assert np.isnan(raw[:, 0]).all(), "without a snapshot nobody knows a document's clicks"
    mean, std = graph.tables.feature_mean, graph.tables.feature_std
    rows = tuple((float(mean[0]), float(value)) for value in raw[:, 1])
    missing = ((np.nan, np.nan),) * 5
    without = scores(served, SEARCH)[0]
    given, empty, changed, huge, largest = scores(
        served,
        replace(SEARCH, features=rows),
        replace(SEARCH, features=missing),
        replace(SEARCH, features=((3.0, np.nan), *missing[1:])),
        replace(SEARCH, features=((3e38, -np.inf), *missing[1:])),
        replace(SEARCH, features=((mean[0] + 100 * std[0], mean[1] - 100 * std[1]), *missing[1:])),
        features=2,
    )
    np.testing.assert_allclose(given, without, atol=1e-5)
    np.testing.assert_allclose(empty, without, atol=1e-5)
    assert abs(changed[0] - without[0]) > 1e-3
    np.testing.assert_allclose(changed[1:], without[1:], atol=1e-5)
    np.testing.assert_allclose(huge, largest, atol=1e-5)


def test_features_leave_recommendations_alone(served):
    rows = ((9.0, 9.0),) * 3
    np.testing.assert_allclose(
        scores(served, replace(RECOMMENDATION, features=rows), features=2)[0],
        scores(served, RECOMMENDATION)[0],
        atol=1e-5,
    )
