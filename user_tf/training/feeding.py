"""Batches to replicas: one Batch a replica, as many for each, resumable by windows consumed."""

import dataclasses
from typing import Any

import tensorflow as tf

from data_pipeline.batching.batches import MOST_RUNGS, training_batches, windows_in_epoch
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.config import Config
from user_tf.training.phases import Phase


def windows_per_step(config: Config, strategy: tf.distribute.Strategy) -> int:
    """Windows all replicas together consume in a step."""
    return config.data.batch.windows_per_batch * strategy.num_replicas_in_sync


def steps_per_epoch(config: Config, dataset: Dataset, strategy: tf.distribute.Strategy) -> int:
    """Steps of an epoch; in the last one some replicas may get a blank batch.

    Raises:
        ValueError: The dataset has no training window.
    """
    windows = windows_in_epoch(dataset, config.data.scenario)
    if not windows:
        raise ValueError(
            f"`data.dataset` should have training windows of the scenario "
            f"{config.data.scenario!r}. Received: none in {config.data.dataset}. Prepare a longer "
            "log."
        )
    return -(-windows // windows_per_step(config, strategy))


def blank_batch(spec: dict[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """The smallest batch of padding only: one empty row in every table.

    Example:
        >>> blank = blank_batch({"target_id": tf.TensorSpec([None], tf.int64)})
        >>> blank["target_id"].numpy()
        array([-1])
    """
    return {
        name: tf.fill(
            [size or 1 for size in field.shape],
            tf.cast(-1 if name == "target_id" else 0, field.dtype),
        )
        for name, field in spec.items()
    }


def distributed_batches(
    config: Config,
    phase: Phase,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    epoch: int,
    skip_windows: int,
) -> Any:
    """The rest of an epoch as a distributed dataset, one Batch a replica.

    Pointers of a Batch stay inside it, so replicas get whole batches. Where the stream ends
    unevenly the missing replicas get blank batches, which weigh nothing.

    Args:
        config, phase, dataset, strategy: Of the run.
        epoch: Number of the epoch, from 0.
        skip_windows: Windows of the epoch already consumed by all replicas.
    """
    settings = config.data.batch
    if settings.rungs < 0 and (config.runtime.jit or config.runtime.strategy == "tpu"):
        settings = dataclasses.replace(settings, rungs=MOST_RUNGS)
    per_step = windows_per_step(config, strategy)
    steps = steps_per_epoch(config, dataset, strategy) - skip_windows // per_step

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        batches = training_batches(
            dataset,
            config.data.scenario,
            settings,
            phase.seed,
            epoch,
            tasks=phase.tasks,
            skip_windows=skip_windows,
            worker=context.input_pipeline_id,
            workers=context.num_input_pipelines,
        )
        blank = tf.data.Dataset.from_tensors(blank_batch(batches.element_spec)).repeat()
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return batches.concatenate(blank).take(steps * replicas).with_options(options)

    return strategy.distribute_datasets_from_function(of_worker)
