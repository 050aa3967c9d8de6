"""Number the distinct texts of groups of strings, so that each is tokenized and encoded once.

Axis letters: X texts, L tokens.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf


class DistinctTexts(NamedTuple):
    """The distinct texts of some groups of strings; the first one is the empty text.

    Attributes:
        strings: string [X].
        tokens: int32 [X, L] token ids, without the columns that no text fills; L at least 1.
        rows: Row of every string, by group, int32 in the group's shape.
    """

    strings: Any
    tokens: Any
    rows: Mapping[str, Any]


def number_texts(groups: Mapping[str, Any], encode: Callable[[Any], Any]) -> DistinctTexts:
    """Return the distinct texts of string tensors, in the order of the groups.

    Args:
        groups: string tensors by name.
        encode: string [X] -> int32 [X, L] token ids.

    Example:
        >>> texts = number_texts(
        ...     {"query": tf.constant(["hat"]), "titles": tf.constant([["sun", "hat", ""]])},
        ...     lambda strings: tf.strings.length(strings)[:, tf.newaxis])
        >>> texts.strings.numpy().tolist(), texts.rows["titles"].numpy().tolist()
        ([b'', b'hat', b'sun'], [[2, 1, 0]])
    """
    flat = tf.concat([[""], *(tf.reshape(group, [-1]) for group in groups.values())], axis=0)
    strings, row = tf.unique(flat)
    parts = tf.split(row, [1, *(tf.size(group) for group in groups.values())])[1:]
    rows = {
        name: tf.reshape(part, tf.shape(group))
        for (name, group), part in zip(groups.items(), parts, strict=True)
    }
    return DistinctTexts(strings, trim(encode(strings)), rows)


def trim(tokens: Any) -> Any:
    """Return token ids without the columns that no text fills; one column at least."""
    length = tf.reduce_max(tf.math.count_nonzero(tokens, axis=1, dtype=tf.int32))
    return tokens[:, : tf.maximum(1, length)]
