"""Selecting a history: caps, emptiness, and work that is linear in its length."""

import math

import numpy as np
import tensorflow as tf

from user_tf.serving.graph.history_selection import HistoryLimits, select_history

LIMITS = HistoryLimits("unified", 5, 20, 3)


def select(session, history_session):
    history_session = np.asarray(history_session, np.int64)
    found = select_history(
        tf.constant(session, tf.int64),
        tf.fill(history_session.shape[:1], tf.constant(history_session.shape[1], tf.int64)),
        tf.constant(history_session),
        tf.fill(history_session.shape, "q"),
        LIMITS,
    )
    return {name: value.numpy() for name, value in found.items()}


def test_of_a_long_history_the_last_20_sessions_with_their_last_5_behaviors_are_kept():
    found = select([40], [np.repeat(np.arange(1, 31), 7)])
    assert found["session_behaviors"].shape == (21, 5)
    assert (found["past_sessions"] == np.arange(1, 21)).all()
    first_kept = found["rows"][0]
    assert first_kept.tolist() == [0, 10 * 7 + 2]


def test_an_empty_history_leaves_only_the_pad_rows():
    for slots in (0, 3):
        found = select([1, 2], np.zeros([2, slots]))
        assert found["rows"].shape == (0, 2)
        assert found["session_behaviors"].tolist() == [[0] * 5]
        assert not found["current_behaviors"].any() and not found["past_sessions"].any()


def test_behaviors_of_a_later_session_are_not_seen():
    found = select([2], [[1, 2, 3]])
    assert found["rows"].tolist() == [[0, 0], [0, 1]]


def test_the_largest_session_number_is_no_padding():
    largest = np.iinfo(np.int64).max
    found = select([largest], [[0, 1, largest, 0]])
    assert found["rows"].tolist() == [[0, 1], [0, 2]]
    assert found["current_behaviors"].tolist() == [[2, 0, 0, 0, 0]]


def test_memory_is_linear_in_the_length_of_a_history():
    requests, slots = 2, 20_000
    shape = [requests, slots]
    graph = tf.function(
        lambda *arguments: select_history(*arguments, LIMITS)
    ).get_concrete_function(
        tf.TensorSpec([requests], tf.int64),
        tf.TensorSpec([requests], tf.int64),
        tf.TensorSpec(shape, tf.int64),
        tf.TensorSpec(shape, tf.string),
    )
    # Axes of unknown size hold at most the real behaviors of all requests, in one row.
    sizes = [
        math.prod(requests * slots if size is None else size for size in output.shape)
        for operation in graph.graph.get_operations()
        for output in operation.outputs
        if output.shape.rank is not None
    ]
    assert max(sizes) <= LIMITS.session_behaviors * requests * slots
    session = tf.constant([slots, slots], tf.int64)
    numbers = tf.constant(np.sort(np.random.default_rng(0).integers(1, 5000, shape), axis=1))
    assert graph(session, session, numbers, tf.fill(shape, "q"))["past_sessions"].numpy().all()
