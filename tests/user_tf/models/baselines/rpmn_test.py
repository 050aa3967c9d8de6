"""RPMN against its equations, written target by target with lists instead of padding."""

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import cosine, knrm, part, softmax
from tests.user_tf.models.baselines.hrnn_test import gru
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.baselines.rpmn import Rpmn

CONFIG = ModelConfig(width=6)


def make():
    return randomize(Rpmn(CONFIG, SIZES, dtype="float64", name="rpmn").build_from_sizes(), seed=3)


def scores(batch, weights):
    table = weights["embedding/embeddings"]
    width = table.shape[1]
    pool = part(weights, "pool")

    def words(index):
        return table[[token for token in batch["text_tokens"][index] if token]]

    def text(index):
        rows = words(index)
        if not len(rows):
            return np.zeros(width)
        hidden = np.tanh(rows @ pool["hidden/kernel"] + pool["hidden/bias"])
        return softmax((hidden @ pool["score/kernel"])[:, 0]) @ rows

    def titles(index):
        return [title for title in batch["behavior_clicked"][index] if title]

    def clicked_mean(index):
        clicked = [text(title) for title in titles(index)]
        return np.mean(clicked, axis=0) if clicked else np.zeros(width)

    def searches(members):
        return [index for index in members if batch["behavior_type"][index] == 2]

    def states(members):
        rows = [
            np.concatenate([text(batch["behavior_text"][index]), clicked_mean(index)])
            for index in searches(members)
        ]
        return gru(rows, part(weights, "gru", "gru_cell"))

    def read(keys, values, asked):
        if not keys:
            return np.zeros(width)
        return softmax(np.array(keys) @ asked / np.sqrt(width)) @ np.array(values)

    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        query = text(batch["query_text"][target])
        sessions = [batch["session_behaviors"][s] for s in batch["past_sessions"][target] if s]
        current = batch["current_behaviors"][target]
        past = [i for members in [*sessions, current] for i in searches(members)]
        with_clicks = [i for i in past if titles(i)]
        by_query = read(
            [text(batch["behavior_text"][i]) for i in with_clicks],
            [clicked_mean(i) for i in with_clicks],
            query,
        )
        pairs = [(text(t), text(batch["behavior_text"][i])) for i in past for t in titles(i)]
        now = states(current)
        state = now[-1] if now else np.zeros(width)
        memories = [(s, of_session[-1]) for of_session in map(states, sessions) for s in of_session]
        intents = read([m[0] for m in memories], [m[1] for m in memories], state)
        for slot, candidate in enumerate(batch["candidate_text"][target]):
            document = text(candidate)
            by_document = read([p[0] for p in pairs], [p[1] for p in pairs], document)
            matched = 0.0
            if batch["task"][target] == 2:
                rows = words(batch["query_text"][target]), words(candidate)
                matched = knrm(*rows, part(weights, "knrm"))
            signals = [
                cosine(by_query, document),
                cosine(by_document, query),
                cosine(intents @ weights["past_intent/kernel"], document),
                cosine(state @ weights["intent/kernel"], document),
                cosine(query, document),
                matched,
                *batch["features"][target, slot],
            ]
            result[target, slot] = signals @ weights["score/kernel"][:, 0]
    return result


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_equal_the_equations_written_target_by_target(seed):
    model, batch = make(), random_batch(seed)
    found = model({name: tf.constant(value) for name, value in batch.items()}).numpy()
    expected = scores(batch, weights_of(model))
    real = batch["task"] > 0
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-9, atol=1e-9)


def test_browses_are_not_read():
    model, batch = make(), random_batch(3)
    before = model({name: tf.constant(value) for name, value in batch.items()}).numpy()
    browses = batch["behavior_type"] == 1
    assert browses.any()
    batch["behavior_text"][browses] = 1
    after = model({name: tf.constant(value) for name, value in batch.items()}).numpy()
    np.testing.assert_array_equal(after, before)
