"""Training: all phases of a run, in order."""

import dataclasses
import math
import os
import pathlib
from typing import Any

from data_pipeline.common.output_folder import FolderLock
from data_pipeline.common.paths import local_path
from data_pipeline.dataset.corrupt_windows import named_corruption
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from user_tf import run_folder
from user_tf.api.keywords import replace_settings
from user_tf.api.trained_run import Run
from user_tf.config import Config
from user_tf.training import phases, process
from user_tf.training.loop import train_phase
from user_tf.training.run_checks import check, check_phases
from user_tf.training.steps.new_replicas import make_replicas
from user_tf.training.steps.replicas import Replicas, of_chief
from user_tf.training.stopping import StopRequest
from user_tf.training.trainer import Trainer


def fit(model: Any, data: Dataset, *, run: str | os.PathLike[str], **settings: Any) -> Run:
    """Train a model, or resume its training, as `python -m user_tf.train` does.

    By default there are three phases: `pretrain` on both tasks, then a copy that is fine-tuned on
    `search` and one on `recommendation`. Each phase builds its own model from the seed, so that
    results equal those of the command. `model` gives the settings and stays unchanged;
    `run.load_model(task)` returns a trained one.

    Global state: sets the seeds of Python, NumPy and TensorFlow (by `seed`), the dtype policy of
    Keras (by `precision`; with float64 also its float type), and with `logical_cpus` the logical
    devices of TensorFlow. They stay set afterwards.

    Args:
        model: Ranker of `build_model`. One loaded from a file knows the settings of its ranker only;
            pass those of the data here.
        data: Dataset of `load_dataset`.
        run: Folder of the run. A run with the same settings is resumed; a finished one is returned.
        **settings: Settings of data, training and runtime, by the last part of their flags' names:
            `pretrain_epochs=3` for --train.pretrain_epochs=3, `seed=2` for --runtime.seed=2.
            Default: as `python -m user_tf.train --helpfull` lists them.

    Returns:
        The run, with its `metrics` and `history`.

    Raises:
        ValueError: A setting is unknown or impossible, or the folder is a run with other settings
            or on another dataset.
        FolderInUse: Another process trains the run.
        NonFiniteLossError: Training diverged; names the step.
        KeyboardInterrupt: Ctrl-C was pressed, and the step under way saved. After SIGTERM it is
            SystemExit with code 143.
    """
    start = getattr(model, "run_settings", Config(model=model.config))
    start = dataclasses.replace(
        start,
        run=local_path("run", run),
        data=dataclasses.replace(start.data, dataset=os.fspath(data.path)),
    )
    groups = ("data.scenario", "data.batch.", "train.", "runtime.")
    config = replace_settings(start, settings, groups)
    check(config)
    return train_run(config, data)


def train_run(config: Config, dataset: Dataset | None = None) -> Run:
    """Train the phases of a run; see `fit` for the global state it sets.

    Args:
        config: Checked settings.
        dataset: Opened dataset of the settings. Default: opened here.

    Raises:
        As `fit`.
        FileNotFoundError: The dataset does not exist.
    """
    run_folder.check_run(config)
    if dataset is None:
        dataset = open_dataset(config.data.dataset)
    check_phases(config, dataset)
    process.prepare(config.runtime)
    replicas = make_replicas(config.runtime)
    if not replicas.chief:
        return _train_phases(config, dataset, replicas)
    with FolderLock(config.run, "run"):
        run_folder.open_run(config)
        return _train_phases(config, dataset, replicas)


def _train_phases(config: Config, dataset: Dataset, replicas: Replicas) -> Run:
    folder = pathlib.Path(config.run)
    trainer = Trainer(config, dataset, replicas)
    steps_left = config.train.stop_after_steps or math.inf
    for name in config.train.phases:
        (done,) = of_chief(replicas, [(folder / name / run_folder.DONE).exists()])
        if done:
            print(f"{name}: done before", flush=True)
            continue
        if steps_left <= 0:
            print(f"{name}: not started; rerun the same command to continue", flush=True)
            return Run(folder)
        phase = phases.plan(config, name)
        with StopRequest() as stop, named_corruption(dataset):
            steps, over = train_phase(config, phase, dataset, trainer, steps_left, stop)
        steps_left -= steps
        if not over:
            print(f"{name}: stopped; rerun the same command to continue", flush=True)
        # Also a signal during the last step of a phase, which is then over.
        stop.end()
        if not over:
            return Run(folder)
    print(f"Trained models in {folder}", flush=True)
    return Run(folder)
