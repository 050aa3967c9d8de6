"""Session encoder."""

import dataclasses

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_dropout_test, run_layer_test, weights_of
from tests.user_tf.layers.user import numpy_encoders
from user_tf.config import ModelConfig
from user_tf.layers.user.session_encoder import SessionEncoder

CONFIG = ModelConfig(width=4, num_heads=2, key_dim=3, intermediate_dim=6)
RNG = np.random.default_rng(0)
MASK = np.arange(3) < np.array([[3], [1], [0]])
PAST = {
    "behaviors": RNG.normal(size=(3, 3, 4)),
    "types": np.array([[1, 2, 1], [2, 0, 0], [0, 0, 0]], np.int32),
    "padding_mask": MASK,
}
CURRENT = {
    **PAST,
    "target": RNG.normal(size=(3, 4)),
    "target_types": np.array([2, 1, 2], np.int32),
}

SETTINGS = [
    {},
    {"session_passes": 2},
    {"session_passes": 3, "session_layers": 2},
    {"session_positions": False},
    {"session_types": False},
]


def make(session_layers=1, session_positions=True, session_types=True, session_passes=1, **kwargs):
    return SessionEncoder(
        session_positions,
        session_types,
        session_passes,
        num_layers=session_layers,
        num_heads=2,
        key_dim=3,
        intermediate_dim=6,
        **kwargs,
    )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sessions_equal_the_equations_one_by_one(settings):
    config = dataclasses.replace(CONFIG, **settings)
    layer = make(dtype="float64", **settings)
    layer.build(PAST["behaviors"].shape)
    randomize(layer)
    contextual, intents = layer(**PAST).numpy(), layer(**CURRENT).numpy()
    for row, length in enumerate((3, 1, 0)):
        behaviors, types = PAST["behaviors"][row, :length], PAST["types"][row, :length]
        if length:
            expected = numpy_encoders.session(behaviors, types, weights_of(layer), config)
            np.testing.assert_allclose(contextual[row, :length], expected, rtol=1e-9, atol=1e-9)
        assert (contextual[row, length:] == 0).all()
        target, kind = CURRENT["target"][row], CURRENT["target_types"][row]
        expected = numpy_encoders.session(behaviors, types, weights_of(layer), config, target, kind)
        np.testing.assert_allclose(intents[row], expected[-1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_behavior_weights_equal_the_attention_of_the_target_in_the_last_pass(settings):
    config = dataclasses.replace(CONFIG, **settings)
    layer = make(dtype="float64", **settings)
    layer.build(PAST["behaviors"].shape)
    weights = randomize(layer).behavior_weights(**CURRENT).numpy()
    np.testing.assert_array_equal(weights[2], np.zeros(3))
    for row, length in ((0, 3), (1, 1)):
        expected = numpy_encoders.session_weights(
            PAST["behaviors"][row, :length],
            PAST["types"][row, :length],
            weights_of(layer),
            config,
            CURRENT["target"][row],
            CURRENT["target_types"][row],
        )
        np.testing.assert_allclose(weights[row, :length], expected, rtol=1e-9)
        np.testing.assert_array_equal(weights[row, length:], np.zeros(3 - length))


def test_padding_does_not_matter():
    layer = make(dtype="float64", session_passes=2)
    noise = {"behaviors": np.where(MASK[..., None], PAST["behaviors"], 1e3)}
    noise["types"] = np.where(MASK, PAST["types"], 2).astype(np.int32)
    for session in (PAST, CURRENT):
        np.testing.assert_allclose(layer(**{**session, **noise}), layer(**session), atol=1e-9)


@pytest.mark.parametrize("session", [PAST, CURRENT], ids=["past", "current"])
@pytest.mark.parametrize("settings", [{}, {"session_passes": 2}], ids=str)
def test_layer(session, settings):
    run_layer_test(lambda **kwargs: make(**settings, **kwargs), session, weights=16)


def test_dropout():
    run_dropout_test(make, CURRENT)
