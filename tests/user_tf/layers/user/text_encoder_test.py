"""Text encoder."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_dropout_test, run_layer_test, weights_of
from tests.user_tf.layers.user import numpy_encoders
from user_tf.layers.user.text_encoder import TextEncoder

TOKENS = np.array([[0, 0, 0, 0], [3, 1, 9, 0], [2, 0, 0, 0], [4, 4, 8, 5]], np.int32)


def make(**kwargs):
    return TextEncoder(10, 4, num_heads=2, key_dim=3, intermediate_dim=6, **kwargs)


@pytest.mark.parametrize("settings", [{}, {"num_layers": 2}])
def test_vectors_equal_the_equations_text_by_text(settings):
    layer = make(dtype="float64", **settings)
    layer.build(TOKENS.shape)
    words, vectors, mask = (x.numpy() for x in randomize(layer)(TOKENS))
    np.testing.assert_array_equal(mask, TOKENS > 0)
    for row, tokens in enumerate(TOKENS):
        expected = numpy_encoders.text(list(tokens[tokens > 0]), weights_of(layer), 2)
        np.testing.assert_allclose(words[row, mask[row]], expected[0], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(vectors[row], expected[1], rtol=1e-9, atol=1e-9)
        assert (words[row, ~mask[row]] == 0).all()


def test_the_padding_row_of_the_table_is_never_read():
    layer = make(dtype="float64")
    before = layer(TOKENS)
    table = layer.embedding.embeddings.numpy()
    table[0] = 100
    layer.embedding.embeddings.assign(table)
    for x, y in zip(before, layer(TOKENS), strict=True):
        np.testing.assert_array_equal(x, y)


def test_layer():
    run_layer_test(make, {"tokens": TOKENS}, weights=19, varying=[("tokens", 1)])


def test_dropout():
    run_dropout_test(make, {"tokens": TOKENS})
