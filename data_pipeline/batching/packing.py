"""Pack parsed windows into the tables of a Batch: draw, standardise, collect.

All of it runs inside the graph on complete tensors; nothing here loops over examples.
`data_pipeline.batching.spec` describes the fields.
"""

import numpy as np
import tensorflow as tf

from data_pipeline.batching import keyed_draws, row_subsets, spec
from data_pipeline.batching.parsing import Batch, Tables, select, where
from data_pipeline.common.codes import Task
from data_pipeline.settings import BatchSettings

_UNKNOWN_USER_DRAW = -1


def draw_group(
    parsed: Batch, settings: BatchSettings, seed: tf.Tensor | int, epoch: tf.Tensor | int
) -> Batch:
    """Draw the K negatives of every group and, for recommendations, the unknown user.

    The group keeps its candidates in original order, so that the slot of the positive carries no
    information; slots beyond the negatives that exist are masked. With `multi_positive` a list is one
    group, whole.
    """
    if settings.multi_positive:
        first = tf.argmax(parsed["labels"], axis=1, output_type=parsed["positive"].dtype)
        parsed = select(parsed, parsed["positive"] == first)
    slots = tf.shape(parsed["labels"])[1]
    keys = (seed, epoch, parsed["target_id"], parsed["positive"])
    eligible = parsed["candidate_mask"] & (parsed["labels"] == 0)
    count = tf.minimum(settings.negatives, slots)
    drawn = keyed_draws.draw_slots(eligible, count, *keys)
    positive = tf.cast(parsed["positive"], tf.int32)[:, tf.newaxis]
    group = tf.sort(tf.concat([positive, drawn], 1))
    if settings.multi_positive:
        group = tf.where(parsed["candidate_mask"], tf.range(slots)[tf.newaxis], slots)
        count = slots - 1
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
        # Of a list's positives only its own are in a group.
        "labels": where(mask, pick("labels")),
        "features": where(mask[..., tf.newaxis], pick("features")),
    }


def complete_lists(parsed: Batch) -> Batch:
    """Keep complete lists in original order, as evaluation does."""
    slots = tf.range(1, tf.shape(parsed["labels"])[1] + 1)[tf.newaxis]
    return parsed | {"candidate_rank": where(parsed["candidate_mask"], slots)}


def standardise(parsed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Standardise F and zero what a task must not see; width 0 where F is off."""
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
    """Return the distinct rows that `rows` points at, 0 first, and `rows` renumbered to them.

    Args:
        rows: int64, any shape; 0 means none.
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
        # Empty slots still share row 0, so that no work is done on padding.
        real = flat != 0
        ids = tf.concat([flat[:1], tf.boolean_mask(flat, real)], 0)
        numbers = where(real, tf.cumsum(tf.cast(real, tf.int64)))
    return ids, tf.reshape(numbers[1:], tf.shape(rows))


def collect(parsed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Collect the distinct sessions, behaviors and texts the targets need; row 0 is the empty one.

    Returns:
        The fields of `spec.FIELDS` and, with `length_buckets`, the row subsets without their
        places. Rows are exact and integers may be int64; `pad_sizes.pad` finishes them.
    """

    def with_empty_row(name: str) -> tf.Tensor:
        value = parsed[name]
        empty = tf.zeros(tf.concat([[1], tf.shape(value)[1:]], 0), value.dtype)
        return tf.concat([empty, value], 0)

    session_ids, past_sessions = distinct(parsed["past_sessions"])
    session_rows = tf.gather(with_empty_row("session_behaviors"), session_ids)
    needed = tf.concat([session_rows, parsed["current_behaviors"]], 0)
    behavior_ids, needed = distinct(needed)
    sessions = tf.size(session_ids)
    packed = parsed | {
        name: tf.gather(with_empty_row(name), behavior_ids)
        for name in spec.names("behaviors")
        if spec.BY_NAME[name].record
    }
    document_texts = tf.cast(tables.document_texts, tf.int64)
    packed |= {
        "session_behaviors": needed[:sessions],
        "current_behaviors": needed[sessions:],
        "past_sessions": past_sessions,
        "target_weight": tf.ones_like(parsed["target_id"], tf.float32),
        "behavior_clicked": tf.gather(document_texts, packed["behavior_clicked_docs"]),
        "candidate_text": tf.gather(document_texts, parsed["candidate_doc"]),
    }
    if not settings.next_queries:
        packed["next_query_text"] = tf.zeros_like(packed["next_query_text"])
    packed |= _number_texts(packed, tables, settings)
    if settings.length_buckets:
        packed |= row_subsets.choose(packed, settings.length_buckets)
        packed[spec.HISTORY_SLOTS] = row_subsets.choose_history(packed)
    return packed


def _number_texts(packed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Return the tokens of the distinct texts and every text pointer renumbered to them."""
    values = [packed[name] for name in spec.TEXT_POINTERS]
    flat = tf.concat([tf.reshape(value, [-1]) for value in values], 0)
    text_ids, numbers = distinct(flat, settings.share_texts)
    parts = tf.split(numbers, [tf.size(value) for value in values])
    numbered = {
        name: tf.reshape(part, tf.shape(value))
        for name, value, part in zip(spec.TEXT_POINTERS, values, parts, strict=True)
    }
    return {"text_tokens": tf.gather(tables.text_tokens, text_ids)} | numbered
