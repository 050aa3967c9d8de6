"""Scorer."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, run_layer_test
from tests.user_tf.layers.numpy_layers import cosine
from tests.user_tf.models.numpy_user_plus import gelu
from user_tf.layers.user.scorer import Scorer

RNG = np.random.default_rng(0)
ARGUMENTS = {
    "intents": [RNG.normal(size=(2, 4)), RNG.normal(size=(2, 4))],
    "candidates": [RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4))],
    "signals": [RNG.normal(size=(2, 3, 1)), RNG.normal(size=(2, 3, 5))],
}


FORMS = [{}, {"score_tanh": True}, {"hidden_dim": 6}]


@pytest.mark.parametrize("form", FORMS)
def test_scores_equal_the_equation(form):
    layer = Scorer(dtype="float64", **form)
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
        if form.get("score_tanh"):
            expected = np.tanh(expected)
        if form.get("hidden_dim"):
            hidden = np.array(signals) @ np.asarray(layer.hidden.kernel) + layer.hidden.bias
            expected += gelu(hidden) @ np.asarray(layer.output_weights)[:, 0]
        np.testing.assert_allclose(scores[target, slot], expected, rtol=1e-9)
    explained, parts = layer.explain(layer.features(**ARGUMENTS))
    np.testing.assert_array_equal(explained, scores)
    total = np.tanh(parts.numpy().sum(2)) if form.get("score_tanh") else parts.numpy().sum(2)
    np.testing.assert_allclose(total, scores, rtol=1e-9)


def test_a_hidden_layer_starts_at_the_linear_score():
    layer = Scorer(hidden_dim=6, dtype="float64")
    np.testing.assert_array_equal(
        layer(**ARGUMENTS), layer.linear(layer.features(**ARGUMENTS))[..., 0]
    )


@pytest.mark.parametrize("form", FORMS)
def test_layer(form):
    run_layer_test(
        lambda **kwargs: Scorer(**form, **kwargs),
        ARGUMENTS,
        weights=4 if "hidden_dim" in form else 1,
        half_tolerance=0.5,
    )
