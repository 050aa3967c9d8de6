"""From parsed windows to the packed tables of a Batch: draw, standardise, collect, pad.

All of it runs inside the graph on whole tensors; nothing here loops over examples. Field names,
shapes and meaning are those of `data_pipeline.batching.batches`, the contract; this file holds the mathematics.
"""

import numpy as np
import tensorflow as tf

from data_pipeline.batching import keyed_draws, row_subsets
from data_pipeline.batching.parsing import Batch, Tables, where
from data_pipeline.common.codes import Task
from data_pipeline.settings import BatchSettings

_UNKNOWN_USER_DRAW = -1


def draw_group(parsed: Batch, settings: BatchSettings, seed: int, epoch: tf.Tensor | int) -> Batch:
    """Draws the K negatives of every group and, for recommendations, the unknown user.

    The group keeps its candidates in original order, so that the slot of the positive says
    nothing; slots beyond the negatives that exist are masked.
    """
    slots = tf.shape(parsed["labels"])[1]
    keys = (seed, epoch, parsed["target_id"], parsed["positive"])
    eligible = parsed["candidate_mask"] & (parsed["labels"] == 0)
    count = tf.minimum(settings.negatives, slots)
    drawn = keyed_draws.draw_slots(eligible, count, *keys)
    positive = tf.cast(parsed["positive"], tf.int32)[:, tf.newaxis]
    group = tf.sort(tf.concat([positive, drawn], 1))
    group = tf.pad(group, [[0, 0], [0, settings.negatives - count]], constant_values=slots)
    group = tf.ensure_shape(group, [None, settings.negatives + 1])
    mask = group < slots
    index = where(mask, group)

    def pick(name: str) -> tf.Tensor:
        return tf.gather(parsed[name], index, batch_dims=1)

    unknown = (parsed["task"] == Task.RECOMMENDATION) & (
        keyed_draws.uniform(*keys, _UNKNOWN_USER_DRAW) < settings.unknown_user_rate
    )
    return parsed | {
        "user": where(~unknown, parsed["user"]),
        "candidate_mask": mask,
        "candidate_doc": where(mask, pick("candidate_doc")),
        "candidate_rank": where(mask, group + 1),
        "labels": tf.cast(group == positive, tf.int64),
        "features": where(mask[..., tf.newaxis], pick("features")),
    }


def whole_lists(parsed: Batch) -> Batch:
    """Keeps whole lists in original order, as evaluation does."""
    slots = tf.range(1, tf.shape(parsed["labels"])[1] + 1)[tf.newaxis]
    return parsed | {"candidate_rank": where(parsed["candidate_mask"], slots)}


