"""The real command on a dataset written in a moment."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.user_tf.experiment_test import COMMON
from tests.user_tf.training import tiny_dataset

ROOT = pathlib.Path(__file__).parents[2]


def call(*flags):
    return subprocess.run(
        [sys.executable, "-m", "user_tf.tune", *flags],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
    )


@pytest.fixture(name="work", scope="module")
def _work(tmp_path_factory):
    """One system tuned with two trials, twice; folder and both calls."""
    work = tmp_path_factory.mktemp("tune")
    tiny_dataset.write(work / "dataset")
    (work / "common.flags").write_text(COMMON + "--nomodel.word_vectors\n")
    (work / "whole.flags").write_text("--train.phases=pretrain\n")
    flags = [
        f"--dataset={work}/dataset",
        f"--common={work}/common.flags",
        f"--folder={work}",
        "--systems=whole",
        "--trials=2",
        f"--runs={work}/runs",
        f"--output={work}/tuned",
        "--parallel=1",
    ]
    return work, call(*flags), call(*flags)


@pytest.mark.slow
def test_the_best_trial_is_written_as_a_flagfile(work):
    folder, first, second = work
    assert first.returncode == 0, first.stderr
    assert "whole/trial1: " in first.stdout and "validation MAP 0." in first.stdout
    (entry,) = json.loads((folder / "runs" / "tuning.json").read_text())["systems"]
    maps = [trial["validation_map"] for trial in entry["trials"]]
    flags = entry["trials"][maps.index(max(maps))]["flags"]
    lines = (folder / "tuned" / "user.flags").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == flags
    assert second.stdout.count("done before") == 2
    assert not list((folder / "runs").rglob("evaluation"))


def test_a_folder_that_is_not_given_is_named():
    result = call("--dataset=x", "--runs=y")
    assert result.returncode != 0 and "`output` must name a folder" in result.stderr
