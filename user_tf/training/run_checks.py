"""Judgement of the settings and of the data of a run, before its folder is made.

Needs neither Keras nor TensorFlow.
"""

import operator
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common import flagtree, remote_folders
from data_pipeline.common.codes import TASK_LABELS, Split, Task
from data_pipeline.common.data_warnings import from_plain
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.config import USER_PLUS_PARTS, Config
from user_tf.training import phases

PREDICT_QUERIES = ("htps", "htps_unified")
"""Rankers that learn to predict the next query."""

_AT_LEAST_1 = (
    "model.width",
    "model.num_heads",
    "model.key_dim",
    "model.intermediate_dim",
    "model.word_layers",
    "model.session_layers",
    "model.history_layers",
    "model.session_passes",
    "model.aspects",
    "model.aspect_dim",
    "model.head_dim",
    "model.personal_rows",
    "data.batch.windows_per_batch",
    "data.batch.evaluation_windows_per_batch",
    "data.batch.negatives",
    "train.patience",
    "train.evaluations_per_epoch",
)


def check(config: Config) -> None:
    """Refuse impossible settings before any work starts.

    Raises:
        ValueError: Names the setting, the rule, the value and the fix.

    Example:
        >>> from user_tf.config import DataConfig
        >>> check(Config(run="run", data=DataConfig(dataset="dataset")))
        >>> check(Config(run="", data=DataConfig(dataset="dataset")))
        Traceback (most recent call last):
        ValueError: `run` must name a folder. Got ''. Fix: set --run.
    """
    for name, field, _ in flagtree.leaves(Config):
        choices = field.metadata.get("choices")
        if choices and operator.attrgetter(name)(config) not in choices:
            known = ", ".join(choices)
            _refuse(config, name, f"must be one of {known}", f"set --{name} to one of them")
    for name in _AT_LEAST_1:
        if operator.attrgetter(name)(config) < 1:
            _refuse(config, name, "must be at least 1", f"set --{name} to 1 or more")
    data, model, train = config.data, config.model, config.train
    if not config.run:
        _refuse(config, "run", "must name a folder", "set --run")
    if config.runtime.strategy == "multi_worker" and remote_folders.is_copy(config.run):
        _refuse(
            config,
            "run",
            "must be a folder that all workers see, not a URL, of which each has a copy of its own",
            "put the run on a shared file system",
        )
    if not data.dataset:
        _refuse(
            config,
            "data.dataset",
            "must name a prepared dataset",
            "set --data.dataset to a folder made by data_pipeline.prepare",
        )
    names = {"pretrain", *TASK_LABELS}
    if (
        not train.phases
        or not names.issuperset(train.phases)
        or len(train.phases) > len(set(train.phases))
        or "pretrain" in train.phases[1:]
    ):
        _refuse(
            config,
            "train.phases",
            "must be distinct names of pretrain, search, recommendation, pretrain first",
            "set --train.phases, for example to pretrain,search,recommendation",
        )
    if data.scenario != "unified" and train.phases != (data.scenario,):
        _refuse(
            config,
            "train.phases",
            f"must be {data.scenario} with the data of that task only",
            f"set --train.phases={data.scenario}, or --data.scenario=unified",
        )
    if not 0 < data.batch.train_share <= 1:
        _refuse(
            config, "data.batch.train_share", "must be in (0, 1]", "set --data.batch.train_share"
        )
    if not set(model.parts) <= set(USER_PLUS_PARTS):
        known = ", ".join(USER_PLUS_PARTS)
        _refuse(config, "model.parts", f"must be names among {known}", "set --model.parts")
    for name in ("dropout", "token_dropout", "text_dropout"):
        if not 0 <= getattr(model, name) < 1:
            _refuse(config, f"model.{name}", "must be in [0, 1)", f"set --model.{name}")
    if model.head == "mlp" and model.score_tanh:
        _refuse(
            config,
            "model.head",
            "must be `linear` with --model.score_tanh, which bounds the score",
            "set --model.head=linear, or --nomodel.score_tanh",
        )
    if model.name in PREDICT_QUERIES and model.next_query_weight and not data.batch.next_queries:
        _refuse(
            config,
            "data.batch.next_queries",
            "must be on for a ranker that predicts the next query",
            "set --data.batch.next_queries, or --model.next_query_weight=0",
        )
    _check_devices(config)


def _check_devices(config: Config) -> None:
    runtime = config.runtime
    if runtime.jit and runtime.strategy == "multi_worker":
        _refuse(
            config,
            "runtime.jit",
            "must be off with the multi-worker strategy",
            "set --noruntime.jit",
        )
    if runtime.logical_cpus and runtime.strategy not in ("one_device", "mirrored"):
        _refuse(
            config,
            "runtime.logical_cpus",
            "must be 0 unless the strategy is one_device or mirrored",
            "set --runtime.logical_cpus=0",
        )
    if runtime.jit and config.train.embedding_updates == "touched":
        _refuse(
            config,
            "train.embedding_updates",
            "must be `table` where XLA compiles the gradient",
            "set --train.embedding_updates=table, or --noruntime.jit",
        )
    jax = runtime.backend == "jax"
    if jax and runtime.strategy not in ("one_device", "mirrored"):
        _refuse(
            config,
            "runtime.strategy",
            "must be one_device or mirrored with --runtime.backend=jax, which finds TPUs itself",
            "set --runtime.strategy=mirrored to train on all chips of the machine",
        )
    if jax and config.train.embedding_updates == "touched":
        _refuse(
            config,
            "train.embedding_updates",
            "must be `table` with --runtime.backend=jax",
            "set --train.embedding_updates=table",
        )
    compiled = jax or runtime.jit or runtime.strategy == "tpu"
    if compiled and config.data.batch.fixed_sizes == "off":
        _refuse(
            config,
            "data.batch.fixed_sizes",
            "must not be off where XLA compiles for fixed sizes",
            "set --data.batch.fixed_sizes=auto, or train with TensorFlow on a CPU or GPU without jit",
        )


def _refuse(config: Config, name: str, rule: str, fix: str) -> NoReturn:
    raise ValueError(f"`{name}` {rule}. Got {operator.attrgetter(name)(config)!r}. Fix: {fix}.")


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
