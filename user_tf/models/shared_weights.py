"""Find the weights that copies of a ranker for each task may share, so that they are stored once."""

import contextlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from data_pipeline.common.codes import Task


def share_weights(copies: Mapping[str, Any]) -> tuple[Callable[[Any], Any], list[Any]]:
    """Return what lets a ranker read the shared weights, and the variables to store.

    Two copies share what is equal in both, and what one of them does not read for its task: the
    user table of searches, for example, which is most of a model of many users.

    Args:
        copies: Built rankers by task; both may be the same object.

    Returns:
        Function from a ranker to a context in which it is called; plain TensorFlow variables.
    """
    rankers = list({id(ranker): ranker for ranker in copies.values()}.values())
    if len(rankers) == 1:
        return contextlib.nullcontext, [variable.value for variable in rankers[0].variables]
    unread = {id(variable) for ranker in rankers for variable in _unread(copies, ranker)}
    kept: list[Any] = []
    replaced: dict[int, list[tuple[Any, Any]]] = {id(ranker): [] for ranker in rankers}
    for pair in zip(*(ranker.variables for ranker in rankers), strict=True):
        # The one that is read comes first.
        order = sorted((0, 1), key=lambda place: id(pair[place]) in unread)
        mine, other = (pair[place] for place in order)
        kept.append(mine.value)
        if id(other) in unread or _equal(mine, other):
            replaced[id(rankers[order[1]])].append((other, mine.value))
        else:
            kept.append(other.value)

    def scope(ranker: Any) -> Any:
        return keras.StatelessScope(state_mapping=replaced[id(ranker)])

    return scope, kept


def stamp_of(variables: Sequence[Any]) -> int:
    """Return a number that is another one for other weights, from 0 to 2^31 - 1.

    Example:
        >>> import tensorflow as tf
        >>> stamp_of([tf.Variable([1.0])]) == stamp_of([tf.Variable([2.0])])
        False
    """
    stamp = 0
    for variable in variables:
        stamp = zlib.crc32(variable.numpy().tobytes(), stamp)
    return stamp & 0x7FFFFFFF


def _unread(copies: Mapping[str, Any], ranker: Any) -> list[Any]:
    """Return the weights that a ranker does not read for the tasks it serves."""
    tasks = [task for task, copy in copies.items() if copy is ranker]
    if len(tasks) != 1:
        return []
    return ranker.unread_weights(Task.from_label(tasks[0]))


def _equal(mine: Any, theirs: Any) -> bool:
    return mine.shape == theirs.shape and np.array_equal(mine.numpy(), theirs.numpy())
