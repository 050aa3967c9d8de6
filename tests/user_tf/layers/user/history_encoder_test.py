"""History encoder."""

import dataclasses

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_dropout_test, run_layer_test, weights_of
from tests.user_tf.layers.user import numpy_encoders
from user_tf.config import ModelConfig
from user_tf.layers.user.history_encoder import POSITIONS, HistoryEncoder

CONFIG = ModelConfig(width=4, num_heads=2, key_dim=3, intermediate_dim=6)
RNG = np.random.default_rng(0)
# Two sessions of three slots: real behaviors are not contiguous.
MASK = np.array([[1, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
ARGUMENTS = {
    "rows": RNG.normal(size=(3, 3, 4)),
    "history": RNG.normal(size=(3, 6, 4)),
    "padding_mask": MASK,
}


def make(num_layers=1, history_positions="forward", **kwargs):
    return HistoryEncoder(
        history_positions,
        num_layers=num_layers,
        num_heads=2,
        key_dim=3,
        intermediate_dim=6,
        **kwargs,
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("positions", POSITIONS)
def test_every_row_equals_the_equation_of_its_own_sequence(positions, layers):
    config = dataclasses.replace(CONFIG, history_positions=positions)
    layer = make(layers, positions, dtype="float64")
    layer.build(ARGUMENTS["rows"].shape)
    outputs = randomize(layer)(**ARGUMENTS).numpy()
    for target, row in np.ndindex(3, 3):
        expected = numpy_encoders.history(
            ARGUMENTS["history"][target, MASK[target]],
            ARGUMENTS["rows"][target, row],
            weights_of(layer),
            config,
            slots=6,
        )
        np.testing.assert_allclose(outputs[target, row], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("positions", POSITIONS)
def test_behavior_weights_equal_the_attention_of_each_row_to_its_own_sequence(positions, layers):
    config = dataclasses.replace(CONFIG, history_positions=positions)
    layer = make(layers, positions, dtype="float64")
    layer.build(ARGUMENTS["rows"].shape)
    weights = randomize(layer).behavior_weights(**ARGUMENTS).numpy()
    np.testing.assert_array_equal(weights[1], np.zeros((3, 6)))
    for target, row in ((0, 0), (0, 2), (2, 1)):
        expected = np.zeros(6)
        expected[MASK[target]] = numpy_encoders.history_weights(
            ARGUMENTS["history"][target, MASK[target]],
            ARGUMENTS["rows"][target, row],
            weights_of(layer),
            config,
            slots=6,
        )
        np.testing.assert_allclose(weights[target, row], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
def test_padding_does_not_matter(layers):
    layer = make(layers, dtype="float64")
    noisy = {**ARGUMENTS, "history": np.where(MASK[..., None], ARGUMENTS["history"], 1e3)}
    np.testing.assert_allclose(layer(**noisy), layer(**ARGUMENTS), atol=1e-9)


@pytest.mark.parametrize(("positions", "layers"), [("recency", 1), ("forward", 2)])
def test_layer(positions, layers):
    run_layer_test(
        lambda **kwargs: make(layers, positions, **kwargs),
        ARGUMENTS,
        weights=15 * layers,
        varying=[("rows", 1)],
    )


def test_dropout():
    run_dropout_test(make, ARGUMENTS)


def test_unknown_positions_are_refused():
    with pytest.raises(
        ValueError,
        match=r"`history_positions` must be one of .*Got 'last'.*Fix: .*model\.history_pos",
    ):
        make(history_positions="last")
