"""LSTUR against its equations, written target by target."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import additive_attention, convolution, part
from tests.user_tf.models.baselines.numpy_news import clicked_titles, scores
from tests.user_tf.models.ranker_testing import score
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.baselines.lstur import UserMasking
from user_tf.registry import RANKERS
from user_tf.training.steps.tf_step import reseed, seed_states

# Dropout 0, so that what training changes is the masking of users alone.
SMALL = ModelConfig(width=8, num_heads=3, key_dim=3, dropout=0.0)
VARIANTS = ["lstur_ini", "lstur_con"]

SEED = np.array((1, 0))


def make(name):
    return randomize(RANKERS[name](SMALL, SIZES, dtype="float64", name=name).build_from_sizes())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(rows, weights, state):
    """The last state, click by click; the gates are z, r and the candidate state."""
    kernels = np.split(weights["kernel"], 3, axis=1)
    recurrents = np.split(weights["recurrent_kernel"], 3, axis=1)
    biases = np.split(weights["bias"], 3)
    for row in rows:
        read = [row @ kernel + bias for kernel, bias in zip(kernels, biases, strict=True)]
        update = sigmoid(read[0] + state @ recurrents[0])
        reset = sigmoid(read[1] + state @ recurrents[1])
        new = np.tanh(read[2] + (reset * state) @ recurrents[2])
        state = update * state + (1 - update) * new
    return state


def oracle(name, batch, weights, masked=()):
    def news(_, tokens):
        if not tokens:
            return np.zeros(9)
        words = convolution(tokens, part(weights, "words"))
        return additive_attention(words, part(weights, "pool"))

    def user(target):
        long = weights["user_embedding/embeddings"][batch["user"][target]]
        long = long * (target not in masked)
        titles = [news(target, tokens) for tokens in clicked_titles(batch, target)]
        layer = part(weights, "gru", "gru_cell")
        if name == "lstur_ini":
            return gru(titles, layer, long)
        return np.concatenate([gru(titles, layer, np.zeros(5)), long])

    return scores(batch, news, user)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_scores_equal_the_equations_written_target_by_target(name, seed):
    model, batch = make(name), random_batch(seed)
    batch["current_behaviors"][0] = batch["past_sessions"][0] = 0
    expected = oracle(name, batch, weights_of(model))
    assert np.abs(expected[0]).max() > 1e-3
    real = batch["task"] > 0
    np.testing.assert_allclose(score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", VARIANTS)
def test_training_masks_complete_users_and_nothing_else(name):
    model, batch = make(name), random_batch(1, targets=40)
    weights = weights_of(model)
    scores = score(model, batch, training=True)
    kept, masked = (oracle(name, batch, weights, rows) for rows in ((), range(40)))
    told = np.flatnonzero(np.abs(kept - masked).max(axis=1) > 1e-6)
    is_masked = np.isclose(scores, masked, rtol=1e-9, atol=1e-9).all(axis=1)[told]
    is_kept = np.isclose(scores, kept, rtol=1e-9, atol=1e-9).all(axis=1)[told]
    assert (is_masked ^ is_kept).all()
    assert 0.25 < is_masked.mean() < 0.75


@pytest.mark.parametrize("name", VARIANTS)
def test_masks_are_seeded_by_the_step(name):
    model, batch = make(name), random_batch(1, targets=40)
    states = seed_states(model)
    assert model.user_masking.seed_generator.state in states

    def at(step):
        reseed(states, SEED, tf.constant(step, tf.int64), tf.constant(0))
        return score(model, batch, training=True)

    first = at(3)
    assert not np.allclose(at(4), first)
    np.testing.assert_array_equal(at(3), first)


def test_rows_are_masked_with_the_given_probability_and_not_scaled():
    keras.utils.set_random_seed(1)
    masking = UserMasking(0.3, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2000, 3))
    np.testing.assert_array_equal(masking(x), x)
    masked = np.asarray(masking(x, training=True))
    gone = (masked == 0).all(axis=1)
    np.testing.assert_array_equal(masked[~gone], x[~gone])
    assert 0.26 < gone.mean() < 0.34
    assert UserMasking.from_config(masking.get_config()).rate == 0.3


def test_the_order_of_clicks_matters():
    batch = random_batch(1, targets=2, tasks=(1,))
    batch["behavior_type"][1:3], batch["behavior_text"][1:3] = 1, [2, 3]
    batch["past_sessions"][:] = 0
    batch["current_behaviors"][0] = [1, 2, 0, 0]
    model = make("lstur_ini")
    before = score(model, batch)[0]
    batch["current_behaviors"][0] = [2, 1, 0, 0]
    assert not np.allclose(score(model, batch)[0], before)
