"""HRNN against its equations, written target by target with lists instead of padding."""

import dataclasses

import numpy as np
import tensorflow as tf

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import cosine, part, softmax
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.baselines.hrnn import Hrnn

CONFIG = ModelConfig(width=6)


def make(sizes=SIZES):
    return randomize(Hrnn(CONFIG, sizes, dtype="float64", name="hrnn").build_from_sizes(), seed=3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(rows, weights):
    """States of a GRU with the reset gate behind the recurrent product, from a zero state."""
    kernel, recurrent, bias = weights["kernel"], weights["recurrent_kernel"], weights["bias"]
    state, states = np.zeros(len(recurrent)), []
    for row in rows:
        read = np.split(row @ kernel + bias[0], 3)
        kept = np.split(state @ recurrent + bias[1], 3)
        update, reset = (sigmoid(a + b) for a, b in zip(read[:2], kept[:2], strict=True))
        state = update * state + (1 - update) * np.tanh(read[2] + reset * kept[2])
        states.append(state)
    return states


def scores(batch, weights):
    words = weights["embedding/embeddings"]
    width = words.shape[1]

    def text(index):
        tokens = [token for token in batch["text_tokens"][index] if token]
        return np.mean([words[token] for token in tokens], axis=0) if tokens else np.zeros(width)

    def search(index):
        clicked = [text(title) for title in batch["behavior_clicked"][index] if title]
        mean = np.mean(clicked, axis=0) if clicked else np.zeros(width)
        return np.concatenate([text(batch["behavior_text"][index]), mean])

    def last_state(members):
        rows = [search(index) for index in members if batch["behavior_type"][index] == 2]
        return gru(rows, part(weights, "session_gru", "gru_cell"))[-1] if rows else None

    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        query = text(batch["query_text"][target])
        members = [batch["session_behaviors"][s] for s in batch["past_sessions"][target] if s]
        past = [state for state in map(last_state, members) if state is not None]
        long, short = np.zeros(width), last_state(batch["current_behaviors"][target])
        if past:
            states = gru(past, part(weights, "user_gru", "gru_cell"))
            energies = [
                np.tanh(
                    np.concatenate([query, s]) @ weights["hidden/kernel"] + weights["hidden/bias"]
                )
                @ weights["attention/kernel"][:, 0]
                for s in states
            ]
            long = softmax(np.array(energies)) @ np.array(states)
        short = np.zeros(width) if short is None else short
        for slot, candidate in enumerate(batch["candidate_text"][target]):
            signals = [
                cosine(long @ weights["long/kernel"], text(candidate)),
                cosine(short @ weights["short/kernel"], text(candidate)),
                *batch["features"][target, slot],
            ]
            result[target, slot] = signals @ weights["score/kernel"][:, 0]
    return result


def test_scores_equal_the_equations_written_target_by_target():
    model = make()
    for seed in (1, 2):
        batch = random_batch(seed)
        expected = scores(batch, weights_of(model))
        real = batch["task"] > 0
        found = model({name: tf.constant(value) for name, value in batch.items()}).numpy()
        np.testing.assert_allclose(found[real], expected[real], rtol=1e-9, atol=1e-9)


def test_browses_are_not_read():
    model, batch = make(), random_batch(3)
    before = model({name: tf.constant(value) for name, value in batch.items()}).numpy()
    browses = batch["behavior_type"] == 1
    assert browses.any()
    batch["behavior_text"][browses] = 1
    after = model({name: tf.constant(value) for name, value in batch.items()}).numpy()
    np.testing.assert_array_equal(after, before)


def test_without_features_two_cosines_are_scored():
    model = make(dataclasses.replace(SIZES, features=0))
    assert model.score.kernel.shape == (2, 1)
