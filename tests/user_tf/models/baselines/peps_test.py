"""PEPS against its equations, written target by target with lists instead of padding."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import attention, cosine, knrm, part
from tests.user_tf.layers.personal_embedding_test import hashed
from tests.user_tf.models.baselines.hrnn_test import gru
from tests.user_tf.models.baselines.numpy_news import tokens_of
from tests.user_tf.models.ranker_testing import score, with_row_subsets
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.baselines.peps import Peps

CONFIG = ModelConfig(width=6, num_heads=2, key_dim=3, personal_rows=50)


def make(seed=3):
    return randomize(Peps(CONFIG, SIZES, dtype="float64", name="peps").build_from_sizes(), seed)


def views(tokens, user, weights):
    """Word vectors `[n, d]` of a text in the four views."""
    shared = weights["embedding/embeddings"][tokens]
    rows = weights["personal_embedding/table/embeddings"]
    pairs = [hashed(user, token, len(rows)) for token in tokens]
    personal = shared + rows[pairs] if user and pairs else shared
    return {
        "global": shared,
        "personal": personal,
        "global_context": attention(shared, part(weights, "global_attention"), CONFIG.num_heads),
        "personal_context": attention(
            personal, part(weights, "personal_attention"), CONFIG.num_heads
        ),
    }


def scores(batch, weights):
    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        user = batch["user"][target]

        def read(text, user=user):
            return views(np.array(tokens_of(batch, text), int), user, weights)

        query = read(batch["query_text"][target])
        states = gru(query["personal"], part(weights, "query_gru", "gru_cell"))
        state = states[-1] if states else np.zeros(CONFIG.width)
        for slot, candidate in enumerate(batch["candidate_text"][target]):
            signals = np.zeros(5)
            if batch["task"][target] == 2:
                document = read(candidate)
                vector = np.tanh(document["personal"].sum(axis=0) @ weights["document/kernel"])
                signals = [
                    *(
                        knrm(query[view], document[view], part(weights, f"{view}_knrm"))
                        for view in query
                    ),
                    cosine(state, vector),
                ]
            signals = [*signals, *batch["features"][target, slot]]
            result[target, slot] = signals @ weights["score/kernel"][:, 0]
    return result


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("row_subsets", [False, True])
def test_scores_equal_the_equations_written_target_by_target(seed, row_subsets):
    model, batch = make(), random_batch(seed)
    batch["query_text"][1] = 0
    expected = scores(batch, weights_of(model))
    found = score(model, with_row_subsets(batch, more=3) if row_subsets else batch)
    real = batch["task"] > 0
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-9, atol=1e-9)


def test_a_user_has_words_of_their_own_and_the_unknown_user_the_global_ones():
    model, batch = make(), random_batch(1, tasks=(2,))
    batch["user"][:2] = [1, 0]
    before = score(model, batch)
    other = {**batch, "user": batch["user"].copy()}
    other["user"][0] = 2
    after = score(model, other)
    assert np.abs(after[0] - before[0]).max() > 1e-3
    np.testing.assert_array_equal(after[1:], before[1:])
    table = model.personal_embedding.table.embeddings
    table.assign(np.zeros(table.shape))
    without = score(model, batch)
    assert np.abs(without[0] - before[0]).max() > 1e-3
    np.testing.assert_array_equal(without[1], before[1])


def test_recommendations_are_scored_by_features_alone():
    model, batch = make(), random_batch(2, tasks=(1,))
    batch["features"][0, 0] = 1
    expected = batch["features"] @ np.asarray(model.score.kernel)[5:, 0]
    np.testing.assert_allclose(score(model, batch), expected, rtol=1e-12)


def test_behaviors_before_the_target_are_not_read():
    model, batch = make(), random_batch(3)
    before = score(model, batch)
    for field in ("current_behaviors", "past_sessions", "behavior_text", "behavior_clicked"):
        batch[field][:] = 0
    np.testing.assert_array_equal(score(model, batch), before)


def test_with_row_subsets_only_searches_are_matched(monkeypatch):
    model, batch, seen = make(), random_batch(1), []

    def match(users, tokens, training=False):
        seen.append(tokens.shape)
        return Peps.match(model, users, tokens, training)

    monkeypatch.setattr(model, "match", match)
    score(model, batch)
    score(model, with_row_subsets(batch))
    assert seen == [(7, 5, 5), (1 + 3, 5, 5)]
