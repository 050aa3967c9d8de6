"""Tests of the click and dwell model and of the probabilities that it states."""

import numpy as np
import pytest

from data_pipeline.simulator.click_model import ClickModel
from data_pipeline.simulator.click_probabilities import satisfied_click_probability


def _case(seed, rows=4000):
    rng = np.random.default_rng(seed)
    states = np.concatenate([rng.normal(size=(rows, 3)), np.ones((rows, 1))], axis=1)
    documents = rng.normal(size=(rows, 10, 4))
    positions = np.broadcast_to(np.arange(1, 11), (rows, 10))
    return states, documents, positions


def test_drawn_satisfied_clicks_are_as_frequent_as_stated():
    states, documents, positions = _case(1)
    model = ClickModel()
    stated = satisfied_click_probability(states, documents, positions, model)
    clicked, dwell = model.draw_clicks(
        model.affinity(states, documents), positions, np.random.default_rng(2)
    )
    drawn = clicked & (dwell > model.satisfied_seconds)
    deviation = np.sqrt((stated * (1 - stated)).sum(axis=0))
    assert (np.abs(drawn.sum(axis=0) - stated.sum(axis=0)) < 4 * deviation).all()


@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.3])
def test_a_click_satisfies_as_often_as_stated_at_every_affinity(offset):
    model = ClickModel()
    affinity = np.full((20_000, 10), model.center + offset)
    clicked, dwell = model.draw_clicks(affinity, np.ones_like(affinity), np.random.default_rng(6))
    stated = float(model.satisfaction_probability(affinity[0, 0]))
    deviation = np.sqrt(stated * (1 - stated) / clicked.sum())
    assert clicked.sum() > 1000
    assert abs((dwell[clicked] > 30).mean() - stated) < 4 * deviation


def test_position_lowers_the_probability_by_the_examination_alone():
    states, documents, _ = _case(3, rows=5)
    first = satisfied_click_probability(states, documents, np.ones((5, 10)))
    ninth = satisfied_click_probability(states, documents, np.full((5, 10), 9))
    np.testing.assert_allclose(ninth, first * 9**-0.5)


@pytest.mark.parametrize("model", [ClickModel(), ClickModel(slope=2.0, dwell_slope=0.5)])
def test_more_affinity_means_more_satisfied_clicks(model):
    documents = np.linspace(-3, 3, 10)[None, :, None]
    stated = satisfied_click_probability(np.ones((1, 1)), documents, np.ones((1, 10)), model)
    assert (np.diff(stated) > 0).all() and (stated > 0).all() and (stated < 1).all()


def test_some_clicks_do_not_satisfy():
    states, documents, positions = _case(4)
    model = ClickModel()
    clicked, dwell = model.draw_clicks(
        model.affinity(states, documents), positions, np.random.default_rng(5)
    )
    short = (dwell[clicked] <= 30).mean()
    assert 0.02 < short < 0.5
    assert dwell.max() <= 900 and dwell.min() >= 1