def standardise(parsed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Standardises F and zeroes what a task must not see; width 0 where F is off."""
    if not settings.features:
        return parsed | {"features": parsed["features"][..., :0]}
    allowed = tf.constant(
        tables.query_free if settings.recommendation_features else np.zeros_like(tables.query_free)
    )
    seen = (parsed["task"] == Task.SEARCH)[:, tf.newaxis, tf.newaxis] | allowed
    seen &= parsed["candidate_mask"][..., tf.newaxis]
    scaled = (parsed["features"] - tables.feature_mean) / tables.feature_std
    return parsed | {"features": where(seen, scaled)}


def distinct(rows: tf.Tensor, share: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """The distinct rows that `rows` points at, 0 first, and `rows` renumbered to them.

    Args:
        rows: int64, any shape; 0 stands for none.
        share: Off: every occurrence gets a row of its own.

    Returns:
        ids int64 [distinct], with ids[0] = 0; numbers of the shape of `rows`.

    Example:
        >>> ids, numbers = distinct(tf.constant([[7, 0], [5, 7]], tf.int64))
        >>> ids.numpy().tolist(), numbers.numpy().tolist()
        ([0, 7, 5], [[1, 0], [2, 1]])
    """
    flat = tf.concat([tf.zeros([1], tf.int64), tf.reshape(rows, [-1])], 0)
    if share:
        ids, numbers = tf.unique(flat, out_idx=tf.int64)
    else:
        # Empty slots still share row 0: not sharing must not mean working on padding.
        real = flat != 0
        ids = tf.concat([flat[:1], tf.boolean_mask(flat, real)], 0)
        numbers = where(real, tf.cumsum(tf.cast(real, tf.int64)))
    return ids, tf.reshape(numbers[1:], tf.shape(rows))


def collect(parsed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Collects the distinct sessions, behaviors and texts the targets need; row 0 is the empty one."""

    def with_empty_row(name: str) -> tf.Tensor:
        value = parsed[name]
        empty = tf.zeros(tf.concat([[1], tf.shape(value)[1:]], 0), value.dtype)
        return tf.concat([empty, value], 0)

    session_ids, past_sessions = distinct(parsed["past_sessions"])
    session_rows = tf.gather(with_empty_row("session_behaviors"), session_ids)
    needed = tf.concat([session_rows, parsed["current_behaviors"]], 0)
    behavior_ids, needed = distinct(needed)
    sessions = tf.size(session_ids)

    def behaviors(name: str) -> tf.Tensor:
        return tf.gather(with_empty_row(name), behavior_ids)

    document_texts = tf.constant(tables.document_texts, tf.int64)
    texts = {
        "behavior_text": behaviors("behavior_text"),
        "behavior_clicked": tf.gather(document_texts, behaviors("behavior_clicked_docs")),
        "query_text": parsed["query_text"],
        "candidate_text": tf.gather(document_texts, parsed["candidate_doc"]),
        "next_query_text": parsed["next_query_text"]
        if settings.next_queries
        else tf.zeros_like(parsed["next_query_text"]),
    }
    flat = tf.concat([tf.reshape(value, [-1]) for value in texts.values()], 0)
    text_ids, numbers = distinct(flat, settings.share_texts)
    parts = tf.split(numbers, [tf.size(value) for value in texts.values()])
    texts = {
        name: tf.reshape(part, tf.shape(value))
        for (name, value), part in zip(texts.items(), parts, strict=True)
    }
    packed = (
        parsed
        | texts
        | {
            "text_tokens": tf.gather(tf.constant(tables.text_tokens), text_ids),
            "behavior_type": behaviors("behavior_type"),
            "behavior_doc": behaviors("behavior_doc"),
            "behavior_clicked_docs": behaviors("behavior_clicked_docs"),
            "session_behaviors": needed[:sessions],
            "current_behaviors": needed[sessions:],
            "past_sessions": past_sessions,
            "target_weight": tf.ones_like(parsed["target_id"], tf.float32),
        }
    )
    if settings.length_buckets:
        packed |= row_subsets.choose(packed, settings.length_buckets)
    return packed


AXIS_OF = {
    "text_tokens": "X",
    "behavior_type": "N",
    "behavior_text": "N",
    "behavior_clicked": "N",
    "behavior_doc": "N",
    "behavior_clicked_docs": "N",
    "session_behaviors": "S",
    "target_id": "T",
    "target_weight": "T",
    "task": "T",
    "user": "T",
    "query_text": "T",
    "next_query_text": "T",
    "current_behaviors": "T",
    "past_sessions": "T",
    "candidate_text": "T",
    "candidate_doc": "T",
    "candidate_rank": "T",
    "candidate_mask": "T",
    "labels": "T",
    "features": "T",
}
_REPRESENTATIVE = {"X": "text_tokens", "N": "behavior_type", "S": "session_behaviors", "T": "task"}
_FLOATS = ("target_weight", "labels", "features")


def sizes(batch: Batch) -> tf.Tensor:
    """Rows of the tables, int32: texts X, behaviors N, sessions S, targets T, each shortcut."""
    names = [*_REPRESENTATIVE.values(), *row_subsets.fields(batch)]
    return tf.stack([tf.shape(batch[name])[0] for name in names])


def pad(batch: Batch, ladder: tf.Tensor) -> Batch:
    """Pads the tables to the smallest rung that holds them and casts to the contract's dtypes.

    Args:
        batch: Tables of `collect`.
        ladder: int32 [rungs, tables], joint sizes in the order of `sizes`, ascending; no rungs:
            exact sizes.

    Raises:
        tf.errors.InvalidArgumentError: No rung holds the batch, which the ladder's construction
            rules out.
    """
    actual = tf.maximum(sizes(batch), 1)
    rung = actual
    if ladder.shape[0]:
        fits = tf.reduce_all(ladder >= actual, axis=1)
        fitting = tf.debugging.Assert(
            tf.reduce_any(fits), ["no rung holds the batch", actual, ladder]
        )
        # Else a graph may come to the padding first, whose error says less.
        with tf.control_dependencies([fitting] if fitting is not None else []):
            rung = ladder[tf.argmax(tf.cast(fits, tf.int32))]
    axis_of = AXIS_OF | {name: name for name in row_subsets.fields(batch)}
    wanted = dict(
        zip([*_REPRESENTATIVE, *row_subsets.fields(batch)], tf.unstack(rung), strict=True)
    )
    padded = {}
    for name, axis in axis_of.items():
        value = batch[name]
        if value.dtype == tf.int64 and name != "target_id":
            value = tf.cast(value, tf.float32 if name in _FLOATS else tf.int32)
        widths = [[0, wanted[axis] - tf.shape(value)[0]]] + [[0, 0]] * (value.shape.rank - 1)
        empty = -1 if name == "target_id" else False if value.dtype == tf.bool else 0
        padded[name] = tf.pad(value, widths, constant_values=tf.cast(empty, value.dtype))
    return padded | row_subsets.place(padded) if row_subsets.fields(batch) else padded
