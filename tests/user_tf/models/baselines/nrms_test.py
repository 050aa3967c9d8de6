"""NRMS against its equations, written target by target."""

import dataclasses

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import attentive_encoder, part
from tests.user_tf.models.baselines.numpy_news import clicked_titles, scores
from tests.user_tf.models.ranker_testing import no_clicks, score
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.registry import RANKERS

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3)


def make(name="nrms"):
    return randomize(RANKERS[name](SMALL, SIZES, dtype="float64", name=name).build_from_sizes())


def oracle(batch, weights, searches):
    def news(_, tokens):
        words = weights["embedding/embeddings"][tokens] if tokens else []
        return attentive_encoder(words, part(weights, "word_encoder"), SMALL.num_heads)

    def user(target):
        titles = [news(target, tokens) for tokens in clicked_titles(batch, target, searches)]
        return attentive_encoder(titles, part(weights, "click_encoder"), SMALL.num_heads)

    return scores(batch, news, user)


@pytest.mark.parametrize(("name", "searches"), [("nrms", False), ("nrms_unified", True)])
@pytest.mark.parametrize("seed", [1, 2])
def test_scores_equal_the_equations_written_target_by_target(name, searches, seed):
    model, batch = make(name), random_batch(seed)
    expected = oracle(batch, weights_of(model), searches)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(score(model, batch), expected, rtol=1e-9, atol=1e-12)


def test_only_the_unified_variant_reads_clicks_of_searches():
    batch = random_batch(1)
    changed = {name: value.copy() for name, value in batch.items()}
    no_clicks(changed)
    np.testing.assert_array_equal(score(make(), changed), score(make(), batch))
    unified = make("nrms_unified")
    assert not np.allclose(score(unified, changed), score(unified, batch))


@pytest.mark.parametrize("name", ["nrms", "nrms_unified"])
def test_without_clicks_all_candidates_score_0(name):
    model, batch = make(name), random_batch(1)
    before = score(model, batch)
    for field in ("current_behaviors", "past_sessions"):
        batch[field][0] = 0
    scores = score(model, batch)
    np.testing.assert_array_equal(scores[0], np.zeros(4))
    np.testing.assert_array_equal(scores[1:], before[1:])
    # Searches without clicks are none either, whatever the words of their queries.
    batch = random_batch(1)
    batch["behavior_type"][1:] = 2
    no_clicks(batch)
    np.testing.assert_array_equal(score(model, batch), np.zeros((7, 4)))


def test_dropout_is_where_the_setting_says():
    config = dataclasses.replace(SMALL, dropout=0.3)
    model = RANKERS["nrms"](config, SIZES, name="nrms")
    layers = (model, model.word_encoder, model.click_encoder)
    assert [layer.dropout_layer.rate for layer in layers] == [0.3] * 3
    assert model.word_encoder.dropout == model.click_encoder.dropout == 0.3
