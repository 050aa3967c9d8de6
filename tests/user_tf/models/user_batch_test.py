"""Scores of USER do not depend on how targets are packed and padded."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching.spec import batch_fields
from tests.user_tf.models import ranker_checks
from tests.user_tf.models.ranker_testing import (
    EMPTINESS,
    differentiate,
    score,
    tensors,
)
from tests.user_tf.models.user_testing import SMALL, make, shared
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.models.batch_ops import padded_history, padded_session
from user_tf.models.user import User


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        ("default", "float64", 1e-9),
        ("default", "float32", 1e-4),
        ("two layers", "float64", 1e-9),
        ("two passes", "float64", 1e-9),
        ("no session encoder", "float64", 1e-9),
    ],
)
def test_a_packed_batch_equals_each_target_alone(name, dtype, tolerance):
    ranker_checks.assert_packed_equals_alone(shared(name, dtype), tolerance)


def test_scores_of_a_target_do_not_depend_on_the_rest_of_the_batch():
    model = shared()
    batch = random_batch(4)
    changed = {name: value.copy() for name, value in batch.items()}
    changed["user"][1:] = 0
    for name in ("current_behaviors", "past_sessions", "candidate_text", "query_text"):
        changed[name][1:] = changed[name][1:][::-1]
    changed["features"][1:] += 1
    np.testing.assert_allclose(
        score(model, changed)[0], score(model, batch)[0], rtol=1e-12, atol=1e-12
    )
    assert not np.allclose(score(model, changed)[1:-1], score(model, batch)[1:-1])


@pytest.mark.parametrize("name", ["default", "two layers", "simple co-attention"])
def test_longer_padding_changes_nothing(name):
    ranker_checks.assert_longer_padding_changes_nothing(shared(name))


@pytest.mark.parametrize(
    ("name", "more", "compiled"),
    [
        ("default", 0, False),
        ("default", 3, False),
        ("default", 3, True),
        ("simple co-attention", 0, False),
        ("no history encoder", 0, False),
        ("fixed positions", 1, False),
    ],
)
def test_row_subsets_change_nothing(name, more, compiled):
    ranker_checks.assert_row_subsets_change_nothing(shared(name), more, compiled)


@pytest.mark.parametrize("positions", ["forward", "recency", "off"])
def test_more_slots_for_sessions_and_behaviors_change_nothing(positions):
    """Except with `fixed`, whose target is at the last slot."""
    sizes = dataclasses.replace(SIZES, session_behaviors=6, past_sessions=5)
    model = make(history_positions=positions)
    larger = make(history_positions=positions, sizes=sizes)
    ranker_checks.assert_more_slots_change_nothing(model, larger)


def test_permuting_candidates_permutes_scores():
    ranker_checks.assert_permuting_candidates_permutes_scores(shared(), rtol=1e-12)


@functools.cache
def differentiated_in_graph(kind):
    """Traced once: eager calls would take most of the time of these tests."""
    if kind == "random weights, two layers":
        model = make(co_attention="simple", session_layers=2, history_layers=2)
    else:
        # As at the start of a training, where an empty text meets biases of zero.
        keras.utils.set_random_seed(1)
        model = User(SMALL, SIZES, dtype="float32", name="user").build_from_sizes()
    signature = {name: tf.TensorSpec(*field) for name, field in batch_fields(SIZES).items()}
    return tf.function(lambda batch: differentiate(model, batch), input_signature=[signature])


@pytest.mark.parametrize("kind", ["initial weights", "random weights, two layers"])
@pytest.mark.parametrize("emptiness", EMPTINESS, ids=lambda f: f.__name__)
def test_every_kind_of_emptiness_gives_finite_scores_and_bounded_gradients(emptiness, kind):
    for seed in (8, 9):
        batch = random_batch(seed)
        emptiness(batch)
        ranker_checks.assert_emptiness_is_bounded(differentiated_in_graph(kind), batch)


def test_packed_tables_become_padded_sequences():
    batch = tensors(
        {
            "behavior_type": np.array([0, 1, 2, 1], np.int32),
            "session_behaviors": np.array([[0, 0, 0], [1, 0, 0], [2, 3, 0]], np.int32),
            "past_sessions": np.array([[1, 2], [2, 0]], np.int32),
            "current_behaviors": np.array([[3, 1, 0], [0, 0, 0]], np.int32),
        }
    )
    history = padded_history(batch)
    # Target 0 has sessions [1] and [2, 3]; the first leaves two empty slots behind it.
    np.testing.assert_array_equal(history.behaviors, [[1, 0, 0, 2, 3, 0], [2, 3, 0, 0, 0, 0]])
    np.testing.assert_array_equal(history.types, [[1, 0, 0, 2, 1, 0], [2, 1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(history.positions, [[1, 0, 0, 2, 3, 0], [1, 2, 0, 0, 0, 0]])
    session = padded_session(batch)
    np.testing.assert_array_equal(session.positions, [[1, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(session.mask, [[True, True, False], [False] * 3])
