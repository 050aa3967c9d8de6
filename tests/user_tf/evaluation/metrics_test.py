"""Ranking metrics: hand-computed values, trec_eval, SciPy, TensorFlow Ranking, chance."""

import math

import numpy as np
import pytest
import pytrec_eval
import scipy.stats

from user_tf.evaluation import metrics
from user_tf.training.steps import tensorflow_ranking


def one(name, labels, scores, mask=None):
    labels, scores = np.array([labels]), np.array([scores], float)
    mask = np.ones(labels.shape, bool) if mask is None else np.array([mask])
    return metrics.query_metrics(labels, scores, mask)[name][0]


def random_lists(seed, queries=200, width=12, ties=False):
    """Lists of 2 to `width` candidates; every query has a relevant and an irrelevant one."""
    draw = np.random.default_rng(seed)
    mask = np.arange(width) < draw.integers(2, width + 1, queries)[:, None]
    labels = (draw.random(mask.shape) < 0.3).astype(int)
    labels[:, 0], labels[:, 1] = 1, 0
    scores = draw.integers(0, 4, mask.shape).astype(float) if ties else draw.normal(size=mask.shape)
    return labels * mask, scores, mask


def test_rank_puts_the_highest_score_first_and_keeps_ties_in_order():
    ranks = metrics.rank(np.array([[1.0, 5.0, 1.0, 5.0]]), np.ones((1, 4), bool))
    assert ranks.tolist() == [[3, 1, 4, 2]]


def test_rank_of_padding_is_0_wherever_it_stands():
    mask = np.array([[True, False, True]])
    assert metrics.rank(np.array([[1.0, np.nan, 2.0]]), mask).tolist() == [[2, 0, 1]]


def test_map_is_the_mean_precision_at_the_relevant_ranks():
    # Ranks of the relevant candidates: 1, 3.
    assert one("map", [1, 0, 1], [3, 2, 1]) == pytest.approx((1 / 1 + 2 / 3) / 2)
    # Ranks 2, 4.
    assert one("map", [0, 1, 0, 1], [4, 3, 2, 1]) == pytest.approx((1 / 2 + 2 / 4) / 2)


def test_mrr_takes_the_first_relevant_rank_and_mrr_all_the_mean():
    # Ranks 2, 3.
    assert one("mrr", [0, 1, 1], [3, 2, 1]) == pytest.approx(1 / 2)
    assert one("mrr_all", [0, 1, 1], [3, 2, 1]) == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_precision_at_1_asks_for_the_top_candidate_only():
    assert one("p_at_1", [0, 1, 1], [3, 2, 1]) == 0
    assert one("p_at_1", [0, 1, 1], [1, 2, 3]) == 1


def test_a_hit_is_a_relevant_candidate_among_the_first_k():
    labels, scores = [0, 0, 1, 0, 0, 0, 1], [7, 6, 5, 4, 3, 2, 1]  # ranks 3, 7
    assert [one(f"hr_at_{k}", labels, scores) for k in (1, 5, 10)] == [0, 1, 1]
    labels = [0] * 6 + [1]  # rank 7
    assert [one(f"hr_at_{k}", labels, scores) for k in (1, 5, 10)] == [0, 0, 1]
    labels = [0] * 10 + [1]  # rank 11
    assert [one(f"hr_at_{k}", labels, range(11, 0, -1)) for k in (1, 5, 10)] == [0, 0, 0]
    assert one("hr_at_1", [1, 0], [2, 1]) == 1


def test_average_click_position_is_the_mean_rank_of_the_relevant():
    # Scores 1 < 2 < 3 reverse the list: ranks of the relevant are 2 and 1.
    assert one("average_click_position", [0, 1, 1], [1, 2, 3]) == 1.5


def test_ndcg_discounts_by_rank_up_to_its_cutoff():
    labels, scores = [0, 0, 1, 0, 0, 1], [6, 5, 4, 3, 2, 1]  # ranks 3, 6
    ideal = 1 / math.log2(2) + 1 / math.log2(3)
    assert one("ndcg_at_5", labels, scores) == pytest.approx((1 / math.log2(4)) / ideal)
    both = 1 / math.log2(4) + 1 / math.log2(7)
    assert one("ndcg_at_10", labels, scores) == pytest.approx(both / ideal)


def test_ndcg_at_5_of_more_relevant_candidates_than_5_can_reach_1():
    assert one("ndcg_at_5", [1] * 7 + [0], range(8, 0, -1)) == pytest.approx(1.0)


def test_grouped_auc_counts_pairs_and_ties_half():
    # Pairs: the relevant (2) is above 1, below 3, tied with 2.
    assert one("auc_grouped", [1, 0, 0, 0], [2, 1, 3, 2]) == pytest.approx((1 + 0 + 0.5) / 3)


def test_pooled_auc_compares_across_queries():
    labels, mask = [[1, 0], [1, 0]], np.ones((2, 2), bool)
    scores = [[10.0, 9.0], [2.0, 1.0]]
    # Of 4 pairs only (relevant 2, irrelevant 9) is wrong; within queries all are right.
    assert metrics.pooled_auc(labels, scores, mask) == 3 / 4
    assert metrics.query_metrics(labels, scores, mask)["auc_grouped"].tolist() == [1, 1]


def test_all_tied_scores_give_the_original_order_and_an_auc_of_one_half():
    labels, mask = np.array([[0, 0, 1]]), np.ones((1, 3), bool)
    values = metrics.query_metrics(labels, np.zeros((1, 3)), mask)
    assert values["mrr"][0] == pytest.approx(1 / 3)
    assert values["auc_grouped"][0] == 0.5


