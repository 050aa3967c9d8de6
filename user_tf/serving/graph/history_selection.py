"""Select the behaviors of a request's history that a model sees, inside the exported graph.

The limits are those a dataset was prepared with: the last behaviors of the current session, the
last past sessions with their last behaviors. `tests/oracles/history_rules.py` states the same rules
in plain Python; preparation and this file are held to it. Time and memory are linear in
the length of the history, up to the logarithm of one sort.

Axis letters: B requests, H history slots; M, P, N, S as in `data_pipeline.batching.spec`.
"""

import dataclasses
from typing import Any

import tensorflow as tf

from data_pipeline.common.codes import Scenario


@dataclasses.dataclass(frozen=True)
class HistoryLimits:
    """Behaviors that are kept of a history; the values a dataset was prepared with."""

    scenario: str
    session_behaviors: int
    past_sessions: int
    clicked_titles: int


def select_history(
    session: Any,
    history_count: Any,
    history_session: Any,
    history_query: Any,
    limits: HistoryLimits,
) -> dict[str, Any]:
    """Choose the behaviors to keep and number them for sessions and targets.

    Args:
        session: int64 [B], number of the current session, from 1.
        history_count: int64 [B], behaviors of each request; slots beyond them are not read.
        history_session: int64 [B, H], number of each behavior's session, from 1.
        history_query: string [B, H], "" for a browse.
        limits: Behaviors to keep.

    Returns:
        `rows` int64 [N - 1, 2]: (request, history slot) of the behaviors kept, in order;
        `session_behaviors` int32 [S, M] -> behaviors; `current_behaviors` int32 [B, M] ->
        behaviors; `past_sessions` int32 [B, P] -> sessions. 0 is the pad behavior or session;
        slots are filled from the left, oldest first.

    Example:
        Sessions 1, 1, 2 are past, 3 is the current one; the fifth slot is padding.

        >>> limits = HistoryLimits("unified", 5, 20, 3)
        >>> kept = select_history(
        ...     tf.constant([3], tf.int64), tf.constant([4], tf.int64),
        ...     tf.constant([[1, 1, 2, 3, 1]], tf.int64),
        ...     tf.constant([["a", "", "b", "c", "a"]]), limits)
        >>> kept["rows"].numpy().tolist()
        [[0, 0], [0, 1], [0, 2], [0, 3]]
        >>> kept["session_behaviors"].numpy().tolist()
        [[0, 0, 0, 0, 0], [1, 2, 0, 0, 0], [3, 0, 0, 0, 0]]
        >>> kept["current_behaviors"].numpy().tolist(), kept["past_sessions"][0, :3].numpy().tolist()
        ([[4, 0, 0, 0, 0]], [1, 2, 0])
    """
    size = tf.shape(session)[0]
    real = tf.sequence_mask(history_count, tf.shape(history_session)[1])
    real &= (history_session >= 1) & (history_session <= session[:, tf.newaxis])
    if limits.scenario == Scenario.SEARCH:
        real &= tf.not_equal(history_query, "")
    elif limits.scenario == Scenario.RECOMMENDATION:
        real &= tf.equal(history_query, "")

    # The real behaviors of all requests in one row, a session's behaviors side by side: request
    # and slot of each, its session's number here (`run`) and how many of it come later.
    order = tf.where(real, history_session - 1, tf.int64.max)
    slots = tf.argsort(order, axis=1, stable=True)
    count = tf.reduce_sum(tf.cast(real, tf.int32), axis=1)
    places = tf.where(tf.sequence_mask(count, tf.shape(slots)[1]))
    owner, slot = tf.cast(places[:, 0], tf.int32), tf.gather_nd(slots, places)
    number = tf.gather_nd(history_session, tf.stack([owner, slot], axis=1))
    run, length = _runs(owner, number)
    first = tf.cumsum(length, exclusive=True)
    later = tf.gather(first + length, run) - 1 - tf.range(tf.size(run))

    # The sessions: request of each, and how many newer past sessions that request has.
    run_owner, run_number = tf.gather(owner, first), tf.gather(number, first)
    past = run_number < tf.gather(session, run_owner)
    past_of_owner = tf.math.unsorted_segment_sum(tf.cast(past, tf.int32), run_owner, size)
    # The current session, if any, is the last one of its request.
    newer = tf.gather(past_of_owner, run_owner) - 1 - _places_in_runs(run_owner, size)
    keep_run = ~past | (newer < limits.past_sessions)

    keep = tf.gather(keep_run, run) & (later < limits.session_behaviors)
    owner, slot, run, later = (tf.boolean_mask(x, keep) for x in (owner, slot, run, later))
    place = tf.minimum(tf.gather(length, run), limits.session_behaviors) - 1 - later
    is_past = tf.gather(past, run)
    behavior = tf.range(1, tf.size(run) + 1)

    keep_past = past & keep_run
    session_row = tf.where(keep_past, tf.cumsum(tf.cast(keep_past, tf.int32)), 0)
    session_place = (
        tf.minimum(tf.gather(past_of_owner, run_owner), limits.past_sessions) - 1 - newer
    )

    def table(rows: Any, places: Any, values: Any, holds: Any, count: Any, width: int) -> Any:
        """Scatter `values` where `holds` to int32 [count, width], 0 elsewhere."""
        indices = tf.boolean_mask(tf.stack([tf.cast(rows, tf.int32), places], axis=1), holds)
        return tf.scatter_nd(indices, tf.boolean_mask(values, holds), [count, width])

    return {
        "rows": tf.cast(tf.stack([owner, slot], axis=1), tf.int64),
        "session_behaviors": table(
            tf.gather(session_row, run),
            place,
            behavior,
            is_past,
            tf.reduce_sum(tf.cast(keep_past, tf.int32)) + 1,
            limits.session_behaviors,
        ),
        "current_behaviors": table(
            owner, place, behavior, ~is_past, size, limits.session_behaviors
        ),
        "past_sessions": table(
            run_owner, session_place, session_row, keep_past, size, limits.past_sessions
        ),
    }


def _runs(*columns: Any) -> tuple[Any, Any]:
    """Return the number of the run of equal rows each row lies in, from 0, and runs' lengths."""
    count = tf.size(columns[0])
    starts = tf.zeros([tf.maximum(count - 1, 0)], tf.bool)
    for column in columns:
        starts |= column[1:] != column[:-1]
    run = tf.cumsum(tf.pad(tf.cast(starts, tf.int32), [[1, 0]]))[:count]
    runs = tf.reduce_max(tf.pad(run + 1, [[1, 0]]))
    return run, tf.math.unsorted_segment_sum(tf.ones_like(run), run, runs)


def _places_in_runs(owner: Any, owners: Any) -> Any:
    """Return the place, from 0, of each entry among those of its owner; `owner` ascends."""
    counts = tf.math.unsorted_segment_sum(tf.ones_like(owner), owner, owners)
    return tf.range(tf.size(owner)) - tf.gather(tf.cumsum(counts, exclusive=True), owner)
