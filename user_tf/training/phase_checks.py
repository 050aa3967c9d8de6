"""Judgement of the data of a run, before its folder is made.

Needs neither Keras nor TensorFlow.
"""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common.codes import TASK_LABELS, Split, Task
from data_pipeline.common.data_warnings import from_plain
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.config import Config
from user_tf.training import phases


def check_phases(config: Config, dataset: Dataset) -> None:
    """Print the warnings of a dataset, and refuse phases that it cannot train or validate.

    Args:
        config: Checked settings.
        dataset: Opened dataset of the settings.

    Raises:
        ValueError: The dataset has no windows of the scenario; a task of a phase has no training
            target, or no validation list with a relevant and an irrelevant candidate.
    """
    for warning in from_plain(dataset.manifest.get("warnings", [])):
        print(warning, flush=True)
    windows = len(dataset.window_sizes(config.data.scenario, Split.TRAIN))
    trained = _count_tasks(_read_targets(dataset, Split.TRAIN)) if windows else {}
    validated = _count_tasks(_read_targets(dataset, Split.VALIDATION), lists=True)
    possible = [task for task in TASK_LABELS if trained.get(task) and validated.get(task)]
    for name in config.train.phases:
        for task in phases.plan(config, name).tasks:
            for counts, what in (
                (trained, "training targets"),
                (validated, "validation lists with a relevant and an irrelevant candidate"),
            ):
                if not counts.get(task):
                    raise ValueError(
                        f"`train.phases` with {name} must have {what} of {task} in the dataset. Got "
                        f"none in {dataset.path}. Fix: {_advise(config, possible)}"
                    )


def _advise(config: Config, possible: list[str]) -> str:
    again = "prepare a longer log, or set --split.train_parts and --split.validation_parts."
    if not possible:
        return again
    if len(possible) == len(TASK_LABELS):
        return f"set --data.scenario to a scenario with both tasks, or {again}"
    task = possible[0]
    return f"train with --train.phases={task} --data.scenario={task}, or {again}"


def _read_targets(dataset: Dataset, split: str) -> pa.Table:
    return pq.read_table(
        dataset.path / "targets.parquet",
        columns=["task"] if split == Split.TRAIN else ["task", "labels"],
        filters=[("split", "==", str(split))],
    )


def _count_tasks(targets: pa.Table, lists: bool = False) -> dict[str, int]:
    """Return the number of targets by task; with `lists` those whose list has both labels."""
    task = targets["task"].to_numpy()
    if lists and len(task):
        labels = targets["labels"].combine_chunks()
        length = labels.value_lengths().to_numpy(zero_copy_only=False)
        begins = np.cumsum(length) - length
        relevant = np.add.reduceat(labels.flatten().to_numpy().astype(np.int64), begins)
        task = task[(relevant > 0) & (relevant < length)]
    return {code.label: int((task == code).sum()) for code in Task}
