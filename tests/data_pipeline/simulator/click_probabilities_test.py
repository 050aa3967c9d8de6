"""Tests of the latent truth of a written log."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.simulator.click_probabilities import Truth, write_truth_of
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SimulateSettings


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "log"
    write_simulated_log(SimulateSettings(output=str(folder), users=700))
    return folder


def _targets(log):
    """All logged lists as targets, with their labels."""
    requests = pq.read_table(log / "requests.parquet")
    results = requests["results"].combine_chunks()
    flat = results.flatten()
    dwell = flat.field("dwell_seconds").fill_null(0.0).to_numpy(zero_copy_only=False)
    queries = np.array(requests["query"].to_pylist())
    targets = pa.table(
        {
            "target_id": np.arange(requests.num_rows),
            "user_id": requests["user_id"],
            "time": requests["time"].cast(pa.int64()),
            "task": pa.array(np.where(queries == "", 1, 2), pa.int8()),
            "candidates": pa.ListArray.from_arrays(results.offsets, flat.field("doc_id")),
            "pseudo": np.zeros(requests.num_rows, bool),
        }
    )
    return targets, (dwell > 30).reshape(requests.num_rows, -1)


@pytest.fixture(scope="module")
def stated(log):
    targets, labels = _targets(log)
    chances = Truth(log).probabilities(targets).flatten().to_numpy().reshape(labels.shape)
    return targets, labels, chances


def _mean_average_precision(scores, labels):
    rows = labels.any(axis=1)
    order = np.argsort(-scores[rows], axis=1, kind="stable")
    found = np.take_along_axis(labels[rows], order, axis=1)
    precision = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
    return ((precision * found).sum(axis=1) / found.sum(axis=1)).mean()


def test_clicks_of_the_log_are_as_frequent_as_the_truth_states(stated):
    _, labels, chances = stated
    bins = np.digitize(chances, [0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6])
    for number in range(8):
        at = bins == number
        deviation = np.sqrt((chances[at] * (1 - chances[at])).sum())
        assert abs(labels[at].sum() - chances[at].sum()) < 4 * deviation + 1
    assert np.bincount(bins.ravel(), minlength=8).min() > 100


@pytest.mark.parametrize("task", [1, 2])
def test_the_truth_ranks_far_above_every_simple_ranking(log, stated, task):
    targets, labels, chances = stated
    rows = targets["task"].to_numpy() == task
    labels, chances = labels[rows], chances[rows]
    documents = targets["candidates"].combine_chunks().flatten()
    clicks = dict.fromkeys(set(documents.to_pylist()), 0)
    popular = documents.to_numpy(zero_copy_only=False).reshape(len(rows), -1)
    for name in popular[stated[1]].tolist():
        clicks[name] += 1
    popularity = np.vectorize(clicks.get)(popular[rows])
    best = _mean_average_precision(chances, labels)
    simple = {
        "original": -np.broadcast_to(np.arange(10.0), labels.shape),
        "random": np.random.default_rng(1).random(labels.shape),
        "reverse": np.broadcast_to(np.arange(10.0), labels.shape),
        "popularity": popularity,
    }
    for scores in simple.values():
        assert _mean_average_precision(scores, labels) < best - 0.15
    # Also in expected clicks: no order puts more of them first.
    assert chances.max(axis=1).mean() > 1.5 * chances[:, 0].mean()


def test_position_plays_no_role_in_lists_that_were_never_shown(log, stated):
    targets, _, chances = stated
    pseudo = targets.set_column(
        targets.column_names.index("pseudo"), "pseudo", [np.ones(targets.num_rows, bool)]
    )
    bare = Truth(log).probabilities(pseudo).flatten().to_numpy().reshape(chances.shape)
    np.testing.assert_allclose(chances, bare * np.arange(1, 11) ** -0.5, rtol=1e-12)


def test_any_document_may_be_a_candidate_and_lists_may_differ_in_length(log, stated):
    targets = stated[0].slice(0, 2)
    names = [["d0000001", "d0007199"], ["d0000001", "d0000002", "d0007000"]]
    targets = targets.set_column(
        targets.column_names.index("candidates"), "candidates", [pa.array(names)]
    )
    found = Truth(log).probabilities(targets).to_pylist()
    assert [len(row) for row in found] == [2, 3]
    assert all(0 <= value <= 1 for row in found for value in row)


def test_the_file_of_a_dataset_is_aligned_with_its_targets(log, stated, tmp_path):
    targets, _, chances = stated
    order = np.random.default_rng(3).permutation(targets.num_rows)
    pq.write_table(targets.take(pa.array(order)), tmp_path / "targets.parquet")
    count = write_truth_of(log, tmp_path, tmp_path / "truth.parquet")
    written = pq.read_table(tmp_path / "truth.parquet")
    assert count == targets.num_rows
    assert written.column_names == ["target_id", "probability"]
    np.testing.assert_array_equal(written["target_id"].to_numpy(), order)
    found = written["probability"].combine_chunks().flatten().to_numpy().reshape(chances.shape)
    np.testing.assert_array_equal(found, chances[order])


def test_targets_and_documents_of_another_log_are_refused(log, stated, tmp_path):
    targets = stated[0].slice(0, 1)
    moved = targets.set_column(2, "time", [pa.array([5])])
    with pytest.raises(ValueError, match=r"request of the simulated log\. Got task .* at 5 us"):
        Truth(log).probabilities(moved)
    strange = targets.set_column(4, "candidates", [pa.array([["x9"]])])
    with pytest.raises(ValueError, match=r"documents of the simulated log\. Got 'x9'"):
        Truth(log).probabilities(strange)
    with pytest.raises(FileNotFoundError, match="simulated log with its truth"):
        Truth(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must hold targets\.parquet"):
        write_truth_of(log, tmp_path, tmp_path / "truth.parquet")


def test_articles_read_have_their_truth_too(tmp_path):
    log = tmp_path / "log"
    write_simulated_log(SimulateSettings(output=str(log), users=30, shape="browses"))
    read = pq.read_table(log / "browses.parquet")
    targets = pa.table(
        {
            "target_id": np.arange(read.num_rows),
            "user_id": read["user_id"],
            "time": read["time"].cast(pa.int64()),
            "task": pa.array(np.ones(read.num_rows), pa.int8()),
            "candidates": [[name, "d0000001"] for name in read["doc_id"].to_pylist()],
            "pseudo": np.ones(read.num_rows, bool),
        }
    )
    chances = np.array(Truth(log).probabilities(targets).to_pylist())
    assert (chances[:, 0] > chances[:, 1]).mean() > 0.9
