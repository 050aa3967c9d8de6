"""Additive attention."""

import numpy as np

from tests.user_tf.layer_testing import randomize, run_layer_test, weights_of
from tests.user_tf.layers import numpy_layers
from user_tf.layers.additive_attention import AdditiveAttention

X = np.random.default_rng(0).normal(size=(3, 5, 4))
MASK = np.arange(5) < np.array([[5], [2], [0]])


def test_output_equals_the_equation_over_real_places():
    layer = AdditiveAttention(units=7, dtype="float64")
    layer.build(X.shape)
    pooled = randomize(layer)(X, padding_mask=MASK).numpy()
    for row, length in ((0, 5), (1, 2)):
        expected = numpy_layers.additive_attention(X[row, :length], weights_of(layer))
        np.testing.assert_allclose(pooled[row], expected, rtol=1e-9)
    np.testing.assert_array_equal(pooled[2], np.zeros(4))


def test_pooling_weights_times_the_inputs_give_the_output():
    layer = AdditiveAttention(units=7, dtype="float64")
    layer.build(X.shape)
    weights = randomize(layer).pooling_weights(X, MASK).numpy()
    assert (weights >= 0).all() and (weights[~MASK] == 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), [1, 1, 0])
    expected = np.einsum("bl,bld->bd", weights, X)
    np.testing.assert_allclose(layer(X, padding_mask=MASK), expected, rtol=1e-9)


def test_padding_does_not_matter():
    layer = AdditiveAttention(dtype="float64")
    expected = layer(X, padding_mask=MASK)
    noisy = np.where(MASK[..., None], X, 1e6)
    np.testing.assert_allclose(layer(noisy, padding_mask=MASK), expected, rtol=1e-12)


def test_layer():
    run_layer_test(
        AdditiveAttention,
        {"inputs": X, "padding_mask": MASK},
        weights=3,
        varying=[("inputs", 1), ("padding_mask", 1)],
    )
