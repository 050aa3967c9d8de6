"""The evaluator: from scores keyed by target to summaries and the query table."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from data_pipeline.common.codes import Task
from user_tf.evaluation import evaluated_targets, evaluator, metrics, slices


@pytest.fixture(name="rows")
def _rows(table_of):
    return evaluated_targets.from_table(table_of(60))


def scores_of(rows, seed=1):
    return np.random.default_rng(seed).normal(size=rows.mask.shape)


def test_a_summary_holds_the_means_of_its_task_and_what_was_left_out(rows):
    scores = scores_of(rows)
    summary = evaluator.evaluate(rows, rows.target_id, scores).summary()
    assert list(summary) == ["search", "recommendation"]
    for task, code in (("search", 2), ("recommendation", 1)):
        of_task = rows.task == code
        counted = of_task & metrics.countable(rows.labels, rows.mask)
        assert summary[task]["queries"] == counted.sum() > 0
        assert summary[task]["left_out"] == (of_task & ~counted).sum() > 0
        values = metrics.query_metrics(rows.labels, scores, rows.mask)
        for name in metrics.METRICS:
            assert summary[task][name] == pytest.approx(values[name][counted].mean()), name
        pooled = metrics.pooled_auc(rows.labels[counted], scores[counted], rows.mask[counted])
        assert summary[task]["auc_pooled"] == pooled


def test_the_order_of_scores_does_not_matter(rows):
    scores = scores_of(rows)
    order = np.random.default_rng(2).permutation(len(rows))
    shuffled = evaluator.evaluate(rows, rows.target_id[order], scores[order])
    assert shuffled.table().equals(evaluator.evaluate(rows, rows.target_id, scores).table())


def test_only_scored_targets_are_evaluated(rows):
    part = evaluator.evaluate(rows, rows.target_id[5:9], scores_of(rows)[5:9])
    assert part.targets.target_id.tolist() == rows.target_id[5:9].tolist()


def test_a_task_without_a_countable_query_has_no_mean(rows):
    row = np.flatnonzero(~metrics.countable(rows.labels, rows.mask))[:1]
    result = evaluator.evaluate(rows, rows.target_id[row], scores_of(rows)[row])
    (summary,) = result.summary().values()
    assert summary["queries"] == 0 and summary["left_out"] == 1
    assert summary["map"] is None and summary["auc_pooled"] is None


def test_the_query_table_has_one_row_a_query_with_slices_and_metrics(rows):
    table = evaluator.evaluate(rows, rows.target_id, scores_of(rows)).table()
    assert table["target_id"].to_pylist() == rows.target_id.tolist()
    assert set(table["task"].to_pylist()) == {"search", "recommendation"}
    assert table["past_behaviors"].to_pylist() == rows.slices["past_behaviors"].tolist()
    for name in metrics.METRICS:
        assert table[name].is_null().to_pylist() == [not x for x in table["counted"].to_pylist()]
    assert table.schema.field("map").type == pa.float64()


def test_slices_are_the_queries_they_say(rows):
    result = evaluator.evaluate(rows, rows.target_id, scores_of(rows))
    found = slices.summarize(result, "search")
    search = rows.task == Task.SEARCH
    unknown = result.summarize(search & ~rows.slices["known_user"].astype(bool))
    assert found["unknown user"] == unknown
    first = result.summarize(search & rows.slices["first_of_task"].astype(bool))
    assert found["first of the user"] == first
    both = result.summarize(search & rows.slices["session_has_both"].astype(bool))
    assert found["session with both behaviors"] == both


def test_an_empty_slice_is_left_out(rows):
    rows.slices["pseudo"][:] = False
    result = evaluator.evaluate(rows, rows.target_id, scores_of(rows))
    assert "pseudo-negatives" not in slices.summarize(result, "search")


def batch(ids, width, seed=0):
    draw = np.random.default_rng(seed)
    mask = np.arange(width) < draw.integers(1, width + 1, len(ids))[:, None]
    mask &= np.array(ids)[:, None] >= 0
    return {
        "target_id": tf.constant(ids, tf.int64),
        "candidate_mask": tf.constant(mask),
        "value": tf.constant(draw.normal(size=mask.shape), tf.float32),
    }


def test_padding_rows_and_padded_candidates_get_no_score():
    batches = [batch([4, -1], 3), batch([-1, -1], 3), batch([9, 2, -1], 5)]
    ids, scores = evaluator.score_targets(lambda batch: batch["value"], batches)
    assert ids.tolist() == [4, 9, 2]
    assert scores.shape == (3, 5)
    mask = np.zeros((3, 5), bool)
    mask[0, :3] = batches[0]["candidate_mask"][0]
    mask[1:] = batches[2]["candidate_mask"][:2]
    np.testing.assert_array_equal(~np.isnan(scores), mask)
    np.testing.assert_array_equal(scores[1:][mask[1:]], batches[2]["value"][:2].numpy()[mask[1:]])


def test_no_batch_gives_no_score():
    ids, scores = evaluator.score_targets(lambda batch: batch["value"], [])
    assert ids.shape == (0,) and scores.shape == (0, 0)


def test_a_model_runs_compiled_once_a_shape_and_not_in_training():
    traces = []

    class Doubler(tf.keras.Model):
        def call(self, batch, training=None):
            traces.append(training)
            return 2.0 * batch["value"]

    batches = [batch([1, 2], 3, seed=n) for n in range(4)]
    forward = evaluator.compiled_forward(Doubler())
    _, scores = evaluator.score_targets(forward, batches)
    _, again = evaluator.score_targets(forward, batches)
    np.testing.assert_array_equal(scores, again)
    assert set(traces) == {False}
    # Building a Keras model may call it once more.
    assert len(traces) <= 2
    mask = batches[3]["candidate_mask"].numpy()
    expected = 2 * batches[3]["value"].numpy()[mask]
    np.testing.assert_allclose(scores[-2:][mask], expected)


def test_a_model_is_taken_as_it_is():
    class Doubler(tf.keras.Model):
        def call(self, batch, training=None):
            return 2.0 * batch["value"]

    _, scores = evaluator.score_targets(Doubler(), [batch([1], 3)])
    direct = 2 * batch([1], 3)["value"].numpy()[0]
    assert scores[0, 0] == direct[0]
