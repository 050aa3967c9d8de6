"""Tests of evaluating a run, with a stand-in for the trained model."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from data_pipeline.common.checksums import checksum
from data_pipeline.common.codes import Task
from data_pipeline.dataset.dataset_writer import DatasetWriter
from user_tf import config as config_lib
from user_tf import run_folder
from user_tf.api import evaluate_run, scoring
from user_tf.api.trained_run import Run


def table_of(queries):
    """targets.parquet of lists of 4, the relevant candidate second."""
    lists = pa.list_(pa.int64())
    return pa.table(
        {
            "target_id": pa.array(range(queries), pa.int64()),
            "split": ["test"] * queries,
            "task": pa.array([1 + n % 2 for n in range(queries)], pa.int8()),
            "user_id": [f"user-{n // 4}" for n in range(queries)],
            "query": ["", "a hat"] * (queries // 2),
            "labels": pa.array([[0, 1, 0, 0]] * queries, pa.list_(pa.int8())),
            "popularity": pa.array([[4, 3, 2, 1]] * queries, lists),
            "last_touch": pa.array([[-1, -1, -1, 7]] * queries, lists),
            "first_of_task": [n < 2 for n in range(queries)],
            "session_has_both": [True] * queries,
            "known_user": [n % 3 == 0 for n in range(queries)],
            "query_seen": [False] * queries,
            "past_behaviors": pa.array([3] * queries, pa.int32()),
            "pseudo": [False] * queries,
        }
    )


def write_dataset(path, table, words="red\n", **candidates):
    """Write the files of a dataset that an evaluation reads."""
    with DatasetWriter(path) as writer:
        pq.write_table(table, writer.folder / "targets.parquet")
        for name in ("text_tokens.npy", "documents.parquet", "users.parquet"):
            (writer.folder / name).touch()
        (writer.folder / "vocabulary.txt").write_text("\n" + words)
        lists = {"protocol": "shown"} | candidates
        settings = {"sequence": {}, "eval_candidates": lists, "text": {"tokenizer": "words"}}
        sizes = {"oov_buckets": 1, "text_length": 30}
        writer.finish({"settings": settings, "features": {}, "boundaries": {}, **sizes})


@pytest.fixture(name="run")
def _run(tmp_path, monkeypatch):
    """Make a finished run whose models put the relevant candidate first, and its dataset."""
    write_dataset(tmp_path / "dataset", table_of(24))
    config = config_lib.Config(
        run=str(tmp_path / "run"),
        data=config_lib.DataConfig(dataset=str(tmp_path / "dataset")),
        train=config_lib.TrainConfig(phases=("pretrain", "search")),
    )
    folder = run_folder.open_run(config)
    for phase in config.train.phases:
        (folder / phase).mkdir()
        (folder / phase / run_folder.BEST).touch()
    loaded = []

    def load_model(run, phase, dataset):
        loaded.append(phase)
        return (lambda batch: batch["scores"]), config, None

    def batches(dataset, scenario, split, settings, tasks):
        codes = [Task.from_label(task) for task in tasks]
        count = len(dataset.targets(["target_id"]))
        ids = np.array([n for n in range(count) if 1 + n % 2 in codes] + [-1])
        return [
            {
                "target_id": tf.constant(ids),
                "candidate_mask": tf.constant(np.tile(ids[:, None] >= 0, 4)),
                "scores": tf.constant([[0.0, 2.0, 1.0, 0.0]] * len(ids)),
            }
        ]

    monkeypatch.setattr(run_folder, "load_model", load_model)
    monkeypatch.setattr(scoring, "evaluation_batches", batches)
    return folder, loaded


def evaluate(folder, split="test", dataset="", truth="", samples=20):
    """Evaluate a run; return the content of the JSON and what is printed."""
    result = evaluate_run.evaluate_run(Run(folder), split, dataset, truth, samples, "command")
    return result.content, str(result)


def test_each_task_is_scored_by_its_phase_and_compared(run):
    folder, loaded = run
    content, printed = evaluate(folder)
    assert loaded == ["search", "pretrain"]
    assert json.loads((folder / "evaluation" / "test.json").read_text()) == content
    for task, phase in {"search": "search", "recommendation": "pretrain"}.items():
        found = content["tasks"][task]
        assert found["phase"] == phase and found["queries"] == 12
        assert found["rankings"]["user"]["metrics"]["mrr"] == 1
        assert found["rankings"]["original order"]["metrics"]["mrr"] == 1 / 2
        assert found["rankings"]["anti-popularity"]["metrics"]["mrr"] == 1 / 3  # rank 3 of 4
        # The touched last candidate goes before the relevant one.
        assert found["rankings"]["most recently touched"]["metrics"]["mrr"] == 1 / 3
        assert found["rankings"]["user"]["improvement"]["mrr"] == 100
    assert "search (test, shown lists, weights of search): 12 queries of 6 users" in printed
    assert "most recently touched" in printed and "unknown user" in printed


def test_the_query_file_has_one_row_a_query_of_a_task(run):
    folder, _ = run
    evaluate(folder)
    table = pq.read_table(folder / "evaluation" / "test-queries.parquet")
    assert sorted(table["target_id"].to_pylist()) == list(range(24))
    assert set(table["mrr"].to_pylist()) == {1.0}
    assert set(table["original order: mrr"].to_pylist()) == {0.5}


def test_an_evaluation_names_its_lists(run, tmp_path):
    folder, _ = run
    content, _ = evaluate(folder)
    lists = checksum(tmp_path / "dataset" / "targets.parquet")
    assert content["protocol"] == {"name": "shown", "sha256": lists}


def test_a_run_is_evaluated_on_the_lists_of_another_dataset_of_its_log(run, tmp_path):
    folder, _ = run
    evaluate(folder)
    other = tmp_path / "other"
    write_dataset(other, table_of(8), protocol="sampled", count=3, drawn_by="uniform")
    content, printed = evaluate(folder, dataset=str(other))
    assert content["tasks"]["search"]["queries"] == 4
    lists = checksum(other / "targets.parquet")
    assert content["protocol"] == {"name": "sampled-3-uniform", "sha256": lists}
    assert "search (test, sampled-3-uniform lists" in printed
    assert sorted(path.name for path in (folder / "evaluation").iterdir()) == [
        "test-queries.parquet",
        "test-sampled-3-uniform-queries.parquet",
        "test-sampled-3-uniform.json",
        "test.json",
    ]
    rows = pq.read_table(folder / "evaluation" / "test-sampled-3-uniform-queries.parquet")
    assert len(rows) == 8


def test_a_dataset_of_other_texts_is_refused(run, tmp_path):
    write_dataset(tmp_path / "other", table_of(24), words="blue\n")
    with pytest.raises(ValueError, match=r"`dataset`.*other', whose vocabulary\.txt"):
        evaluate(run[0], dataset=str(tmp_path / "other"))
    assert not (run[0] / "evaluation").exists()


def test_the_same_run_gives_the_same_numbers(run):
    folder, _ = run
    first, second = (evaluate(folder)[0] for _ in range(2))
    assert first["tasks"] == second["tasks"]


def test_with_truth_the_share_of_the_possible_gain_is_given(run, tmp_path):
    truth = tmp_path / "truth.parquet"
    # The best known ranking puts the relevant candidate first for half of the targets.
    lists = [[0.1, 0.8, 0.1, 0.1] if n % 4 < 2 else [0.8, 0.1, 0.1, 0.1] for n in range(24)]
    pq.write_table(pa.table({"target_id": range(24), "probability": lists}), truth)
    content, _ = evaluate(run[0], truth=str(truth))
    found = content["tasks"]["search"]["rankings"]
    assert found["best known"]["metrics"]["mrr"] == 0.75
    assert found["user"]["fraction_of_oracle_gain"]["mrr"] == 2
    with pytest.raises(FileNotFoundError, match=r"`truth`.*absent"):
        evaluate(run[0], truth="absent.parquet")


def test_a_phase_without_weights_is_named(run):
    folder, _ = run
    (folder / "search" / run_folder.BEST).unlink()
    with pytest.raises(FileNotFoundError, match=r"search.best\.weights\.h5.*resumes"):
        evaluate(folder)


def test_no_resampling_is_refused(run):
    with pytest.raises(ValueError, match=r"`samples` must be at least 1. Got 0. Fix:"):
        evaluate(run[0], samples=0)


def test_windows_that_lack_targets_are_refused(run, monkeypatch):
    monkeypatch.setattr(
        "user_tf.evaluation.evaluator.score_targets",
        lambda model, batches: (np.array([1]), np.zeros((1, 4))),
    )
    with pytest.raises(ValueError, match="1 of 12 search targets"):
        evaluate(run[0])


def test_flags_are_parsed_before_tensorflow_is_imported():
    code = "import sys, user_tf.evaluate; print('tensorflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--rum=x", "Unknown command line flag 'rum'"),
        ("--split=dev", "split"),
        ("x", "--name=value"),
        ("--served=x", "`served` must come with `log`"),
    ],
)
def test_wrong_flags_end_at_once(flag, message):
    command = [sys.executable, "-m", "user_tf.evaluate", "--run=absent", flag]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0 and message in result.stderr + result.stdout
