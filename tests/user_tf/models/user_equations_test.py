"""USER against its equations, under every setting."""

import dataclasses

import numpy as np
import pytest

from tests.user_tf.layer_testing import weights_of
from tests.user_tf.models import numpy_user
from tests.user_tf.models.ranker_testing import (
    empty_history,
    empty_sessions,
    empty_texts,
    no_clicks,
    no_current_session,
    score,
)
from tests.user_tf.models.user_testing import SETTINGS, SMALL, make, shared
from tests.user_tf.random_batch import random_batch
from user_tf.models.ranker import Sizes


@pytest.mark.parametrize("name", SETTINGS)
def test_scores_equal_the_equations_written_target_by_target(name):
    model = shared(name)
    batch = random_batch(1)
    expected = numpy_user.scores(batch, weights_of(model), model.config)
    real = batch["task"] > 0
    np.testing.assert_allclose(score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in SETTINGS if n not in ("default", "two layers")])
def test_a_setting_changes_the_scores_of_the_default(name):
    """In the oracle, which the model equals; layers are counted there by their weights."""
    batch, weights = random_batch(1), weights_of(shared())
    config = dataclasses.replace(SMALL, **SETTINGS[name])
    if not (config.session_encoder and config.history_encoder and config.knrm):
        assert len(shared(name).trainable_variables) < len(weights)
        return
    changed = numpy_user.scores(batch, weights, config)
    default = numpy_user.scores(batch, weights, SMALL)
    assert not np.allclose(changed, default, atol=1e-6)


def test_empty_things_score_as_the_equations_say():
    """The oracle works on lists, so emptiness is not a special case of a mask there."""
    model = shared()
    for emptiness in (empty_history, empty_sessions, no_current_session, no_clicks, empty_texts):
        batch = random_batch(8)
        emptiness(batch)
        expected = numpy_user.scores(batch, weights_of(model), model.config)
        real = batch["task"] > 0
        np.testing.assert_allclose(
            score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9, err_msg=str(emptiness)
        )


def test_recommendations_see_no_query_and_searches_no_user():
    model = shared()
    batch = random_batch(9, tasks=(1,))
    before = score(model, batch)
    batch["query_text"][:] = 3
    np.testing.assert_array_equal(score(model, batch)[:-1], before[:-1])
    batch = random_batch(9, tasks=(2,))
    before = score(model, batch)
    batch["user"][:] = 2
    np.testing.assert_array_equal(score(model, batch)[:-1], before[:-1])


def test_an_infinite_user_vector_does_not_reach_searches():
    model = make()
    batch = random_batch(9)
    table = np.asarray(model.user_embedding.embeddings)
    model.user_embedding.embeddings.assign(np.full_like(table, np.inf))
    scores = score(model, batch)
    assert np.isfinite(scores[batch["task"] == 2]).all()


def test_datasets_without_features_work():
    sizes = Sizes(vocabulary=40, users=6, clicked_titles=3, session_behaviors=4, past_sessions=3)
    model = make(sizes=sizes)
    assert model.scorer.linear.kernel.shape == (5, 1)
    assert np.isfinite(score(model, random_batch(1, sizes))).all()
