"""Devices, precision, seeds and the tf.distribute strategy of a run."""

import json
import os

import keras
import tensorflow as tf

from user_tf.config import RuntimeConfig


def prepare(runtime: RuntimeConfig) -> None:
    """Set precision and logical devices, which are global to the process.

    Call it before any tensor is made, in a command or a function that documents it.

    Args:
        runtime: `precision` and `logical_cpus` are used.
    """
    if runtime.logical_cpus:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * runtime.logical_cpus,
        )
    if runtime.precision == "float64":
        # Initial values and the learning rate are of the default float type.
        keras.config.set_floatx("float64")
    keras.config.set_dtype_policy(runtime.precision)


def seed_process(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, which initial weights draw from; global to the process."""
    keras.utils.set_random_seed(seed)


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


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Return whether this process writes the run folder; the others only train.

    Example:
        >>> is_chief(tf.distribute.get_strategy())
        True
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "chief" or (
        not chief and resolver.task_type == "worker" and resolver.task_id == 0
    )
