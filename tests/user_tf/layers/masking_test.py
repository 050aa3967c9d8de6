"""Masked softmax, normalisation and cosine."""

import numpy as np
import pytest
import tensorflow as tf

from user_tf.layers.masking import (
    cosine,
    count_positions,
    masked_softmax,
    normalize,
    precise,
    precise_dtype,
)


def test_masked_softmax_is_the_softmax_of_the_real_places():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 6)) * 50
    mask = rng.random((4, 6)) < 0.6
    mask[0], mask[1] = False, True
    weights = masked_softmax(logits, mask).numpy()
    for row in range(4):
        real = np.exp(logits[row, mask[row]] - logits[row].max())
        np.testing.assert_allclose(weights[row, mask[row]], real / real.sum(), rtol=1e-12)
    assert (weights[~mask] == 0).all()


def test_masked_softmax_without_real_places_is_zero_with_zero_gradient():
    logits = tf.Variable([[3.0, -2.0], [np.inf, 1.0]])
    with tf.GradientTape() as tape:
        weights = masked_softmax(logits, [[False, False], [False, True]])
        loss = tf.reduce_sum(weights * [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(weights, [[0, 0], [0, 1]])
    np.testing.assert_array_equal(tape.gradient(loss, logits), np.zeros((2, 2)))


def test_cosine_equals_its_definition_and_is_zero_for_zero_vectors():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    x[2] = 0
    expected = (x * y).sum(-1) / np.linalg.norm(x + (x == 0) * 1e-9, axis=-1)
    expected /= np.linalg.norm(y, axis=-1)
    np.testing.assert_allclose(cosine(x, y), expected, atol=1e-12)


def test_normalize_has_bounded_gradients_at_zero():
    x = tf.Variable(np.zeros((2, 4)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(normalize(x))
    np.testing.assert_allclose(tape.gradient(loss, x), np.full((2, 4), 1e3))
    np.testing.assert_array_equal(normalize(x), np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        ("float16", "float32"),
        ("bfloat16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ],
)
def test_half_precision_is_widened_and_float64_kept(given, computed):
    x = tf.ones((2, 3), given)
    assert precise_dtype(given) == computed
    for y in (precise(x), normalize(x), cosine(x, x), masked_softmax(x, x > 0)):
        assert y.dtype == computed


def test_positions_count_real_places_only():
    mask = np.array([[True, True, False], [False, True, True], [False] * 3])
    np.testing.assert_array_equal(count_positions(mask), [[1, 2, 0], [0, 1, 2], [0, 0, 0]])
