"""Multi-head attention, transformer block and stack: full and last-position form."""

import functools

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_dropout_test, run_layer_test, weights_of
from tests.user_tf.layers import numpy_layers
from user_tf.layers.multi_head_attention import MultiHeadAttention
from user_tf.layers.transformer import Transformer
from user_tf.layers.transformer_block import TransformerBlock

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 4))
ROWS = RNG.normal(size=(3, 2, 4))
MASK = np.arange(5) < np.array([[5], [2], [0]])
FULL = {"inputs": X, "padding_mask": MASK}
LAST = {"inputs": ROWS, "padding_mask": MASK, "context": X}

LAYERS = {
    "attention": (functools.partial(MultiHeadAttention, 2, 3), numpy_layers.attention, 7),
    "block": (functools.partial(TransformerBlock, 2, 3, 6), numpy_layers.block, 15),
    "one layer": (functools.partial(Transformer, 1, 2, 3, 6), numpy_layers.transformer, 15),
    "three layers": (functools.partial(Transformer, 3, 2, 3, 6), numpy_layers.transformer, 45),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def built(name):
    make, equation, _ = LAYERS[name]
    layer = make(dtype="float64")
    layer.build(X.shape)
    return randomize(layer), equation


@every_layer
def test_full_form_equals_the_equation_over_real_rows(name):
    layer, equation = built(name)
    outputs = layer(X, padding_mask=MASK).numpy()
    for row, length in ((0, 5), (1, 2)):
        expected = equation(X[row, :length], weights_of(layer), num_heads=2)
        np.testing.assert_allclose(outputs[row, :length], expected, rtol=1e-9, atol=1e-9)
    if name != "attention":
        np.testing.assert_array_equal(outputs[~MASK], 0 * outputs[~MASK])


@every_layer
def test_last_position_form_equals_the_last_row_of_each_rows_own_sequence(name):
    layer, equation = built(name)
    outputs = layer(ROWS, padding_mask=MASK, context=X).numpy()
    for batch, length in enumerate((5, 2, 0)):
        for row in range(2):
            sequence = np.concatenate([X[batch, :length], ROWS[batch, row : row + 1]])
            expected = equation(sequence, weights_of(layer), num_heads=2)[-1]
            np.testing.assert_allclose(outputs[batch, row], expected, rtol=1e-9, atol=1e-9)


def test_last_weights_times_the_values_give_the_output():
    layer, _ = built("attention")
    weights = layer.last_weights(ROWS, X, MASK).numpy()
    output = layer(ROWS, padding_mask=MASK, context=X).numpy()
    own = weights_of(layer)
    np.testing.assert_allclose(weights.sum(axis=-1), np.ones((3, 2, 2)))
    np.testing.assert_array_equal(weights[2, ..., :5], np.zeros((2, 2, 5)))
    for batch, row in np.ndindex(3, 2):
        sequence = np.concatenate([X[batch], ROWS[batch, row : row + 1]])
        values = np.split(sequence @ own["value_kernel"] + own["value_bias"], 2, axis=1)
        heads = [share @ value for share, value in zip(weights[batch, row], values, strict=True)]
        expected = np.concatenate(heads) @ own["output_kernel"] + own["output_bias"]
        np.testing.assert_allclose(output[batch, row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["one layer", "three layers"])
def test_context_weights_are_the_attention_of_the_last_layer(name):
    layer, _ = built(name)
    weights = layer.context_weights(ROWS, X, MASK).numpy()
    np.testing.assert_array_equal(weights[2], np.zeros((2, 5)))
    for batch, length in ((0, 5), (1, 2)):
        for row in range(2):
            sequence = np.concatenate([X[batch, :length], ROWS[batch, row : row + 1]])
            expected = numpy_layers.context_weights(sequence, weights_of(layer), num_heads=2)
            np.testing.assert_allclose(weights[batch, row, :length], expected, rtol=1e-9)
            np.testing.assert_array_equal(weights[batch, row, length:], np.zeros(5 - length))


@every_layer
def test_padding_does_not_matter(name):
    layer, _ = built(name)
    noisy = np.where(MASK[..., None], X, 1e3)
    full = layer(X, padding_mask=MASK).numpy()[MASK]
    np.testing.assert_allclose(
        layer(noisy, padding_mask=MASK).numpy()[MASK], full, rtol=1e-9, atol=1e-12
    )
    last = layer(ROWS, padding_mask=MASK, context=X)
    np.testing.assert_allclose(
        layer(ROWS, padding_mask=MASK, context=noisy), last, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", ["attention", "block", "three layers"])
@pytest.mark.parametrize("form", ["full", "last"])
def test_layer(name, form):
    make, _, weights = LAYERS[name]
    varying = [("inputs", 1)] + ([("padding_mask", 1)] if form == "full" else [])
    run_layer_test(make, FULL if form == "full" else LAST, weights, varying)


@pytest.mark.parametrize("arguments", [FULL, LAST], ids=["full", "last"])
def test_dropout(arguments):
    run_dropout_test(LAYERS["one layer"][0], arguments)


def test_dropout_of_attention_weights_keeps_the_mean_and_reaches_the_value_bias():
    """The last-position form takes the bias out of the sum over the values."""
    layer = MultiHeadAttention(2, 3, dropout=0.4, dtype="float64")
    layer.build(X.shape)
    randomize(layer)
    many = {name: np.repeat(value[:1], 20_000, axis=0) for name, value in LAST.items()}
    still = layer(**{name: value[:1] for name, value in LAST.items()}).numpy()[0]
    dropped = layer(**many, training=True).numpy()
    np.testing.assert_allclose(dropped.mean(axis=0), still, atol=0.05)
    # All values are the bias alone here.
    zero = {**many, "inputs": 0 * many["inputs"], "context": 0 * many["context"]}
    assert layer(**zero, training=True).numpy().std(axis=0).min() > 0.01
