"""Self-attention with concatenated heads, and the encoder made of it."""

import numpy as np

from tests.user_tf.layer_testing import randomize, run_dropout_test, run_layer_test, weights_of
from tests.user_tf.layers import numpy_layers
from user_tf.layers.attentive_encoder import AttentiveEncoder, SelfAttention

HEADS = {"num_heads": 2, "key_dim": 3}
X = np.random.default_rng(0).normal(size=(3, 5, 4))
LENGTHS = (5, 2, 0)
MASK = np.arange(5) < np.array(LENGTHS)[:, None]
ARGUMENTS = {"inputs": X, "padding_mask": MASK}
VARYING = [("inputs", 1), ("padding_mask", 1)]


def test_vectors_equal_the_equation_at_any_length():
    encoder = AttentiveEncoder(**HEADS, units=7, dtype="float64")
    encoder.build(X.shape)
    randomize(encoder)
    vectors = encoder(X, padding_mask=MASK)
    for row, length in enumerate(LENGTHS):
        expected = numpy_layers.attentive_encoder(X[row, :length], weights_of(encoder), num_heads=2)
        np.testing.assert_allclose(vectors[row], expected, rtol=1e-9, atol=1e-12)


def test_layers():
    run_layer_test(lambda **k: SelfAttention(**HEADS, **k), ARGUMENTS, 3, VARYING)
    run_layer_test(lambda **k: AttentiveEncoder(**HEADS, **k), ARGUMENTS, 6, VARYING)
    run_dropout_test(lambda **k: AttentiveEncoder(**HEADS, **k), ARGUMENTS)


def test_hidden_width_of_the_pooling_is_a_setting():
    for units, expected in ((None, 6), (5, 5)):
        encoder = AttentiveEncoder(**HEADS, units=units)
        encoder.build(X.shape)
        assert encoder.pool.hidden.kernel.shape == (6, expected)
