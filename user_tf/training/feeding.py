"""Feed Batches to replicas: as many for each, resumable by the number of windows consumed."""

import dataclasses
from typing import Any

import tensorflow as tf

from data_pipeline.batching import spec
from data_pipeline.batching.batches import training_batches, windows_in_epoch
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.config import Config
from user_tf.training.phases import Phase


def windows_per_step(config: Config, strategy: tf.distribute.Strategy) -> int:
    """Return the windows that all replicas together consume in a step."""
    return config.data.batch.windows_per_batch * strategy.num_replicas_in_sync


def steps_per_epoch(config: Config, dataset: Dataset, strategy: tf.distribute.Strategy) -> int:
    """Return the steps of an epoch; in the last one some replicas may get a blank batch.

    Raises:
        ValueError: The dataset has no training window.
    """
    windows = windows_in_epoch(dataset, config.data.scenario)
    if not windows:
        raise ValueError(
            f"`data.dataset` must have training windows of the scenario {config.data.scenario!r}. "
            f"Got {config.data.dataset!r}, which has none. Fix: prepare a longer log."
        )
    return -(-windows // windows_per_step(config, strategy))


def blank_batch(element_spec: dict[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """Return the smallest batch of padding only: one empty row in every table.

    Example:
        >>> blank = blank_batch({"target_id": tf.TensorSpec([None], tf.int64)})
        >>> blank["target_id"].numpy()
        array([-1])
    """
    return {
        name: tf.fill(
            [size or 1 for size in tensor.shape],
            tf.cast(spec.padding(name), tensor.dtype),
        )
        for name, tensor in element_spec.items()
    }


def distributed_batches(
    config: Config,
    phase: Phase,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    epoch: int,
    skip_windows: int,
) -> Any:
    """Return the rest of an epoch as a distributed dataset, one Batch a replica.

    Pointers of a Batch stay inside it, so replicas get complete batches. Where the stream ends
    unevenly the missing replicas get blank batches, which weigh nothing.

    Args:
        config, phase, dataset, strategy: Of the run.
        epoch: Number of the epoch, from 0.
        skip_windows: Windows of the epoch already consumed by all replicas.
    """
    settings = config.data.batch
    compiled = config.runtime.jit or config.runtime.strategy == "tpu"
    if settings.fixed_sizes == "auto" and compiled:
        settings = dataclasses.replace(settings, fixed_sizes="on")
    per_step = windows_per_step(config, strategy)
    steps = steps_per_epoch(config, dataset, strategy) - skip_windows // per_step

    def batches_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
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

    return strategy.distribute_datasets_from_function(batches_of_worker)
