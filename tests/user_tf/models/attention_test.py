"""Attention of targets to behaviors, of every ranker that reports it."""

import dataclasses

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers import numpy_layers
from tests.user_tf.layers.numpy_layers import attentive_encoder, self_attention
from tests.user_tf.models import numpy_user
from tests.user_tf.models.baselines.numpy_news import tokens_of
from tests.user_tf.models.ranker_testing import only, tensors, with_row_subsets
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.batch_ops import padded_history, padded_session
from user_tf.registry import RANKERS

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10)
WITH_ATTENTION = sorted(name for name, ranker in RANKERS.items() if hasattr(ranker, "attention"))
ABLATIONS = [
    {},
    {"session_encoder": False},
    {"history_encoder": False},
    {"session_passes": 2, "session_layers": 2, "history_layers": 2},
]

each = pytest.mark.parametrize("name", WITH_ATTENTION)


def make(name, **settings):
    config = dataclasses.replace(SMALL, name=name, **settings)
    return randomize(RANKERS[name](config, SIZES, dtype="float64", name=name).build_from_sizes())


def attention(model, batch):
    return np.asarray(model.attention(tensors(batch)))


def test_user_and_nrms_report_their_attention():
    assert {"user", "nrms", "nrms_unified"} <= set(WITH_ATTENTION)


@each
@pytest.mark.parametrize("seed", [1, 2])
def test_weights_lie_on_real_behaviors_and_sum_to_1_for_each_encoder(name, seed):
    batch = random_batch(seed)
    weights = attention(make(name), batch)
    past, current = (np.asarray(f(tensors(batch)).mask) for f in (padded_history, padded_session))
    mask = np.concatenate([past, current], axis=1)
    assert weights.shape == mask.shape
    assert (weights >= 0).all() and (weights[~mask] == 0).all()
    parts = np.split(weights, [past.shape[1]], axis=1)
    sums = np.stack([part.sum(axis=1) for part in parts])
    # An encoder a part, or one for both.
    apart = (np.isclose(sums, 1) | (sums == 0)).all(axis=0)
    assert (apart | np.isclose(sums.sum(axis=0), 1)).all()
    assert (weights.max(axis=1) > 0).sum() >= 4


@each
def test_attention_of_a_packed_batch_equals_each_target_alone(name):
    model, batch = make(name), random_batch(3)
    weights = attention(model, batch)
    for target in np.flatnonzero(batch["task"]):
        alone = attention(model, only(batch, target))
        np.testing.assert_allclose(alone[0], weights[target], rtol=1e-9, atol=1e-12)


@each
def test_row_subsets_change_no_weight(name):
    model, batch = make(name), random_batch(6)
    weights = attention(model, batch)
    subsets = with_row_subsets(batch, more=1)
    shortened = np.asarray(model.attention(subsets))
    # The same behaviors without the places between them.
    full, short = (
        np.concatenate([f(given).mask for f in (padded_history, padded_session)], axis=1)
        for given in (tensors(batch), subsets)
    )
    assert short.shape[1] < full.shape[1]
    np.testing.assert_array_equal(short.sum(axis=1), full.sum(axis=1))
    np.testing.assert_allclose(shortened[short], weights[full], rtol=1e-9, atol=1e-12)
    assert not shortened[~short].any()


@pytest.mark.parametrize("settings", ABLATIONS, ids=str)
def test_weights_of_user_equal_its_equations_target_by_target(settings):
    model, batch = make("user", **settings), random_batch(1)
    expected = numpy_user.behavior_weights(batch, weights_of(model), model.config)
    assert expected.max() > 0
    np.testing.assert_allclose(attention(model, batch), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["nrms", "nrms_unified"])
def test_weights_of_nrms_lie_on_clicks_and_weigh_its_user_vector(name):
    """The sum of the weighted self-attention rows is the user's vector of the equations."""
    model, batch = make(name), random_batch(2)
    own = weights_of(model)
    found = attention(model, batch)
    for target in np.flatnonzero(batch["task"]):
        places = batch["session_behaviors"][batch["past_sessions"][target]].ravel()
        places = [*places, *batch["current_behaviors"][target]]
        titles, owners = [], []
        for place, behavior in enumerate(places):
            kind = batch["behavior_type"][behavior]
            texts = [batch["behavior_text"][behavior]] if kind == 1 else []
            if kind == 2 and name == "nrms_unified":
                texts = list(batch["behavior_clicked"][behavior])
            for words in filter(None, (tokens_of(batch, text) for text in texts)):
                vectors = own["embedding/embeddings"][words]
                titles.append(
                    attentive_encoder(
                        vectors, numpy_layers.part(own, "word_encoder"), SMALL.num_heads
                    )
                )
                owners.append(place)
        expected = np.zeros(len(places))
        if titles:
            layer = numpy_layers.part(own, "click_encoder")
            np.add.at(expected, owners, pooling(np.array(titles), layer))
        np.testing.assert_allclose(found[target], expected, rtol=1e-9, atol=1e-12)


def pooling(titles, layer):
    attended = self_attention(titles, numpy_layers.part(layer, "attention"), SMALL.num_heads)
    return numpy_layers.additive_weights(attended, numpy_layers.part(layer, "pool"))
