"""Kernel-pooled matching."""

import numpy as np
import tensorflow as tf

from tests.user_tf.layer_testing import randomize, run_layer_test, weights_of
from tests.user_tf.layers import numpy_layers
from user_tf.layers.knrm import Knrm

RNG = np.random.default_rng(0)
MASK = np.arange(4) < np.array([[0], [4], [2], [3]])
WORDS = RNG.normal(size=(4, 4, 5)) * MASK[..., None]
WORDS[2, 0] = 3 * WORDS[1, 2]  # An exact match of direction, for the kernel of deviation 0.001.
ARGUMENTS = {
    "words": WORDS,
    "words_mask": MASK,
    "queries": np.array([1, 2, 0], np.int32),
    "candidates": np.array([[2, 3], [1, 0], [1, 3]], np.int32),
}


def test_scores_equal_the_equations_over_real_tokens():
    layer = Knrm(dtype="float64")
    layer.build(WORDS.shape)
    scores = randomize(layer, seed=2)(**ARGUMENTS).numpy()
    for row, column in np.ndindex(3, 2):
        query, document = ARGUMENTS["queries"][row], ARGUMENTS["candidates"][row, column]
        expected = numpy_layers.knrm(
            WORDS[query, MASK[query]], WORDS[document, MASK[document]], weights_of(layer)
        )
        np.testing.assert_allclose(scores[row, column], expected, rtol=1e-9, atol=1e-9)
    assert len(np.unique(scores[:2].round(6))) == 4


def test_padding_does_not_matter():
    layer = Knrm(dtype="float64")
    noisy = {**ARGUMENTS, "words": np.where(MASK[..., None], WORDS, 1.0)}
    np.testing.assert_allclose(layer(**noisy), layer(**ARGUMENTS), atol=1e-12)


def test_half_precision_words_are_matched_in_float32():
    layer = Knrm(dtype="float32")
    scores = layer(**{**ARGUMENTS, "words": tf.cast(WORDS, "bfloat16")})
    assert scores.dtype == "float32"


def test_layer():
    run_layer_test(
        Knrm,
        ARGUMENTS,
        weights=2,
        varying=[("words", 1), ("words_mask", 1), ("candidates", 1)],
        half_tolerance=0.5,
    )