def test_queries_without_a_choice_are_not_counted():
    labels = np.array([[0, 0], [1, 1], [1, 0], [1, 0]])
    mask = np.array([[1, 1], [1, 1], [1, 0], [1, 1]], bool)
    assert metrics.countable(labels, mask).tolist() == [False, False, False, True]
    values = metrics.query_metrics(labels, np.zeros((4, 2)), mask)
    for name in metrics.METRICS:
        assert np.isnan(values[name]).tolist() == [True, True, True, False], name
    assert metrics.pooled_auc(labels, [[9.0, 9.0], [1, 2], [5, 5], [2, 1]], mask) == 1


def test_padding_changes_nothing():
    labels, scores, mask = random_lists(1)
    wide = [np.pad(array, [(0, 0), (0, 4)]) for array in (labels, scores, mask)]
    # Padding is ignored, here with relevant labels and the highest scores.
    wide[0][~wide[2]], wide[1][~wide[2]] = 1, 1e9
    for name, values in metrics.query_metrics(labels, scores, mask).items():
        np.testing.assert_allclose(metrics.query_metrics(*wide)[name], values, 1e-14, err_msg=name)
    assert metrics.pooled_auc(*wide) == metrics.pooled_auc(labels, scores, mask)


def area(labels, scores):
    """Return the area under the curve from Mann and Whitney's U."""
    relevant, others = scores[labels > 0], scores[labels == 0]
    return scipy.stats.mannwhitneyu(relevant, others).statistic / (len(relevant) * len(others))


@pytest.mark.parametrize("ties", [False, True])
def test_values_are_those_of_trec_eval_and_scipy(ties):
    labels, scores, mask = random_lists(2, ties=ties)
    values = metrics.query_metrics(labels, scores, mask)
    names = {"map": "map", "mrr": "recip_rank", "p_at_1": "P_1"}
    names |= {f"ndcg_at_{k}": f"ndcg_cut_{k}" for k in (5, 10)}
    for q in range(len(labels)):
        y, s = labels[q][mask[q]], scores[q][mask[q]]
        assert values["auc_grouped"][q] == pytest.approx(area(y, s))
        # trec_eval has its own order of ties: it gets the stable ranks.
        ranks = metrics.rank(s[None], np.ones((1, len(s)), bool))[0]
        truth = {"q": {str(c): int(y[c]) for c in range(len(y))}}
        run = {"q": {str(c): -float(ranks[c]) for c in range(len(y))}}
        measures = {"map", "recip_rank", "P.1", "ndcg_cut.5,10"}
        expected = pytrec_eval.RelevanceEvaluator(truth, measures).evaluate(run)["q"]
        for name, theirs in names.items():
            assert values[name][q] == pytest.approx(expected[theirs]), name
    assert metrics.pooled_auc(labels, scores, mask) == pytest.approx(
        area(labels[mask], scores[mask])
    )


def test_values_are_those_of_tensorflow_ranking_where_nothing_is_tied():
    labels, scores, mask = random_lists(3)
    values = metrics.query_metrics(labels, scores, mask)
    tfr = tensorflow_ranking.import_module("keras.metrics")
    for name, metric in {
        "mrr": tfr.MRRMetric(),
        "map": tfr.MeanAveragePrecisionMetric(),
        "p_at_1": tfr.PrecisionMetric(topn=1),
        "ndcg_at_5": tfr.NDCGMetric(topn=5),
        "ndcg_at_10": tfr.NDCGMetric(topn=10),
    }.items():
        metric.update_state(np.where(mask, labels, -1).astype("float32"), scores.astype("float32"))
        assert values[name].mean() == pytest.approx(float(metric.result()), abs=1e-5), name


def test_random_scores_on_one_in_ten_lists_give_the_values_of_chance():
    queries = 40_000
    draw = np.random.default_rng(4)
    labels = np.zeros((queries, 10), int)
    labels[np.arange(queries), draw.integers(10, size=queries)] = 1
    mask = np.ones(labels.shape, bool)
    scores = draw.random(labels.shape)
    values = metrics.query_metrics(labels, scores, mask)
    for name, expected in {
        "map": sum(1 / k for k in range(1, 11)) / 10,  # .2929
        "p_at_1": 0.1,
        "average_click_position": 5.5,
        "auc_grouped": 0.5,
    }.items():
        error = values[name].std() / math.sqrt(queries)
        assert abs(values[name].mean() - expected) < 4 * error, name
    assert metrics.pooled_auc(labels, scores, mask) == pytest.approx(0.5, abs=0.006)
    # With one relevant candidate of ten these are the same by definition.
    np.testing.assert_array_equal(values["map"], values["mrr"])
    np.testing.assert_allclose(values["auc_grouped"], (10 - values["average_click_position"]) / 9)


def test_a_score_that_is_not_finite_is_refused():
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"finite.*Got.*row 0"):
            metrics.rank(np.array([[1.0, bad]]), np.ones((1, 2), bool))


def test_wrong_shapes_and_labels_are_refused():
    with pytest.raises(ValueError, match=r"one shape.*\(1, 2\) and \(1, 3\)"):
        metrics.rank(np.zeros((1, 2)), np.ones((1, 3), bool))
    with pytest.raises(ValueError, match=r"0 or 1.*\[0, 2\]"):
        one("map", [0, 2], [1, 2])


def test_no_queries_give_no_values():
    empty = np.zeros((0, 3))
    values = metrics.query_metrics(empty, empty, empty.astype(bool))
    assert {name: len(value) for name, value in values.items()} == dict.fromkeys(metrics.METRICS, 0)
    assert np.isnan(metrics.pooled_auc(empty, empty, empty.astype(bool)))
