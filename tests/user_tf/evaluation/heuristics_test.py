"""Rankings that learn nothing."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from user_tf.evaluation import evaluated_targets, heuristics, metrics


@pytest.fixture(name="example")
def _example():
    return evaluated_targets.from_table(evaluated_targets.example_table())


def ranks(example, name):
    return metrics.rank(heuristics.rankings(example, seed=1)[name], example.mask).tolist()


def test_the_original_order_keeps_every_list(example):
    assert ranks(example, "original order") == [[1, 2, 3], [1, 2, 0]]


def test_popularity_and_its_reverse_keep_ties_in_original_order(example):
    # Popularities 2, 2, 7 and 5, 9.
    assert ranks(example, "popularity") == [[2, 3, 1], [2, 1, 0]]
    assert ranks(example, "anti-popularity") == [[1, 2, 3], [1, 2, 0]]


def test_touched_documents_come_first_and_the_others_keep_their_order(example):
    # Last touches never, never, 10 and never, 40.
    assert ranks(example, "most recently touched") == [[2, 3, 1], [2, 1, 0]]


def test_without_the_original_order_touches_still_come_first_and_the_others_are_random(example):
    # The third of three was touched; over many targets the others share the places behind it.
    assert ranks(example, "touched, rest random")[1] == [2, 1, 0]
    found = []
    for seed in range(200):
        scores = heuristics.rankings(example, seed)["touched, rest random"]
        found.append(metrics.rank(scores, example.mask)[0])
    found = np.array(found)
    assert (found[:, 2] == 1).all()
    assert 0.4 < (found[:, 0] == 2).mean() < 0.6


def test_touches_a_microsecond_apart_are_told_apart():
    table = evaluated_targets.example_table()
    now = 1_800_000_000_000_000
    last_touch = pa.array([[now, now + 1], [now + 1, now, -1]], pa.list_(pa.int64()))
    table = table.set_column(table.schema.get_field_index("last_touch"), "last_touch", last_touch)
    assert ranks(evaluated_targets.from_table(table), "most recently touched") == [
        [1, 2, 3],
        [2, 1, 0],
    ]


def test_the_random_order_of_a_target_depends_on_seed_and_id_alone(table_of):
    whole = evaluated_targets.from_table(table_of(50))
    part = whole.take(np.arange(7, 20))
    np.testing.assert_array_equal(
        heuristics.random_order(part, 3), heuristics.random_order(whole, 3)[7:20]
    )
    assert (heuristics.random_order(whole, 3) != heuristics.random_order(whole, 4)).all()


def test_the_random_order_is_uniform(table_of):
    scores = heuristics.random_order(evaluated_targets.from_table(table_of(4000)), 1)
    assert scores.min() >= 0 and scores.max() < 1
    share = np.histogram(scores, 10, (0, 1))[0] / scores.size
    np.testing.assert_allclose(share, 0.1, atol=0.006)
    # Neither neighbors in a list nor neighboring targets go together.
    assert abs(np.corrcoef(scores[:, 0], scores[:, 1])[0, 1]) < 0.07
    assert abs(np.corrcoef(scores[1:, 0], scores[:-1, 0])[0, 1]) < 0.07


def truth_file(tmp_path, ids, lists):
    table = pa.table({"target_id": pa.array(ids, pa.int64()), "probability": lists})
    pq.write_table(table, tmp_path / "truth.parquet")
    return tmp_path / "truth.parquet"


def test_the_best_known_ranking_follows_the_truth(tmp_path, example):
    # The truth has other targets too, in any order.
    path = truth_file(tmp_path, [8, 5, 3], [[0.1, 0.4], [0.9], [0.2, 0.3, 0.1]])
    scores = heuristics.best_known(example, path)
    np.testing.assert_array_equal(scores, [[0.2, 0.3, 0.1], [0.1, 0.4, np.nan]])
    assert metrics.rank(scores, example.mask).tolist() == [[2, 1, 3], [2, 1, 0]]


def test_a_target_without_truth_is_named(tmp_path, example):
    path = truth_file(tmp_path, [3], [[0.2, 0.3, 0.1]])
    with pytest.raises(ValueError, match=r"`truth`.*without \[8\], 1 missing"):
        heuristics.best_known(example, path)


def test_a_truth_of_another_length_is_refused(tmp_path, example):
    path = truth_file(tmp_path, [8, 3], [[0.1, 0.4], [0.2, 0.3]])
    with pytest.raises(ValueError, match="target 3 with 3 candidates"):
        heuristics.best_known(example, path)


def test_the_order_of_untouched_documents_counts_for_the_auc():
    table = evaluated_targets.example_table()
    never = pa.array([[-1, -1], [-1, -1, -1]], pa.list_(pa.int64()))
    table = table.set_column(table.schema.get_field_index("last_touch"), "last_touch", never)
    rows = evaluated_targets.from_table(table)
    scores = heuristics.rankings(rows, seed=1)
    for name in ("original order", "most recently touched"):
        values = metrics.query_metrics(rows.labels, scores[name], rows.mask)
        assert values["auc_grouped"].tolist() == [0.5, 1.0], name
