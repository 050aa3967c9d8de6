"""The machine a run uses: its devices and the tf.distribute strategy, chosen by flags."""

import json
import os

import keras
import tensorflow as tf

from user_tf.config import RuntimeConfig


def prepare(runtime: RuntimeConfig) -> None:
    """Sets what is global to the process; call once in a main, before any tensor is made.

    Precision and logical devices are process-wide in Keras and TensorFlow, so a library
    function must not touch them.
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
    """Seeds Python, NumPy and TensorFlow: initial weights draw from them. For mains only."""
    keras.utils.set_random_seed(seed)


def make_strategy(runtime: RuntimeConfig) -> tf.distribute.Strategy:
    """The strategy of `--runtime.strategy`.

    Models and optimizers are made inside its scope. `multi_worker` reads the cluster from the
    environment variable TF_CONFIG, as TensorFlow defines it.

    Raises:
        ValueError: The machine lacks what the strategy needs.

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
                "`runtime.strategy` = multi_worker needs the environment variable TF_CONFIG with a "
                f"cluster and a task. Received: TF_CONFIG = {cluster!r}. Set it on every worker, "
                "or set --runtime.strategy=mirrored."
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=runtime.tpu)
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run folder; the others train along.

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
