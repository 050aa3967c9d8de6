"""Check in one call what every layer must satisfy, like `run_layer_test` of keras-hub."""

import json

import keras
import numpy as np
import tensorflow as tf


def randomize(layer, seed=0):
    """Give every trainable weight random values, biases and norms included."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return layer


def weights_of(layer):
    """Return trainable weights by path, without the name of the layer itself."""
    return {
        weight.path.split("/", 1)[1] if "/" in weight.path else weight.path: np.asarray(
            weight, np.float64
        )
        for weight in layer.trainable_variables
    }


def _flat(outputs):
    return [np.asarray(x, np.float64) for x in tf.nest.flatten(outputs) if x.dtype != tf.bool]


def _apply(layer, arguments, **more):
    """Call with the first argument by position, as layers take their main input."""
    first, *others = arguments
    return layer(arguments[first], **{name: arguments[name] for name in others}, **more)


def run_layer_test(make, arguments, weights, varying=(), half_tolerance=0.2):
    """Check serialization, weights, compilation, precision and trainability of a layer.

    Args:
        make: Function of keyword arguments (`dtype`, `dropout` if the layer has any) to a layer.
        arguments: Call arguments by name, NumPy arrays (float arrays in float64).
        weights: Expected number of trainable weights.
        varying: Axes, as (argument, axis), whose size is unknown while tracing.
        half_tolerance: Largest mean difference of bfloat16 outputs from float64 ones.
    """
    layer = make(dtype="float64")
    outputs = _flat(_apply(layer, arguments))
    randomize(layer)
    outputs = _flat(_apply(layer, arguments))
    assert all(np.isfinite(x).all() for x in outputs)

    # Weights and configuration: every argument is kept under its own name.
    assert len(layer.trainable_variables) == weights, [w.path for w in layer.trainable_variables]
    assert len({w.path for w in layer.trainable_variables}) == weights
    config = json.loads(json.dumps(layer.get_config()))
    copy = type(layer).from_config(config)
    assert copy.get_config() == layer.get_config()
    for name in set(config) - {"name", "trainable", "dtype"}:
        assert getattr(layer, name) == config[name], name
    assert keras.saving.get_registered_name(type(layer)) == f"user_tf>{type(layer).__name__}"
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(rebuilt) is type(layer) and rebuilt.get_config() == layer.get_config()
    assert set(dir(copy)) == set(dir(type(layer).from_config(config)))
    _apply(copy, arguments)
    copy.set_weights(layer.get_weights())
    for x, y in zip(outputs, _flat(_apply(copy, arguments)), strict=True):
        np.testing.assert_array_equal(x, y)

    # Graph with unknown sizes, and XLA.
    signature = {}
    for name, value in arguments.items():
        arrays = tf.nest.map_structure(tf.convert_to_tensor, value)
        signature[name] = tf.nest.map_structure(
            lambda x, name=name: tf.TensorSpec(
                [
                    None if axis == 0 or (name, axis) in varying else size
                    for axis, size in enumerate(x.shape)
                ],
                x.dtype,
            ),
            arrays,
        )
    graph = tf.function(lambda given: _apply(layer, given), input_signature=[signature])
    compiled = tf.function(lambda given: _apply(layer, given), jit_compile=True)
    given = tf.nest.map_structure(tf.convert_to_tensor, dict(arguments))
    for function in (graph, compiled):
        for x, y in zip(outputs, _flat(function(given)), strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-9, atol=1e-9)

    # Every weight gets a gradient.
    if weights:
        with tf.GradientTape() as tape:
            flat = [x for x in tf.nest.flatten(_apply(layer, given)) if x.dtype != tf.bool]
            # A random direction: the plain sum of a layer norm's output is constant.
            rng = np.random.default_rng(1)
            loss = tf.add_n([tf.reduce_sum(x * rng.normal(size=x.shape)) for x in flat])
        gradients = tape.gradient(loss, [w.value for w in layer.trainable_variables])
        for weight, gradient in zip(layer.trainable_variables, gradients, strict=True):
            assert gradient is not None, weight.path
            norm = np.linalg.norm(np.asarray(tf.convert_to_tensor(gradient)))
            assert 1e-7 < norm < 1e6, (weight.path, norm)

    # Half precision, in every sublayer that computes in it.
    half = make(dtype="mixed_bfloat16")
    narrow = {
        name: tf.nest.map_structure(
            lambda x: tf.cast(x, "float32") if x.dtype == tf.float64 else x, value
        )
        for name, value in given.items()
    }
    _apply(half, narrow)
    half.set_weights([np.asarray(w, np.float32) for w in layer.get_weights()])
    assert half.compute_dtype in ("bfloat16", "float32")
    for x, y in zip(outputs, _flat(_apply(half, narrow)), strict=True):
        assert np.isfinite(y).all()
        assert np.abs(x - y).mean() < half_tolerance, np.abs(x - y).mean()


def run_dropout_test(make, arguments):
    """Check that dropout acts in training only and keeps its state as a Keras weight."""
    layer = make(dtype="float64", dropout=0.5)
    keras.utils.set_random_seed(3)
    still = _flat(_apply(layer, arguments))
    for x, y in zip(still, _flat(_apply(layer, arguments, training=False)), strict=True):
        np.testing.assert_array_equal(x, y)
    trained = _flat(_apply(layer, arguments, training=True))
    again = _flat(_apply(layer, arguments, training=True))
    assert not np.allclose(still[0], trained[0])
    assert not np.allclose(again[0], trained[0])
    assert any("seed_generator" in w.path for w in layer.non_trainable_variables)
