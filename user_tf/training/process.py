"""Precision, devices and seeds of the process."""

import dataclasses

import keras
import tensorflow as tf

from user_tf.config import RuntimeConfig


def prepare(runtime: RuntimeConfig) -> None:
    """Set precision and logical devices, which are global to the process.

    Call it before any tensor is made, in a command or a function that documents it.

    Args:
        runtime: `precision` and `logical_cpus` are used.
    """
    if keras.backend.backend() == "jax":
        _prepare_jax(runtime)
    elif runtime.logical_cpus:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * runtime.logical_cpus,
        )
    if runtime.precision == "float64":
        # Initial values and the learning rate are of the default float type.
        keras.config.set_floatx("float64")
    keras.config.set_dtype_policy(runtime.precision)


def prepare_for_scoring(runtime: RuntimeConfig) -> None:
    """Set the precision of a trained run, to evaluate, rank or export it under TensorFlow.

    Args:
        runtime: Of the run; its back end and devices do not matter, weights are the same.

    Raises:
        ValueError: Keras runs on another back end in this process.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`KERAS_BACKEND` must be tensorflow in a process that evaluates, ranks or exports. Got "
            f"{keras.backend.backend()!r}. Fix: do it in a process of its own, where the variable is "
            "not set; runs of all back ends are read."
        )
    prepare(dataclasses.replace(runtime, logical_cpus=0))


def _prepare_jax(runtime: RuntimeConfig) -> None:
    import jax
    from keras.src.backend.common import dtypes

    # TensorFlow only reads the data; it must leave the memory of the accelerator to JAX.
    tf.config.set_visible_devices([], "GPU")
    if runtime.logical_cpus:
        jax.config.update("jax_num_cpu_devices", runtime.logical_cpus)
    if runtime.precision == "float64":
        jax.config.update("jax_enable_x64", True)
        # On JAX, Keras rounds float64 to float32 in some of its operations, by this table.
        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"


def seed_process(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, which initial weights draw from; global to the process."""
    keras.utils.set_random_seed(seed)
