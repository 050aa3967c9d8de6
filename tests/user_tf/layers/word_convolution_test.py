"""Convolution over the words of a text."""

import numpy as np

from tests.user_tf.layer_testing import randomize, run_dropout_test, run_layer_test, weights_of
from tests.user_tf.layers import numpy_layers
from user_tf.layers.word_convolution import WordConvolution

TOKENS = np.array([[5, 2, 7, 1], [3, 0, 0, 0], [0, 0, 0, 0]], np.int32)


def make(**kwargs):
    return WordConvolution(vocabulary=9, width=4, filters=6, **kwargs)


def test_words_equal_the_equation_at_any_length():
    layer = make(dtype="float64")
    layer.build(TOKENS.shape)
    randomize(layer)
    for padding in (0, 3):
        words, mask = layer(np.pad(TOKENS, [(0, 0), (0, padding)]))
        np.testing.assert_array_equal(np.asarray(mask).sum(axis=1), [4, 1, 0])
        for row, length in ((0, 4), (1, 1)):
            expected = numpy_layers.convolution(TOKENS[row, :length], weights_of(layer))
            np.testing.assert_allclose(words[row, :length], expected, rtol=1e-9, atol=1e-12)


def test_layer():
    run_layer_test(make, {"tokens": TOKENS}, weights=3, varying=[("tokens", 1)])
    run_dropout_test(make, {"tokens": TOKENS})
