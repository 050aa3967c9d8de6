"""Find the weights that copies of a ranker for each task may share, so that they are stored once."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data_pipeline.common.codes import Task

# Values of the largest weight that is a constant: the time of larger ones is arithmetic.
_LARGEST = 2**20


def share_weights(
    copies: Mapping[str, Any],
) -> tuple[Callable[[Any], Any], list[Any], list[Any]]:
    """Return what lets a ranker read the shared weights, and the weights to store.

    Two copies share what is equal in both, and what one of them does not read for its task: the
    user table of searches, for example, which is most of a model of many users.

    Tables and large weights are read from variables, all others are constants of the graph: reading
    hundreds of variables takes a tenth of a request, and a runtime prepares constants once. One
    function holds the constants, so that all signatures of a SavedModel share them.

    Args:
        copies: Built rankers by task; both may be the same object.

    Returns:
        Function from a ranker to a context in which it is called; the TensorFlow variables read
        there; those whose present values are constants there.
    """
    rankers = list({id(ranker): ranker for ranker in copies.values()}.values())
    unread = {id(variable) for ranker in rankers for variable in _unread(copies, ranker)}
    read = {id(variable): variable for ranker in rankers for variable in ranker.variables}
    for same in zip(*(ranker.variables for ranker in rankers), strict=True):
        # The one that is read comes first.
        mine, *others = sorted(same, key=lambda variable: id(variable) in unread)
        for other in others:
            if id(other) in unread or _equal(mine, other):
                read[id(other)] = mine
    kept = {id(variable): variable for variable in read.values()}
    constant = {number: variable for number, variable in kept.items() if _is_constant(variable)}
    values = [variable.numpy() for variable in constant.values()]
    constants = tf.function(lambda: [tf.constant(value) for value in values], autograph=False)

    def scope(ranker: Any) -> Any:
        known = {number: variable.value for number, variable in kept.items()}
        known |= dict(zip(constant, constants(), strict=True))
        mapping = [(variable, known[id(read[id(variable)])]) for variable in ranker.variables]
        changed = [(variable, value) for variable, value in mapping if value is not variable.value]
        return keras.StatelessScope(state_mapping=changed)

    variables = [variable.value for number, variable in kept.items() if number not in constant]
    return scope, variables, [variable.value for variable in constant.values()]


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


def _is_constant(variable: Any) -> bool:
    """Return whether a weight is a constant of a served graph: no table, not large, a float."""
    is_table = variable.name.endswith("embeddings")
    return (
        not is_table and variable.value.dtype.is_floating and math.prod(variable.shape) <= _LARGEST
    )
