"""Choose the row subsets of a Batch: which rows need which work (`spec.ROW_SUBSETS`)."""

from collections.abc import Iterable

import tensorflow as tf

from data_pipeline.batching import spec
from data_pipeline.batching.parsing import Batch
from data_pipeline.common.codes import BehaviorType, Task


def halved_lengths(longest: int, buckets: int) -> list[int]:
    """Return the longest text of each bucket in tokens, ascending: `longest` halved repeatedly.

    Example:
        >>> halved_lengths(30, 3), halved_lengths(2, 4)
        ([8, 15, 30], [1, 2])
    """
    return sorted({-(-longest // 2**i) for i in range(buckets)})


def names(fields: Iterable[str]) -> list[str]:
    """Return the row subsets among names of fields, without their places, shorter texts first."""
    buckets = [spec.bucket_name(length) for length in spec.bucket_lengths(fields)]
    return [*buckets, "clicked_searches", "search_targets"] if buckets else []


def choose(batch: Batch, buckets: int) -> Batch:
    """Return the row subsets of unpadded tables, without their places.

    Args:
        batch: Tables of `packing.collect`.
        buckets: Largest number of buckets of texts.
    """
    chosen = choose_texts(batch["text_tokens"], buckets)
    length = tf.math.count_nonzero(batch["text_tokens"], axis=1)
    # Text 0 is the empty one, whatever its row in a bucket.
    clicked = tf.reduce_any(tf.gather(length, batch["behavior_clicked"]) > 0, axis=1)
    searches = _rows((batch["behavior_type"] == BehaviorType.SEARCH) & clicked)
    targets = _rows(batch["task"] == Task.SEARCH) + 1
    zero = tf.zeros([1], tf.int64)
    chosen["clicked_searches"] = tf.concat([zero, searches], 0)
    chosen["search_targets"] = tf.concat([zero, targets], 0)
    return chosen


def choose_history(batch: Batch) -> tf.Tensor:
    """Return `history_slots`, int64 [T, H], H the longest real history, at least 1; 0 beyond the end of one.

    Example:
        >>> history = {"session_behaviors": [[0, 0], [5, 0], [6, 7]], "past_sessions": [[1, 2], [0, 1]]}
        >>> choose_history({k: tf.constant(v, tf.int64) for k, v in history.items()}).numpy().tolist()
        [[2, 4, 5], [2, 0, 0]]
    """
    members, past = batch["session_behaviors"], batch["past_sessions"]
    places = members.shape[1]
    slots = past[..., tf.newaxis] * places + tf.range(places, dtype=past.dtype)
    rows, slots_of_target = tf.shape(past)[0], past.shape[1] * places
    real = tf.reshape(tf.gather(members, past) > 0, [rows, slots_of_target])
    found = tf.ragged.boolean_mask(tf.reshape(slots, [rows, slots_of_target]), real).to_tensor()
    # Layers need a place, also where no target of the Batch has a past.
    return tf.pad(found, [[0, 0], [0, tf.cast(tf.equal(tf.shape(found)[1], 0), tf.int32)]])


def choose_texts(tokens: tf.Tensor, buckets: int) -> Batch:
    """Return the length buckets of texts.

    Args:
        tokens: int [X, L], L static.
        buckets: Largest number of buckets.
    """
    chosen, shorter = {}, -1
    length = tf.math.count_nonzero(tokens, axis=1)
    for longest in halved_lengths(tokens.shape[1], buckets):
        chosen[spec.bucket_name(longest)] = _rows((length > shorter) & (length <= longest))
        shorter = longest
    return chosen


def place_texts(batch: Batch) -> tf.Tensor:
    """Return `text_place` of the padded buckets of a Batch: the row of each text in them."""
    buckets = [batch[spec.bucket_name(length)] for length in spec.bucket_lengths(batch)]
    return _place(tf.concat(buckets, 0), tf.shape(batch["text_tokens"])[0])


def place(batch: Batch) -> Batch:
    """Return the places of padded row subsets: for every row of a table its row in the subset."""
    behaviors, targets = (tf.shape(batch[name])[0] for name in ("behavior_type", "task"))
    return {
        "text_place": place_texts(batch),
        "behavior_place": _place(batch["clicked_searches"], behaviors),
        "target_place": _place(batch["search_targets"], targets + 1)[1:],
    }


def _rows(mask: tf.Tensor) -> tf.Tensor:
    return tf.where(mask)[:, 0]


def _place(pointers: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Return the row in `pointers` of each of `rows` rows, 0 where none points at it.

    Padding points at row 0, which is empty, so that any of its places will do.
    """
    numbers = tf.range(tf.size(pointers))
    return tf.maximum(tf.math.unsorted_segment_max(numbers, pointers, rows), 0)
