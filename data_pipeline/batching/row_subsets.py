"""Shortcuts of a Batch: which rows need which work, so that models can leave the rest out.

They change no result, only its cost. A model may pass over them; served Batches have none.

| field | shape | meaning |
|---|---|---|
| texts_upto_<n> | [X_n] -> texts | texts of at most n tokens that are in no shorter group |
| text_place | [X] | row of each text among all groups, the shorter ones first |
| clicked_searches | [M] -> behaviors | searches with a clicked title, after a leading 0 |
| behavior_place | [N] -> clicked_searches | 0 for all other behaviors |
| search_targets | [Q] | 1 + row of each target that is a search, after a leading 0 |
| target_place | [T] -> search_targets | 0 for all other targets |
"""

import tensorflow as tf

from data_pipeline.batching.parsing import Batch
from data_pipeline.common.codes import BehaviorType, Task

_GROUP = "texts_upto_"


def group_lengths(longest: int, groups: int) -> list[int]:
    """Tokens of the longest text of each group: `longest` halved again and again, ascending.

    Example:
        >>> group_lengths(30, 3), group_lengths(2, 4)
        ([8, 15, 30], [1, 2])
    """
    halved = {-(-longest // 2**i) for i in range(groups)}
    return sorted(halved)


def choose(batch: Batch, groups: int) -> Batch:
    """The shortcuts of unpadded tables, without their places.

    Args:
        batch: Tables of `packing.collect`.
        groups: Groups of texts at the most.
    """
    chosen = {}
    length = tf.math.count_nonzero(batch["text_tokens"], axis=1)
    shorter = -1
    for longest in group_lengths(batch["text_tokens"].shape[1], groups):
        chosen[f"{_GROUP}{longest}"] = _rows((length > shorter) & (length <= longest))
        shorter = longest
    # Text 0 is the empty one, whatever its row in a group.
    clicked = tf.reduce_any(tf.gather(length, batch["behavior_clicked"]) > 0, axis=1)
    searches = _rows((batch["behavior_type"] == BehaviorType.SEARCH) & clicked)
    targets = _rows(batch["task"] == Task.SEARCH) + 1
    zero = tf.zeros([1], tf.int64)
    chosen["clicked_searches"] = tf.concat([zero, searches], 0)
    chosen["search_targets"] = tf.concat([zero, targets], 0)
    return chosen


def place(batch: Batch) -> Batch:
    """The places of padded shortcuts: for every row of a table its row in the shortcut."""
    groups = [batch[name] for name in fields(batch) if name.startswith(_GROUP)]
    texts, behaviors, targets = (
        tf.shape(batch[name])[0] for name in ("text_tokens", "behavior_type", "task")
    )
    return {
        "text_place": _place(tf.concat(groups, 0), texts),
        "behavior_place": _place(batch["clicked_searches"], behaviors),
        "target_place": _place(batch["search_targets"], targets + 1)[1:],
    }


def fields(batch: Batch) -> list[str]:
    """Names of the shortcuts a Batch has, without their places; the shorter groups first."""
    groups = [name for name in batch if name.startswith(_GROUP)]
    groups.sort(key=lambda name: int(name.removeprefix(_GROUP)))
    return [*groups, "clicked_searches", "search_targets"] if groups else []


def _rows(mask: tf.Tensor) -> tf.Tensor:
    return tf.where(mask)[:, 0]


def _place(pointers: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Row in `pointers` of each of `rows` rows, 0 where none points at it.

    Padding points at row 0, which is empty, so that any of its places will do.
    """
    numbers = tf.range(tf.size(pointers))
    return tf.maximum(tf.math.unsorted_segment_max(numbers, pointers, rows), 0)
