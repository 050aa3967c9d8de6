"""A run trained under JAX: held to TensorFlow's step, continued and evaluated by the other back end."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.user_tf.training import tiny_dataset

ROOT = pathlib.Path(__file__).parents[4]
SMALL = [
    *tiny_dataset.SMALL_MODEL,
    "--model.dropout=0",
    "--data.batch.windows_per_batch=2",
    "--data.batch.negatives=3",
    "--data.batch.fixed_sizes=on",
    "--train.evaluations_per_epoch=1",
    "--runtime.precision=float64",
]


PHASES = {"nrms": ("pretrain",), "user": ("pretrain", "search", "recommendation")}


def model_of(flags):
    """Return the model that flags name."""
    [name] = [flag.partition("=")[2] for flag in flags if flag.startswith("--model.name=")]
    return name


def train(backend, *flags):
    """Train in a process of its own and return what it printed."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.user_tf.training.steps.exact_adam",
            *flags,
            f"--runtime.backend={backend}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout + ran.stderr


def read_checkpoint(run, phase):
    with np.load(run / phase / "checkpoints" / "latest.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module", params=["nrms", pytest.param("user", marks=pytest.mark.slow)])
def runs(request, tmp_path_factory):
    """Train 2 steps under TensorFlow, then to the end under both back ends."""
    folder = tmp_path_factory.mktemp("runs")
    dataset = tiny_dataset.write(folder / "dataset").path
    flags = [
        *SMALL,
        f"--model.name={request.param}",
        # All phases share a step; the small model trains the first one only.
        f"--train.phases={','.join(PHASES[request.param])}",
        f"--data.dataset={dataset}",
        "--train.pretrain_epochs=2",
        "--train.finetune_epochs=1",
    ]
    begun = folder / "tensorflow"
    # Every step is saved, so that the others begin with these weights.
    saving = "--train.checkpoint_minutes=0"
    train("tensorflow", *flags, f"--run={begun}", saving, "--train.stop_after_steps=2")
    shutil.copytree(begun, folder / "jax")
    train("tensorflow", *flags, f"--run={begun}")
    printed = train("jax", *flags, f"--run={folder / 'jax'}")
    return folder, flags, printed


def test_jax_continues_a_run_to_the_weights_that_tensorflow_gets(runs):
    folder, flags, printed = runs
    assert "pretrain: resumed after step 2" in printed
    for phase in PHASES[model_of(flags)]:
        ours = read_checkpoint(folder / "jax", phase)
        theirs = read_checkpoint(folder / "tensorflow", phase)
        ours.pop("position"), theirs.pop("position")
        assert ours.keys() == theirs.keys()
        moved = 0
        for name, value in theirs.items():
            # States of seed generators differ between the back ends; dropout is off here.
            if value.dtype.kind == "f":
                np.testing.assert_allclose(ours[name], value, rtol=1e-9, atol=1e-9)
                moved += value.size > 1 and bool(np.any(value))
        assert moved > {"nrms": 8, "user": 20}[model_of(flags)]
        lines = [
            [json.loads(line) for line in (folder / run / phase / "metrics.jsonl").open()]
            for run in ("jax", "tensorflow")
        ]
        for one, other in zip(*lines, strict=True):
            assert one["step"] == other["step"]
            assert one["validation"] == pytest.approx(other["validation"], abs=1e-9)


def evaluate(run):
    """Evaluate a run by the command and return its metrics on searches."""
    command = [sys.executable, "-m", "user_tf.evaluate", f"--run={run}", "--split=test"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    content = json.loads((run / "evaluation" / "test.json").read_text())
    rankings = content["tasks"]["search"]["rankings"]
    return rankings[content["model"]]["metrics"]


@pytest.mark.slow
def test_a_run_of_jax_is_evaluated_under_tensorflow(runs):
    folder, *_ = runs
    ours, theirs = evaluate(folder / "jax"), evaluate(folder / "tensorflow")
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.slow
def test_two_devices_of_jax_compute_what_two_of_tensorflow_do(runs):
    folder, flags, _ = runs
    two = [
        *flags,
        "--runtime.strategy=mirrored",
        "--runtime.logical_cpus=2",
        "--train.phases=pretrain",
    ]
    saving = "--train.checkpoint_minutes=0"
    begun = folder / "two tensorflow"
    train("tensorflow", *two, f"--run={begun}", saving, "--train.stop_after_steps=1")
    shutil.copytree(begun, folder / "two jax")
    train("tensorflow", *two, f"--run={begun}")
    printed = train("jax", *two, f"--run={folder / 'two jax'}")
    assert "2 replicas" in printed
    ours = read_checkpoint(folder / "two jax", "pretrain")
    theirs = read_checkpoint(begun, "pretrain")
    for name, value in theirs.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(ours[name], value, rtol=1e-9, atol=1e-9)
