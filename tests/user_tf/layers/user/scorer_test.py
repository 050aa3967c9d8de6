"""Scorer."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_layer_test
from tests.user_tf.layers.numpy_layers import cosine
from user_tf.layers.user.scorer import Scorer

RNG = np.random.default_rng(0)
ARGUMENTS = {
    "intents": [RNG.normal(size=(2, 4)), RNG.normal(size=(2, 4))],
    "candidates": [RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4))],
    "signals": [RNG.normal(size=(2, 3, 1)), RNG.normal(size=(2, 3, 5))],
}


@pytest.mark.parametrize("tanh", [False, True])
def test_scores_equal_the_equation(tanh):
    layer = Scorer(tanh, dtype="float64")
    layer(**ARGUMENTS)
    scores = randomize(layer)(**ARGUMENTS).numpy()
    for target, slot in np.ndindex(2, 3):
        (session, history), (plain, long) = (
            [intent[target] for intent in ARGUMENTS["intents"]],
            [documents[target, slot] for documents in ARGUMENTS["candidates"]],
        )
        signals = [
            cosine(session, plain),
            cosine(session, long),
            cosine(history, plain),
            cosine(history, long),
            *ARGUMENTS["signals"][0][target, slot],
            *ARGUMENTS["signals"][1][target, slot],
        ]
        expected = np.array(signals) @ np.asarray(layer.linear.kernel)[:, 0]
        np.testing.assert_allclose(
            scores[target, slot], np.tanh(expected) if tanh else expected, rtol=1e-9
        )


@pytest.mark.parametrize("tanh", [False, True])
def test_layer(tanh):
    run_layer_test(
        lambda **kwargs: Scorer(tanh, **kwargs), ARGUMENTS, weights=1, half_tolerance=0.5
    )
