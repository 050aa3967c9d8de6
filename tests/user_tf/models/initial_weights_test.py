"""Under `init_scheme=average` an untrained ranker already prefers what the user just read."""

import keras
import numpy as np
import pytest

from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.registry import build_ranker

CONFIG = {"width": 16, "num_heads": 2, "key_dim": 8, "intermediate_dim": 16, "dropout": 0.0}


def build(name="user", **changes):
    keras.utils.set_random_seed(3)
    user = build_ranker(ModelConfig(name=name, **CONFIG | changes), SIZES)
    # Words as far apart as word vectors are.
    table = user.word_embedding.embeddings
    table.assign(np.random.default_rng(0).normal(size=table.shape))
    return user


def share_of_first_places(user):
    """Return how often the candidate with the text of the only behavior of the session comes first."""
    hits = []
    for seed in range(30):
        batch = random_batch(seed, tasks=(1,), candidates=6)
        rows = np.flatnonzero(batch["task"])
        browse = np.flatnonzero(batch["behavior_type"] == 1)[0]
        batch["behavior_text"][browse] = 1
        batch["current_behaviors"][:] = 0
        batch["current_behaviors"][rows, 0] = browse
        batch["past_sessions"][:] = 0
        batch["candidate_text"][rows] = np.arange(1, 7)
        scores = np.asarray(user(batch))[rows]
        hits.append((scores.argmax(axis=1) == 0).mean())
    return np.mean(hits)


def test_an_untrained_model_ranks_the_text_just_read_first():
    plain = {"session_positions": False, "history_positions": "off"}
    assert share_of_first_places(build(init_scheme="average", **plain)) > 0.9
    assert share_of_first_places(build(init_scheme="glorot", **plain)) < 0.6


def test_attention_begins_as_an_average():
    user = build(init_scheme="average")
    for encoder in (user.text_encoder, user.session_encoder, user.history_encoder):
        attention = encoder.transformer.blocks[0].attention
        product = np.asarray(attention.value_kernel) @ np.asarray(attention.output_kernel)
        np.testing.assert_allclose(product, np.eye(16), atol=1e-5)


def test_the_score_begins_as_the_sum_of_cosines():
    weights = np.asarray(build(init_scheme="average").scorer.linear.kernel)[:, 0]
    np.testing.assert_array_equal(weights[:4], 4.0)
    assert (np.abs(weights[4:]) < 0.02).all() and (weights[4:] != 0).all()
    alone = build(init_scheme="average", history_encoder=False)
    assert np.asarray(alone.scorer.linear.kernel)[0, 0] == 4.0


def test_a_bounded_score_begins_away_from_its_bound():
    user = build(init_scheme="average", score_tanh=True)
    np.testing.assert_array_equal(np.asarray(user.scorer.linear.kernel)[:4, 0], 0.25)
    batch = random_batch(0, tasks=(1, 2), candidates=6)
    scores = np.asarray(user(batch))[np.flatnonzero(batch["task"])]
    assert np.abs(scores).max() < 0.9 and (scores.std(axis=1) > 0.001).all()
    alone = build(init_scheme="average", score_tanh=True, history_encoder=False)
    assert np.asarray(alone.scorer.linear.kernel)[0, 0] == 1.0


def test_narrow_heads_begin_as_a_projection():
    user = build(init_scheme="average", num_heads=1)
    attention = user.text_encoder.transformer.blocks[0].attention
    product = np.asarray(attention.value_kernel) @ np.asarray(attention.output_kernel)
    np.testing.assert_allclose(product @ product, product, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "cosines"),
    [
        ("htps", range(5)),
        ("htps_unified", range(5)),
        ("hrnn", range(2)),
        ("rpmn", range(5)),
        ("peps", [4]),
        ("jsr", range(2)),
    ],
)
def test_baselines_that_score_by_cosines_begin_with_their_sum(name, cosines):
    ranker, drawn = build(name, init_scheme="average"), build(name, init_scheme="glorot")
    ranker, drawn = (getattr(model, "search", model) for model in (ranker, drawn))
    weights = np.asarray(ranker.score.kernel)[:, 0]
    np.testing.assert_array_equal(weights[list(cosines)], 4.0)
    others = np.delete(weights, list(cosines))
    assert (np.abs(others) < 0.02).all() and (others != 0).all()
    assert (np.abs(np.asarray(drawn.score.kernel)) < 2).all()


def attentions(model):
    if hasattr(model, "global_attention"):
        return [model.global_attention, model.personal_attention]
    encoders = (model.short_encoder, model.long_encoder, model.query_encoder, model.next_encoder)
    transformers = [model.word_encoder, *(encoder.transformer for encoder in encoders)]
    return [transformer.blocks[0].attention for transformer in transformers]


@pytest.mark.parametrize("name", ["htps", "peps"])
def test_attention_of_baselines_begins_as_an_average(name):
    for attention in attentions(build(name, init_scheme="average")):
        product = np.asarray(attention.value_kernel) @ np.asarray(attention.output_kernel)
        np.testing.assert_allclose(product, np.eye(16), atol=1e-5)
