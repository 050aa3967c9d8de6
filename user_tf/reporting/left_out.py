"""The effect of single behaviors: a target ranked again without each of them.

This works for every ranker, since it asks for scores only. Features F stay as they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from data_pipeline.batching import spec
from user_tf.evaluation.metrics import Array


def leave_out(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Batch of copies of a target, each without one of its past behaviors.

    Args:
        batch: A Batch of one target.

    Returns:
        A Batch with one target for each behavior: those of past sessions, oldest first, then those
        of the current session.
    """
    sessions, past, current = (
        np.asarray(batch[name])
        for name in ("session_behaviors", "past_sessions", "current_behaviors")
    )
    rows: list[Array] = []
    pasts: list[Array] = []
    currents: list[Array] = []
    for place, row in enumerate(past[0].tolist()):
        for slot in np.flatnonzero(sessions[row]).tolist():
            shorter = _without(sessions[row], slot)
            if shorter.any():
                changed = past[0].copy()
                changed[place] = len(sessions) + len(rows)
                rows.append(shorter)
            else:
                changed = _without(past[0], place)
            pasts.append(changed)
            currents.append(current[0])
    for slot in np.flatnonzero(current[0]).tolist():
        pasts.append(past[0])
        currents.append(_without(current[0], slot))
    copies = {
        field.name: tf.repeat(batch[field.name], len(pasts), axis=0)
        for field in spec.FIELDS
        if field.letters[0] == "T" and field.name in batch
    }
    changes = {
        "session_behaviors": np.concatenate([sessions, *(row[np.newaxis] for row in rows)]),
        "past_sessions": np.reshape(pasts, (-1, past.shape[1])),
        "current_behaviors": np.reshape(currents, (-1, current.shape[1])),
    }
    kinds = {name: batch[name].dtype for name in changes}
    changed = {name: tf.constant(value, kinds[name]) for name, value in changes.items()}
    return {**batch, **copies, **changed}


def effects(
    compute: Callable[[Any], Mapping[str, Any]], batch: Mapping[str, Any], scores: Array
) -> Array:
    """Return what the scores of a target lose without each behavior, float64 [C, behaviors].

    Args:
        compute: Returns `scores` of a Batch.
        batch: A Batch of one target with a past.
        scores: float64 [C], its scores.
    """
    others = np.asarray(compute(leave_out(batch))["scores"], np.float64)[:, : len(scores)]
    return np.transpose(scores - others)


def _without(row: Array, slot: int) -> Array:
    """Return a row of pointers without one of them; padding stays at the end.

    Example:
        >>> _without(np.array([4, 7, 2, 0]), 1).tolist()
        [4, 2, 0, 0]
    """
    return np.append(np.delete(row, slot), 0).astype(row.dtype)
