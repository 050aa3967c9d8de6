"""Under `start=average` an untrained USER already prefers what the user just read."""

import keras
import numpy as np

from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.registry import build_ranker

CONFIG = {"width": 16, "heads": 2, "head_width": 8, "feed_forward": 16, "dropout": 0.0}


def build(**changes):
    keras.utils.set_random_seed(3)
    user = build_ranker(ModelConfig(**CONFIG | changes), SIZES)
    # Words as far apart as word vectors are.
    table = user.word_embedding.embeddings
    table.assign(np.random.default_rng(0).normal(size=table.shape))
    return user


def share_of_first_places(user):
    """How often the candidate with the text of the only behavior of the session comes first."""
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


def test_an_untrained_model_finds_the_text_just_read():
    plain = {"session_positions": False, "history_positions": "off"}
    assert share_of_first_places(build(start="average", **plain)) > 0.9
    assert share_of_first_places(build(start="glorot", **plain)) < 0.6


def test_attention_begins_as_an_average():
    user = build(start="average")
    for encoder in (user.text_encoder, user.session_encoder, user.history_encoder):
        attention = encoder.transformer.blocks[0].attention
        product = np.asarray(attention.value_kernel) @ np.asarray(attention.output_kernel)
        np.testing.assert_allclose(product, np.eye(16), atol=1e-5)


def test_the_score_begins_as_the_sum_of_cosines():
    weights = np.asarray(build(start="average").scorer.linear.kernel)[:, 0]
    np.testing.assert_array_equal(weights[:4], 4.0)
    assert (np.abs(weights[4:]) < 0.02).all() and (weights[4:] != 0).all()
    alone = build(start="average", history_encoder=False)
    assert np.asarray(alone.scorer.linear.kernel)[0, 0] == 4.0


def test_narrow_heads_begin_as_a_projection():
    user = build(start="average", heads=1)
    attention = user.text_encoder.transformer.blocks[0].attention
    product = np.asarray(attention.value_kernel) @ np.asarray(attention.output_kernel)
    np.testing.assert_allclose(product @ product, product, atol=1e-5)
