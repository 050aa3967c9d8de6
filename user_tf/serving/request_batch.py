"""Raw strings of a batch of requests -> Batch, inside the exported graph.

The graph keeps what a dataset keeps of a history (the last behaviors of the current session, the
last past sessions with their last behaviors, the first clicked titles), reads every distinct text
once, and lays the four tables of DESIGN 5 out. From here on the exported model is the trained one:
it never knows whether its Batch came from a TFRecord file or from strings.

Axis letters: B requests (one target each), H history slots, W clicked titles, C candidates,
n features.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from data_pipeline.common.codes import BehaviorType, Task


@dataclasses.dataclass(frozen=True)
class HistoryLimits:
    """What is kept of a history; the values a dataset was prepared with."""

    scenario: str
    session_behaviors: int
    past_sessions: int
    clicked_titles: int


def pack(
    request: Mapping[str, Any],
    features: Any,
    limits: HistoryLimits,
    encode: Callable[[Any], Any],
    find_user: Callable[[Any], Any],
) -> dict[str, Any]:
    """Lays requests out as one Batch of B targets.

    Rows of the history that count: session number at least 1 and not above the request's, and, for
    a model of one task's data only, behaviors of that task. Everything else is padding, wherever
    it stands. Rows must be oldest first; sessions are told apart and ordered by their numbers.

    Args:
        request: The arguments of signature `rank`, by name; see `signatures.py`.
        features: float32 [B, C, n], already standardised, zero where they do not apply.
        limits: What is kept of a history.
        encode: string [X] -> int32 [X, L] token ids.
        find_user: string [B] -> int32 [B] rows of the user table, 0 for unknown users.

    Returns:
        A Batch (data_pipeline/batching/batches.py) without padding rows beyond row 0. Document ids are 0: a
        request names documents by their titles.
    """
    query, titles = request["query"], request["candidates"]
    size, count = tf.shape(titles)[0], tf.shape(titles)[1]
    mask = tf.sequence_mask(tf.cast(request["candidate_count"], tf.int32), count)
    history = select_history(
        request["session"], request["history_session"], request["history_query"], limits
    )
    behavior_query = tf.gather_nd(request["history_query"], history["rows"])
    behavior_titles = tf.gather_nd(request["history_titles"], history["rows"])
    searched = tf.not_equal(behavior_query, "")

    behavior_text = tf.where(searched, behavior_query, behavior_titles[:, 0])
    behavior_clicked = tf.where(searched[:, None], behavior_titles, "")
    texts, (query_text, candidate_text, behavior_text, behavior_clicked) = _number_texts(
        [query, tf.where(mask, titles, ""), behavior_text, behavior_clicked]
    )
    tokens = encode(texts)
    length = tf.maximum(1, tf.reduce_max(tf.math.count_nonzero(tokens, axis=1, dtype=tf.int32)))

    kept = tf.shape(searched)[0]
    clicked_docs = tf.zeros([kept + 1, limits.clicked_titles], tf.int32)
    position = tf.range(1, count + 1)[None, :]
    return {
        "text_tokens": tokens[:, :length],
        "behavior_type": _below_pad_row(
            tf.where(searched, BehaviorType.SEARCH, BehaviorType.BROWSE)
        ),
        "behavior_text": _below_pad_row(behavior_text),
        "behavior_clicked": _below_pad_row(behavior_clicked),
        "behavior_doc": tf.zeros([kept + 1], tf.int32),
        "behavior_clicked_docs": clicked_docs,
        "session_behaviors": history["session_behaviors"],
        "target_id": tf.range(tf.cast(size, tf.int64)),
        "target_weight": tf.ones([size]),
        "task": tf.where(tf.equal(query, ""), Task.RECOMMENDATION, Task.SEARCH),
        "user": find_user(request["user_id"]),
        "query_text": query_text,
        "next_query_text": tf.zeros_like(query_text),
        "current_behaviors": history["current_behaviors"],
        "past_sessions": history["past_sessions"],
        "candidate_text": candidate_text,
        "candidate_doc": tf.zeros_like(candidate_text),
        "candidate_rank": tf.where(mask, position, 0),
        "candidate_mask": mask,
        "labels": tf.zeros([size, count]),
        "features": features,
    }


def select_history(
    session: Any, history_session: Any, history_query: Any, limits: HistoryLimits
) -> dict[str, Any]:
    """Chooses the behaviors that stay and points sessions and targets at them.

    Args:
        session: int64 [B], number of the current session, from 1.
        history_session: int64 [B, H], number of each behavior's session; below 1 is padding.
        history_query: string [B, H], "" for a browse.
        limits: What is kept.

    Returns:
        `rows` int64 [N - 1, 2]: (request, history slot) of the behaviors kept, in order;
        `session_behaviors` int32 [S, 5] -> behaviors; `current_behaviors` int32 [B, 5] ->
        behaviors; `past_sessions` int32 [B, 20] -> sessions. 0 is the pad behavior or session;
        slots are filled from the left, oldest first.

    Example:
        Sessions 1, 1, 2 are past, 3 is the current one, 0 is padding.

        >>> limits = HistoryLimits("unified", 5, 20, 3)
        >>> kept = select_history(
        ...     tf.constant([3], tf.int64), tf.constant([[1, 1, 2, 3, 0]], tf.int64),
        ...     tf.constant([["a", "", "b", "c", ""]]), limits)
        >>> kept["rows"].numpy().tolist()
        [[0, 0], [0, 1], [0, 2], [0, 3]]
        >>> kept["session_behaviors"].numpy().tolist()
        [[0, 0, 0, 0, 0], [1, 2, 0, 0, 0], [3, 0, 0, 0, 0]]
        >>> kept["current_behaviors"].numpy().tolist(), kept["past_sessions"][0, :3].numpy().tolist()
        ([[4, 0, 0, 0, 0]], [1, 2, 0])
    """
    size = tf.shape(history_session)[0]
    real = (history_session >= 1) & (history_session <= session[:, None])
    if limits.scenario == "search":
        real &= tf.not_equal(history_query, "")
    elif limits.scenario == "recommendation":
        real &= tf.equal(history_query, "")

    # Pairs of slots [B, H, H]: j is a real behavior of the same session as i.
    mine, other = history_session[:, :, None], history_session[:, None, :]
    slot = tf.range(tf.shape(history_session)[1])
    same = tf.equal(mine, other) & real[:, None, :] & real[:, :, None]
    after = _count(same & (slot[None, None, :] > slot[None, :, None]))
    kept = real & (after < limits.session_behaviors)
    place = tf.minimum(_count(same), limits.session_behaviors) - 1 - after

    # A past session is counted at its last behavior.
    past = history_session < session[:, None]
    last = real & past & tf.equal(after, 0)
    newer = _count(last[:, None, :] & (other > mine))
    kept &= tf.logical_not(past) | (newer < limits.past_sessions)
    last &= newer < limits.past_sessions

    rows = tf.where(kept)
    number = tf.range(1, tf.shape(rows)[0] + 1)
    owner = tf.cast(rows[:, 0], tf.int32)
    place = tf.gather_nd(place, rows)
    is_past = tf.gather_nd(past, rows)

    ends = tf.where(last)
    session_number = tf.range(1, tf.shape(ends)[0] + 1)
    sessions_kept = _count(last)
    session_place = sessions_kept[:, None] - 1 - newer
    past_sessions = tf.scatter_nd(
        tf.stack([tf.cast(ends[:, 0], tf.int32), tf.gather_nd(session_place, ends)], axis=1),
        session_number,
        [size, limits.past_sessions],
    )
    home = tf.gather_nd(
        past_sessions,
        tf.boolean_mask(tf.stack([owner, tf.gather_nd(session_place, rows)], axis=1), is_past),
    )
    session_behaviors = tf.scatter_nd(
        tf.stack([home, tf.boolean_mask(place, is_past)], axis=1),
        tf.boolean_mask(number, is_past),
        [tf.shape(ends)[0] + 1, limits.session_behaviors],
    )
    is_current = tf.logical_not(is_past)
    current_behaviors = tf.scatter_nd(
        tf.boolean_mask(tf.stack([owner, place], axis=1), is_current),
        tf.boolean_mask(number, is_current),
        [size, limits.session_behaviors],
    )
    return {
        "rows": rows,
        "session_behaviors": session_behaviors,
        "current_behaviors": current_behaviors,
        "past_sessions": past_sessions,
    }


def _count(condition: Any) -> Any:
    """Number of true entries along the last axis."""
    return tf.reduce_sum(tf.cast(condition, tf.int32), axis=-1)


def _below_pad_row(table: Any) -> Any:
    """`table` with a row 0 of zeros put before it."""
    return tf.pad(table, [[1, 0]] + [[0, 0]] * (len(table.shape) - 1))


def _number_texts(groups: list[Any]) -> tuple[Any, list[Any]]:
    """Distinct texts of string tensors of any shape, the empty text first, and each one's row."""
    flat = tf.concat([[""], *(tf.reshape(group, [-1]) for group in groups)], axis=0)
    texts, row = tf.unique(flat)
    parts = tf.split(row, [1, *(tf.size(group) for group in groups)])[1:]
    numbered = [
        tf.reshape(part, tf.shape(group)) for part, group in zip(parts, groups, strict=True)
    ]
    return texts, numbered
