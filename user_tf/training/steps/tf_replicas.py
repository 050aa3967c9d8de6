"""Replicas under tf.distribute."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from user_tf.config import RuntimeConfig
from user_tf.evaluation.evaluator import compiled_forward
from user_tf.training.steps.replicas import BatchesOfWorker, Step, StepSettings
from user_tf.training.steps.same_sizes import pad_together
from user_tf.training.steps.tf_step import make_train_step


def make_strategy(runtime: RuntimeConfig) -> tf.distribute.Strategy:
    """Return the strategy of `--runtime.strategy`.

    Models and optimizers must be made inside its scope. `multi_worker` reads the cluster from the
    environment variable TF_CONFIG, as TensorFlow defines it.

    Raises:
        ValueError: `multi_worker` has no cluster in TF_CONFIG.

    Example:
        >>> make_strategy(RuntimeConfig()).num_replicas_in_sync
        1
    """
    if runtime.strategy == "one_device":
        return tf.distribute.get_strategy()
    if runtime.strategy == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    if runtime.strategy == "multi_worker":
        cluster = os.environ.get("TF_CONFIG", "")
        if not cluster or "cluster" not in json.loads(cluster):
            raise ValueError(
                "`TF_CONFIG` must hold a cluster and a task for --runtime.strategy=multi_worker. "
                f"Got {cluster!r}. Fix: set this environment variable on every worker, or set "
                "--runtime.strategy=mirrored."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=runtime.tpu)
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


class TensorFlowReplicas:
    """The replicas of a tf.distribute strategy; the methods are those of `Replicas`.

    Attributes:
        count: Replicas of all processes.
        processes: Workers.
        chief: Whether this process writes the run folder.

    Args:
        strategy: Of `make_strategy`.

    Raises:
        ValueError: The workers have unequal numbers of devices.

    Example:
        >>> replicas = TensorFlowReplicas(tf.distribute.get_strategy())
        >>> replicas.count, replicas.chief, replicas.total([3.0])
        (1, True, [3.0])
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.strategy = strategy
        self.count: int = strategy.num_replicas_in_sync
        self.chief, self.processes = _role(strategy.cluster_resolver)
        if self.count % self.processes:
            raise ValueError(
                "`TF_CONFIG` must name workers with the same number of devices. Got "
                f"{self.count} devices on {self.processes} workers. Fix: let every worker see as many, "
                "for example by CUDA_VISIBLE_DEVICES."
            )
        self._is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        numbers = tf.TensorSpec([None], tf.float64)
        self._sum = tf.function(self._sum_over_processes, input_signature=[numbers])

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        return self.strategy.scope()

    def distribute(self, batches: BatchesOfWorker) -> Any:
        def batches_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            own = batches(context.input_pipeline_id, context.num_input_pipelines, replicas)
            # One program serves all cores of a TPU, so that their batches must have one size.
            own = pad_together(own, replicas).unbatch() if self._is_tpu else own
            options = tf.data.Options()
            options.experimental_distribute.auto_shard_policy = (
                tf.data.experimental.AutoShardPolicy.OFF
            )
            return own.with_options(options)

        return self.strategy.distribute_datasets_from_function(batches_of_worker)

    def make_step(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        stream: Any,
        settings: StepSettings,
    ) -> Step:
        spec = None if self._is_tpu else stream.element_spec
        step = make_train_step(model, optimizer, self.strategy, spec, settings)
        return lambda batch, number, seed: step(
            batch, tf.constant(number, tf.int64), tf.constant(seed, tf.int64)
        )

    def make_forward(self, model: keras.Model, batches: Any) -> Callable[[Mapping[str, Any]], Any]:
        if not self._is_tpu:
            return compiled_forward(model, batches.element_spec)
        forward = compiled_forward(model)

        def on_first_core(batch: Mapping[str, Any]) -> tf.Tensor:
            inputs = {name: value for name, value in batch.items() if name != "target_id"}
            scores = self.strategy.run(forward, (inputs,))
            return self.strategy.experimental_local_results(scores)[0]

        return on_first_core

    def first_batch(self, element: Any) -> dict[str, Any]:
        return {
            name: np.asarray(getattr(value, "values", [value])[0])
            for name, value in element.items()
        }

    def total(self, values: Sequence[float]) -> list[float]:
        if self.processes == 1:
            return list(values)
        return [float(value) for value in self._sum(tf.constant(values, tf.float64))]

    def _sum_over_processes(self, values: tf.Tensor) -> tf.Tensor:
        def one_replica() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            # One replica of each process counts.
            first = context.replica_id_in_sync_group % (self.count // self.processes) == 0
            return context.all_reduce(
                tf.distribute.ReduceOp.SUM, values * tf.cast(first, values.dtype)
            )

        return self.strategy.experimental_local_results(self.strategy.run(one_replica))[0]


def _role(resolver: Any) -> tuple[bool, int]:
    """Return whether this process is the chief, and the number of processes."""
    if resolver is None or not resolver.task_type:
        return True, 1
    cluster = resolver.cluster_spec()
    workers = sum(cluster.num_tasks(job) for job in cluster.jobs if job in ("chief", "worker"))
    first = "chief" if "chief" in cluster.jobs else "worker"
    return resolver.task_type == first and resolver.task_id == 0, workers
