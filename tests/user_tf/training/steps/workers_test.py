"""Two real workers on the loopback train a run together."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.user_tf.training import tiny_dataset

ROOT = pathlib.Path(__file__).parents[4]
PHASES = ("pretrain", "search", "recommendation")
SMALL = [
    "--model.name=nrms",
    *tiny_dataset.SMALL_MODEL,
    "--model.dropout=0",
    "--data.batch.negatives=3",
    "--train.pretrain_epochs=2",
    "--train.finetune_epochs=2",
    "--train.patience=2",
    "--runtime.precision=float64",
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("data") / "dataset").path


def start(module, flags, cluster=None, index=0):
    """Start a training in a process of its own."""
    task = {"cluster": {"worker": cluster}, "task": {"type": "worker", "index": index}}
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
    if cluster:
        environment["TF_CONFIG"] = json.dumps(task)
    return subprocess.Popen(
        [sys.executable, "-m", module, *flags],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def two_workers(*flags, module="user_tf.train"):
    """Start both workers, chief first; a worker still running at the end is killed."""
    with contextlib.ExitStack() as sockets:
        ports = []
        for _ in range(2):
            free = sockets.enter_context(socket.socket())
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
    cluster = [f"localhost:{port}" for port in ports]
    # One window a replica: with two replicas a step has as many as one device's batch of two.
    flags = [*flags, "--runtime.strategy=multi_worker", "--data.batch.windows_per_batch=1"]
    workers = [start(module, flags, cluster, index) for index in range(2)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def end(worker, code=0):
    """Wait for a worker and return what it printed."""
    printed, _ = worker.communicate(timeout=300)
    assert worker.returncode == code, printed[-3000:]
    return printed


def train_together(*flags, module="user_tf.train"):
    with two_workers(*flags, module=module) as workers:
        return [end(worker) for worker in workers]


@pytest.fixture(scope="module")
def one_device(dataset, tmp_path_factory):
    """Train all phases on one device; return flags of the model and data, and the folder."""
    flags = [*SMALL, f"--data.dataset={dataset}"]
    run = tmp_path_factory.mktemp("one") / "run"
    end(start("user_tf.train", [*flags, f"--run={run}", "--data.batch.windows_per_batch=2"]))
    return flags, run


def assert_equal_runs(one, other):
    for phase in PHASES:
        with (
            np.load(one / phase / "checkpoints" / "latest.npz") as theirs,
            np.load(other / phase / "checkpoints" / "latest.npz") as ours,
        ):
            assert set(ours.files) == set(theirs.files)
            for name in set(theirs.files) - {"position"}:
                np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-9)
        lines = [
            [json.loads(line) for line in (run / phase / "metrics.jsonl").open()]
            for run in (one, other)
        ]
        assert len(lines[0]) == len(lines[1]) > 1
        for ours, theirs in zip(*lines, strict=True):
            assert ours["step"] == theirs["step"]
            assert ours["validation"] == pytest.approx(theirs["validation"], abs=1e-9)


def test_two_workers_with_a_slow_chief_train_what_one_device_does(one_device, tmp_path):
    flags, one = one_device
    slow = "tests.user_tf.training.steps.slow_chief"
    printed = train_together(*flags, f"--run={tmp_path}/run", module=slow)
    assert all("Trained models in" in text and "2 replicas" in text for text in printed)
    assert_equal_runs(one, tmp_path / "run")


@pytest.mark.slow
def test_a_run_goes_on_after_a_worker_was_killed(one_device, tmp_path):
    flags, one = one_device
    run = tmp_path / "run"
    with two_workers(*flags, f"--run={run}", "--train.checkpoint_minutes=0") as workers:
        until(lambda: (run / "search" / "metrics.jsonl").exists())
        workers[1].kill()
        # The chief must not wait for it for ever.
        workers[0].communicate(timeout=120)
        assert workers[0].returncode != 0
    train_together(*flags, f"--run={run}")
    assert_equal_runs(one, run)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_a_signal_to_one_worker_stops_both_after_the_same_step(one_device, tmp_path, asked):
    flags, one = one_device
    run = tmp_path / "run"
    with two_workers(*flags, f"--run={run}") as workers:
        until(lambda: (run / "pretrain" / "metrics.jsonl").exists())
        workers[asked].send_signal(signal.SIGTERM)
        printed = [end(worker, code=143) for worker in workers]
    assert all("stopped; rerun the same command" in text for text in printed)
    train_together(*flags, f"--run={run}")
    assert_equal_runs(one, run)


@pytest.mark.slow
def test_two_workers_update_touched_rows_as_one_device_does(dataset, tmp_path):
    flags = [*SMALL, f"--data.dataset={dataset}", "--train.embedding_updates=touched"]
    one = tmp_path / "one"
    end(start("user_tf.train", [*flags, f"--run={one}", "--data.batch.windows_per_batch=2"]))
    train_together(*flags, f"--run={tmp_path}/two")
    assert_equal_runs(one, tmp_path / "two")


def until(happens, seconds=300):
    """Wait until something happens."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)
