"""The real command on a dataset written in a moment: two systems, one of which cannot begin."""

import json
import os
import pathlib
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tests.user_tf.training import tiny_dataset
from user_tf.config import Config

ROOT = pathlib.Path(__file__).parents[2]
COMMON = """
--model.width=8
--model.num_heads=2
--model.key_dim=4
--model.intermediate_dim=8
--nomodel.session_encoder
--nomodel.history_encoder
--data.batch.windows_per_batch=4
--train.pretrain_epochs=1
--train.finetune_epochs=1
--noruntime.tensorboard
"""
SYSTEMS = {
    "whole": "--undefok=label\n--label=Whole\n--train.phases=pretrain\n",
    "single": "--train.phases=search\n",
}


def call(*flags):
    return subprocess.run(
        [sys.executable, "-m", "user_tf.experiment", *flags],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )


@pytest.fixture(name="work", scope="module")
def _work(tmp_path_factory):
    """The grid run twice, with a system that cannot begin; folder of runs, flags, both calls."""
    work = tmp_path_factory.mktemp("grid")
    tiny_dataset.write(work / "dataset")
    for name, flags in {"common": COMMON, **SYSTEMS}.items():
        (work / f"{name}.flags").write_text(flags)
    flags = [
        "--title=Tiny",
        f"--dataset={work}/dataset",
        f"--common={work}/common.flags",
        f"--folder={work}",
        "--systems=single,whole",
        f"--runs={work}/runs",
        "--parallel=1",
    ]
    # This folder belongs to a run of other settings, which user_tf.train refuses.
    (work / "runs" / "single" / "seed1").mkdir(parents=True)
    Config().save(work / "runs" / "single" / "seed1")
    first = call(*flags)
    stamps = {path: path.stat().st_mtime_ns for path in (work / "runs" / "whole").rglob("*")}
    return work / "runs", flags, first, stamps, call(*flags)


def test_a_run_that_fails_is_told_and_the_other_finishes(work):
    folder, _, first, _, _ = work
    assert first.returncode == 1
    assert "1 of 2 runs failed: single/seed1. Rerun the same command to continue" in first.stderr
    assert "/2] single/seed1: failed: `user_tf.train" in first.stdout
    assert "the value of the run in" in (folder / "single" / "seed1.txt").read_text()
    assert "/2] whole/seed1: " in first.stdout and "recommendation MAP 0." in first.stdout


def test_a_finished_run_is_not_run_again(work):
    _, _, _, stamps, second = work
    assert second.returncode == 1 and "single/seed1: failed" in second.stdout
    assert "whole/seed1: done before" in second.stdout
    assert len(stamps) > 5 and {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_the_results_are_those_of_the_finished_runs(work):
    folder = work[0]
    grid, results = (json.loads((folder / f"{n}.json").read_text()) for n in ("grid", "results"))
    assert grid["title"] == "Tiny" and grid["command"].startswith("python -m user_tf.experiment")
    for entry, planned in zip(results["systems"], grid["systems"], strict=True):
        assert {name: entry[name] for name in planned} == planned
    single, whole = results["systems"]
    assert (single["label"], single["finished"], single["results"]) == ("single", [], {})
    assert (whole["label"], whole["finished"]) == ("Whole", ["whole/seed1"])
    evaluation = folder / "whole" / "seed1" / "evaluation"
    report = json.loads((evaluation / "test.json").read_text())
    assert list(whole["results"]) == list(report["tasks"]) == ["search", "recommendation"]
    for task, part in whole["results"].items():
        own = part["rankings"][part["model"]]["map"]
        expected = report["tasks"][task]["rankings"][report["model"]]["metrics"]["map"]
        assert own == {"mean": round(expected, 6), "std": 0.0, "values": [expected]}
    assert pq.read_table(evaluation / "test-queries.parquet").num_rows > 0
    # As many epochs in the one training as in pre-training and fine-tuning: 2 of 3 steps.
    assert whole["phases"][0]["pretrain"]["steps"] == 6
    assert whole["cost"][0]["user_tf.train"]["peak_gib"] > 0.05


def test_other_settings_for_finished_runs_are_refused(work):
    folder, flags, *_ = work
    common = folder.parent / "common.flags"
    common.write_text(COMMON + "--model.dropout=0.5\n")
    refused = call(*flags)
    common.write_text(COMMON)
    assert refused.returncode and "`common_flags` must be that of the runs" in refused.stderr


def test_the_command_helps_without_tensorflow():
    code = "import sys; from user_tf import experiment; print('tensorflow' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.strip() == "False", ran.stderr


def test_wrong_flags_fail_before_any_work(tmp_path):
    for flag, message in (
        ("--system=user", "Unknown command line flag 'system'"),
        ("stray", "`arguments` must be flags"),
        ("--dataset=absent", "`dataset` must be a prepared dataset"),
    ):
        ran = call(f"--runs={tmp_path}/runs", flag)
        assert ran.returncode and message in ran.stderr
        assert not (tmp_path / "runs").exists()
