"""Pack raw strings of a batch of requests as a Batch, inside the exported graph.

Every distinct text is encoded once. The exported model is the trained one: it cannot see whether
its Batch came from a TFRecord file or from strings.

Axis letters: B requests (one target each), H history slots; the others as in
`data_pipeline.batching.spec`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from data_pipeline.batching import spec
from data_pipeline.common.codes import BehaviorType, Task
from user_tf.serving.graph.distinct_texts import DistinctTexts, number_texts, trim
from user_tf.serving.graph.history_selection import HistoryLimits, select_history


def pack(
    request: Mapping[str, Any],
    features: Callable[[DistinctTexts], Any],
    limits: HistoryLimits,
    encode: Callable[[Any], Any],
    find_user: Callable[[Any], Any],
    others: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Pack requests as one Batch of B targets.

    Nothing beyond `history_count`, `history_title_count` and `candidate_count` is read. Behaviors of
    the history that count: session number at least 1 and not above the request's, and, for a model
    of one task's data, behaviors of that task. Behaviors must be oldest first; sessions are
    identified and ordered by their numbers.

    Args:
        request: The arguments of signature `rank`, by name; see `signatures.py`.
        features: Returns F of the candidates, float32 [B, C, n], standardised, zero where it does
            not apply; takes the texts, whose groups `query_text`, `candidate_text` and those of
            `others` it may read.
        limits: Behaviors to keep of a history.
        encode: string [X] -> int32 [X, L] token ids.
        find_user: string [B] -> int32 [B] rows of the user table, 0 for unknown users.
        others: string tensors by name, further texts that only `features` reads. Default: none.

    Returns:
        The fields of `spec.FIELDS`, without padding rows beyond row 0. Fields a request does not
        carry are padding: labels, next queries, and documents, which it names by their titles.
    """
    query, titles = request["query"], request["candidates"]
    size, count = tf.shape(titles)[0], tf.shape(titles)[1]
    mask = tf.sequence_mask(tf.cast(request["candidate_count"], tf.int32), count)
    history = select_history(
        request["session"],
        request["history_count"],
        request["history_session"],
        request["history_query"],
        limits,
    )
    behavior_query = tf.gather_nd(request["history_query"], history["rows"])
    behavior_titles = first_titles(request, history["rows"], limits.clicked_titles)
    searched = tf.not_equal(behavior_query, "")

    groups = {
        "query_text": query,
        "candidate_text": tf.where(mask, titles, ""),
        "behavior_text": tf.where(searched, behavior_query, behavior_titles[:, 0]),
        "behavior_clicked": tf.where(searched[:, tf.newaxis], behavior_titles, ""),
    }
    texts = number_texts({**groups, **(others or {})}, encode)
    pointers = {name: texts.rows[name] for name in groups}
    # The texts of the first groups come first.
    last = tf.reduce_max(tf.stack([tf.reduce_max(rows) for rows in pointers.values()]))
    behavior_type = tf.where(searched, BehaviorType.SEARCH, BehaviorType.BROWSE)
    known = {
        **pointers,
        "text_tokens": trim(texts.tokens[: last + 1]) if others else texts.tokens,
        "behavior_type": _below_pad_row(behavior_type),
        "behavior_text": _below_pad_row(pointers["behavior_text"]),
        "behavior_clicked": _below_pad_row(pointers["behavior_clicked"]),
        "session_behaviors": history["session_behaviors"],
        "target_id": tf.range(tf.cast(size, tf.int64)),
        "target_weight": tf.ones([size]),
        "task": task_of(query),
        "user": find_user(request["user_id"]),
        "current_behaviors": history["current_behaviors"],
        "past_sessions": history["past_sessions"],
        "candidate_rank": tf.where(mask, tf.range(1, count + 1)[tf.newaxis], 0),
        "candidate_mask": mask,
        "features": features(texts),
    }
    sizes = {"N": tf.size(searched) + 1, "W": limits.clicked_titles, "T": size, "C": count}
    return {
        field.name: known[field.name]
        if field.name in known
        else tf.fill(
            [sizes[letter] for letter in field.letters], tf.cast(field.padding, field.dtype)
        )
        for field in spec.FIELDS
    }


def task_of(query: Any) -> Any:
    """Return int32 [B], the task of each query: an empty one asks for a recommendation."""
    return tf.where(tf.equal(query, ""), Task.RECOMMENDATION, Task.SEARCH)


def title_counts(request: Mapping[str, Any]) -> Any:
    """Return int64 [B, H], the titles of each behavior; 0 beyond `history_count`."""
    counts = request["history_title_count"]
    real = tf.sequence_mask(request["history_count"], tf.shape(counts)[1])
    return tf.where(real, tf.maximum(counts, 0), 0)


def first_titles(request: Mapping[str, Any], rows: Any, width: int) -> Any:
    """Return string [rows, width], the first titles of some behaviors, "" where there are fewer.

    Args:
        request: The arguments of signature `rank`.
        rows: int64 [rows, 2]: (request, history slot).
        width: Titles to return.
    """
    counts, last = title_counts(request), tf.shape(request["history_titles"], tf.int64)[1]
    place = tf.range(width, dtype=tf.int64)
    column = tf.gather_nd(tf.cumsum(counts, axis=1, exclusive=True), rows)[:, tf.newaxis] + place
    holds = place < tf.gather_nd(counts, rows)[:, tf.newaxis]
    column = tf.where(holds, tf.minimum(column, last), last)
    titles = tf.pad(request["history_titles"], [[0, 0], [0, 1]])
    return tf.gather(tf.reshape(titles, [-1]), rows[:, :1] * (last + 1) + column)


def _below_pad_row(table: Any) -> Any:
    """Return `table` with a row 0 of zeros before it."""
    return tf.pad(table, [[1, 0]] + [[0, 0]] * (len(table.shape) - 1))
