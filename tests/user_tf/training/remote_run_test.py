"""A run and its dataset in a store: trained on one machine, resumed on another."""

import json

import fsspec
import numpy as np
import pytest

from data_pipeline.common import remote_folders
from tests.user_tf.train_test import train_here
from tests.user_tf.training import tiny_dataset
from user_tf.api.evaluate_run import evaluate
from user_tf.config import Config, DataConfig, RuntimeConfig
from user_tf.training.run_checks import check

RUN, DATASET = "memory://bucket/run", "memory://bucket/dataset"
SMALL = [
    "--model.name=nrms",
    *tiny_dataset.SMALL_MODEL,
    "--data.batch.windows_per_batch=2",
    "--data.batch.negatives=3",
    "--train.evaluations_per_epoch=2",
    "--train.phases=pretrain",
    "--train.pretrain_epochs=2",
    "--noruntime.tensorboard",
]


def test_a_run_in_a_store_is_resumed_and_evaluated_by_another_machine(tmp_path, machine):
    dataset = tiny_dataset.write(tmp_path / "dataset").path
    store = fsspec.filesystem("memory")
    store.put(str(dataset), "/bucket/dataset", recursive=True)
    train_here(*SMALL, f"--data.dataset={dataset}", f"--run={tmp_path}/run")
    flags = [*SMALL, f"--data.dataset={DATASET}", f"--run={RUN}"]
    train_here(*flags, "--train.stop_after_steps=5")
    # The last checkpoint is that of the evaluation after step 3.
    assert store.exists("/bucket/run/pretrain/checkpoints/latest.npz")
    assert not store.exists("/bucket/run/pretrain/done.json")
    machine("two")
    train_here(*flags)
    done = json.loads(store.cat("/bucket/run/pretrain/done.json"))
    assert done["steps"] == 12
    with (
        store.open("/bucket/run/pretrain/checkpoints/latest.npz") as file,
        np.load(file) as ours,
        np.load(tmp_path / "run/pretrain/checkpoints/latest.npz") as theirs,
    ):
        assert set(ours.files) == set(theirs.files)
        for name in set(ours.files) - {"position"}:
            np.testing.assert_array_equal(ours[name], theirs[name])
    machine("three")
    evaluate(RUN, split="test", dataset=DATASET)
    assert store.exists("/bucket/run/evaluation/test.json")


def test_workers_need_a_folder_that_all_see(machine):
    run = remote_folders.fetch("run", RUN + "-of-workers")
    config = Config(
        run=run,
        data=DataConfig(dataset="dataset"),
        runtime=RuntimeConfig(strategy="multi_worker"),
    )
    with pytest.raises(ValueError, match=r"`run` must be a folder that all workers see, not a URL"):
        check(config)
