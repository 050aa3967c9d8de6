"""Feed Batches to replicas: as many for each, resumable by the number of windows consumed."""

import dataclasses

import tensorflow as tf

from data_pipeline.batching import spec
from data_pipeline.batching.batches import training_batches, windows_in_epoch
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.settings import BatchSettings
from user_tf.config import Config
from user_tf.training.phases import Phase
from user_tf.training.steps.replicas import BatchesOfWorker


def windows_per_step(config: Config, replicas: int) -> int:
    """Return the windows that all replicas together consume in a step."""
    return config.data.batch.windows_per_batch * replicas


def steps_per_epoch(config: Config, dataset: Dataset, replicas: int) -> int:
    """Return the steps of an epoch; in the last one some replicas may get a blank batch.

    Raises:
        ValueError: The dataset has no training window.
    """
    windows = windows_in_epoch(dataset, config.data.scenario, config.data.batch.train_share)
    if not windows:
        raise ValueError(
            f"`data.dataset` must have training windows of the scenario {config.data.scenario!r}. "
            f"Got {config.data.dataset!r}, which has none. Fix: prepare a longer log."
        )
    return -(-windows // windows_per_step(config, replicas))


def batch_settings(config: Config) -> BatchSettings:
    """Return the settings of batches that fit the devices.

    Fixed sizes are on where XLA compiles every size anew. A TPU gets no buckets of short texts:
    the gradient of laying them end to end has an operation of open size.
    """
    settings, runtime = config.data.batch, config.runtime
    is_tpu = runtime.strategy == "tpu"
    if is_tpu:
        settings = dataclasses.replace(settings, length_buckets=0)
    if settings.fixed_sizes == "auto" and (runtime.jit or is_tpu or runtime.backend == "jax"):
        settings = dataclasses.replace(settings, fixed_sizes="on")
    return settings


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


def replica_batches(
    config: Config, phase: Phase, dataset: Dataset, replicas: int, epoch: int, skip_windows: int
) -> BatchesOfWorker:
    """Return the rest of an epoch as a function that gives the Batches of a worker.

    Pointers of a Batch stay inside it, so replicas get complete batches. Where the stream ends
    unevenly the missing replicas get blank batches, which weigh nothing.

    Args:
        config, phase, dataset: Of the run.
        replicas: Replicas of all workers.
        epoch: Number of the epoch, from 0.
        skip_windows: Windows of the epoch already consumed by all replicas.
    """
    done = skip_windows // windows_per_step(config, replicas)
    steps = steps_per_epoch(config, dataset, replicas) - done

    def batches_of_worker(worker: int, workers: int, its_replicas: int) -> tf.data.Dataset:
        batches = training_batches(
            dataset,
            config.data.scenario,
            batch_settings(config),
            phase.seed,
            epoch,
            tasks=phase.tasks,
            skip_windows=skip_windows,
            worker=worker,
            workers=workers,
        )
        blank = tf.data.Dataset.from_tensors(blank_batch(batches.element_spec)).repeat()
        return batches.concatenate(blank).take(steps * its_replicas)

    return batches_of_worker
