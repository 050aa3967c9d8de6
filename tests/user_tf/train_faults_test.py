"""Trainings killed at random moments end with the weights of one that was not killed."""

import json
import os
import pathlib
import random
import subprocess
import sys

import numpy as np
import pytest

from tests.user_tf.training import tiny_dataset

ROOT = pathlib.Path(__file__).parents[2]
KILLS = int(os.environ.get("USER_TF_KILLS", "2"))
PHASES = ("pretrain", "search", "recommendation")
FLAGS = [
    *tiny_dataset.SMALL_MODEL,
    "--model.dropout=0.3",
    "--nomodel.session_encoder",
    "--nomodel.history_encoder",
    "--data.batch.windows_per_batch=1",
    "--data.batch.negatives=3",
    "--train.evaluations_per_epoch=4",
    "--train.patience=99",
    "--train.pretrain_epochs=4",
    "--train.finetune_epochs=4",
    # A checkpoint after every step, so that kills fall into its writing too.
    "--train.checkpoint_minutes=0",
]


def start(dataset, run):
    """Start a training in a process of its own."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "user_tf.train",
            *FLAGS,
            f"--data.dataset={dataset}",
            f"--run={run}",
        ],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_once(training, delay):
    """Kill a training `delay` seconds after its first phase has begun; return its exit code."""
    for line in training.stdout:
        if "at most" in line or "Trained models" in line:
            break
    try:
        training.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        training.kill()
        training.communicate()
    return training.returncode


@pytest.mark.slow
def test_kills_at_random_moments_leave_the_weights_as_they_would_have_been(tmp_path):
    dataset = tiny_dataset.write(tmp_path / "dataset").path
    whole = start(dataset, tmp_path / "whole")
    printed, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, printed[-3000:]
    moments, killed = random.Random(5), 0
    for number in range(KILLS):
        run = tmp_path / f"killed{number % 3}"
        # Steps take some 10 ms after tracing, which takes seconds.
        code = kill_once(start(dataset, run), moments.choice([1.5, 4, 8, 12]) * moments.random())
        killed += code != 0
    assert killed > KILLS // 2
    for run in (tmp_path / f"killed{number}" for number in range(min(KILLS, 3))):
        last = start(dataset, run)
        printed, _ = last.communicate(timeout=600)
        assert last.returncode == 0, printed[-3000:]
        for phase in PHASES:
            assert_equal_phases(tmp_path / "whole" / phase, run / phase)


def assert_equal_phases(one, other):
    with (
        np.load(one / "checkpoints" / "latest.npz") as theirs,
        np.load(other / "checkpoints" / "latest.npz") as ours,
    ):
        for name in set(theirs.files) - {"position"}:
            np.testing.assert_array_equal(ours[name], theirs[name])
    lines = [
        [json.loads(line) for line in (phase / "metrics.jsonl").open()] for phase in (one, other)
    ]
    assert [(line["step"], line["validation"]) for line in lines[0]] == [
        (line["step"], line["validation"]) for line in lines[1]
    ]
