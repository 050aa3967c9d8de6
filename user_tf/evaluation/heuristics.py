"""Heuristic baselines: scores [Q, C] of the targets of a split without any training.

Ties keep the original order (`user_tf.evaluation.metrics.rank`), so of two equally
popular or untouched documents the one shown first stays first.
"""

import pathlib

import numpy as np
import pyarrow.parquet as pq

from data_pipeline.common.keyed_hash import keyed
from user_tf.evaluation import metrics
from user_tf.evaluation.evaluated_targets import Targets
from user_tf.evaluation.metrics import Array

ORIGINAL = "original order"
BEST = "best known"


def rankings(targets: Targets, seed: int) -> dict[str, Array]:
    """Return the scores of every heuristic by name, the original order first.

    Example:
        >>> from user_tf.evaluation.evaluated_targets import example_table, from_table
        >>> list(rankings(from_table(example_table()), seed=1))[:3]
        ['original order', 'random', 'popularity']
    """
    return {
        ORIGINAL: original_order(targets),
        "random": random_order(targets, seed),
        "popularity": targets.popularity.astype(np.float64),
        "anti-popularity": -targets.popularity.astype(np.float64),
        "most recently touched": most_recently_touched(targets),
        "touched, rest random": touched_then_random(targets, seed),
    }


def original_order(targets: Targets) -> Array:
    """Return minus the original rank: float64 [Q, C]."""
    places = -np.arange(1, targets.mask.shape[1] + 1, dtype=np.float64)
    return np.broadcast_to(places, targets.mask.shape)


def random_order(targets: Targets, seed: int) -> Array:
    """Return uniform [0, 1) numbers drawn by (seed, target id, slot): float64 [Q, C].

    A target's order does not depend on which other targets are evaluated, nor on padding.
    """
    slots = np.arange(targets.mask.shape[1])
    bits = keyed(seed, targets.target_id[:, None], slots) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def most_recently_touched(targets: Targets) -> Array:
    """Return minus the rank by the user's last touch, untouched documents last: float64 [Q, C].

    Ranks rather than times, because times of different targets do not compare in a pooled AUC,
    and because the original order of the untouched is part of this ranking.
    """
    # Microseconds since the epoch stay exact in float64 until the year 2255.
    touched = metrics.rank(targets.last_touch.astype(np.float64), targets.mask)
    return -touched.astype(np.float64)


def touched_then_random(targets: Targets, seed: int) -> Array:
    """Return `most_recently_touched` with the untouched in random order: float64 [Q, C].

    The baseline for a model that does not see the original order.
    """
    touched = np.where(targets.last_touch >= 0, -most_recently_touched(targets), np.inf)
    shuffled = metrics.rank(random_order(targets, seed), targets.mask)
    return -np.minimum(touched, targets.mask.shape[1] + shuffled).astype(np.float64)


def best_known(targets: Targets, truth: pathlib.Path) -> Array:
    """Return P(satisfied click | state, position) of every candidate from the simulator's truth.

    Args:
        targets: Targets to score; each must have a truth.
        truth: Parquet with `target_id` int64 and `probability` list<double> in the candidates'
            original order.

    Raises:
        ValueError: A target has no truth, or one of another length.
    """
    table = pq.read_table(truth, columns=["target_id", "probability"])
    ids = table["target_id"].to_numpy()
    lists = table["probability"].combine_chunks()
    keep = np.flatnonzero(np.isin(ids, targets.target_id))
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)[keep]
    mask = np.arange(max(int(lengths.max(initial=0)), 1)) < lengths[:, None]
    padded = np.full(mask.shape, np.nan)
    padded[mask] = lists.take(keep).flatten().to_numpy(zero_copy_only=False)
    rows, scores = targets.align(ids[keep], padded)
    if len(rows) < len(targets):
        missing = np.setdiff1d(targets.target_id, ids[keep])
        raise ValueError(
            f"`truth` must hold every target. Got {truth} without {missing[:5].tolist()}, "
            f"{len(missing)} missing. Fix: export the truth of this dataset again."
        )
    return scores
