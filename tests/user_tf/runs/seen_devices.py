"""The devices a configuration asks for, seen without any but a CPU."""

import keras
import pytest
import tensorflow as tf

from user_tf.training import process
from user_tf.training.steps.new_replicas import make_replicas
from user_tf.training.steps.tf_replicas import make_strategy


def see_devices(config):
    """Return the calls that set up precision, devices and strategy."""
    calls = []

    def note(name):
        return lambda *arguments, **named: calls.append((name, arguments[1:], named))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config, "set_logical_device_configuration", note("logical"))
        for name in ("MirroredStrategy", "TPUStrategy"):
            patch.setattr(tf.distribute, name, note(name))
        patch.setattr(tf.config, "experimental_connect_to_cluster", note("connect"))
        patch.setattr(tf.tpu.experimental, "initialize_tpu_system", note("start"))
        resolver = tf.distribute.cluster_resolver
        patch.setattr(resolver, "TPUClusterResolver", lambda tpu: calls.append(tpu))
        patch.setattr(keras.config, "set_dtype_policy", note("policy"))
        patch.setattr(keras.config, "set_dtype_policy", lambda policy: calls.append(policy))
        process.prepare(config.runtime)
        make_strategy(config.runtime)
    return calls


def see_backend(config):
    """Return the replicas, or why this process cannot train on the back end."""
    try:
        return make_replicas(config.runtime).count
    except ValueError as error:
        return str(error)
