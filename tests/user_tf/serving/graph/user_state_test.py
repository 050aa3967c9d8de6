"""A state holds what was packed, of models with and without each part."""

import numpy as np
import pytest
import tensorflow as tf

from user_tf.models.batch_ops import EncodedPast
from user_tf.serving.graph.user_memory import Memory
from user_tf.serving.graph.user_state import StateLayout, UserState

LAYOUTS = {
    "all": StateLayout(7, history=6, session=3, types=3, width=4, word_width=5),
    "no history": StateLayout(7, history=0, session=3, types=3, width=4, word_width=5),
    "no session": StateLayout(7, history=6, session=0, types=3, width=4, word_width=5),
    "no F": StateLayout(7, history=6, session=3, types=3, width=4, word_width=0),
}


def make_state(layout, rows=2):
    draw = np.random.default_rng(0)

    def normal(places):
        return tf.constant(draw.normal(size=(rows, places, layout.width)), tf.float32)

    def keys(places):
        return tf.constant(draw.integers(0, 2**62, (rows, places)), tf.int64)

    memory = None
    if layout.word_width:
        directions = [
            tf.constant(draw.integers(-2048, 2049, (rows, layout.word_width)), tf.float64)
            for _ in range(2)
        ]
        opened = tf.constant([[True, False, True], [False, False, False]])
        asked = tf.constant([[False, True], [True, True]])
        here = tf.constant([[False, True, True], [True, True, True]])
        together = tf.constant([[False, False, True], [False, True, False]])
        memory = Memory(opened, keys(3), keys(3), here, together, asked, keys(2), *directions)
    past = EncodedPast(
        history=normal(layout.history) if layout.history else None,
        history_mask=tf.constant([[True, False] * 3] * rows) if layout.history else None,
        session=normal(layout.session) if layout.session else None,
        session_types=tf.constant([[1, 2, 0], [0, 0, 0]]),
    )
    return UserState(tf.constant([1, 2]), tf.constant([5, 0]), past, memory)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_packed_is_unpacked(name):
    layout = LAYOUTS[name]
    state = make_state(layout)
    packed = layout.check({"state": layout.pack(state)})["state"]
    found = layout.unpack(packed)
    for part, expected in (*state.past._asdict().items(), ("task", state.task)):
        value = found.task if part == "task" else getattr(found.past, part)
        assert (value is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(found.user, [5, 0])
    if state.memory is None:
        assert found.memory is None and packed.shape[1] == layout.fixed
        return
    for row in range(2):
        for holds, fields in (
            ("opened", ("opened_title", "opened_query", "opened_here", "opened_together")),
            ("asked", ("asked_query",)),
        ):
            for field in fields:
                old, new = (
                    np.asarray(getattr(memory, field))[row][np.asarray(getattr(memory, holds))[row]]
                    for memory in (state.memory, found.memory)
                )
                np.testing.assert_array_equal(old, new)
    for field in ("last_query", "opened_mean"):
        np.testing.assert_array_equal(getattr(found.memory, field), getattr(state.memory, field))


def test_columns_beyond_the_events_are_not_read():
    layout = LAYOUTS["all"]
    packed = layout.pack(make_state(layout)).numpy()
    # Of the events of both rows, the second one has one less.
    padded = np.concatenate([packed, np.full([2, 9], 7, np.int32)], axis=1)
    padded[1, layout.fixed + 5 * padded[1, 4] :] = 7
    np.testing.assert_array_equal(
        layout.check({"state": tf.constant(padded)})["state"][:, : packed.shape[1]], packed
    )


@pytest.mark.parametrize(
    "change",
    [lambda s: s + (np.arange(s.shape[1]) == 30), lambda s: np.roll(s, 1, 1), lambda s: s[:, :20]],
)
def test_a_changed_state_is_refused(change):
    layout = LAYOUTS["all"]
    changed = change(layout.pack(make_state(layout)).numpy()).astype(np.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"`state` must .* Got .*\. Fix: "):
        layout.check({"state": tf.constant(changed)})


def test_a_state_at_the_papers_widths_takes_42_kilobytes_without_events():
    layout = StateLayout(7, history=100, session=5, types=5, width=100, word_width=100)
    assert 42_000 < 4 * layout.fixed < 44_000
