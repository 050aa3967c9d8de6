"""Scores of the rankings that learn nothing, [Q, C] for the targets of a split.

Ties keep the original order (`user_tf.evaluation.metrics.rank`), so that of two documents that
are equally popular, or never touched, the one shown first stays first.
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
    """Scores of every non-learned ranking by name, the original order first.

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
    """Minus the original rank: float64 [Q, C]."""
    places = -np.arange(1, targets.mask.shape[1] + 1, dtype=np.float64)
    return np.broadcast_to(places, targets.mask.shape)


def random_order(targets: Targets, seed: int) -> Array:
    """Uniform [0, 1) drawn by (seed, target id, slot) alone: float64 [Q, C].

    A target's order does not depend on which other targets are evaluated, nor on padding.
    """
    slots = np.arange(targets.mask.shape[1])
    bits = keyed(seed, targets.target_id[:, None], slots) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def most_recently_touched(targets: Targets) -> Array:
    """Minus the rank by the user's last touch, untouched documents last: float64 [Q, C].

    Ranks rather than times, because times of different targets do not compare in a pooled AUC,
    and because the original order of the untouched is part of this ranking.
    """
    # Microseconds since the epoch stay exact in float64 until the year 2255.
    touched = metrics.rank(targets.last_touch.astype(np.float64), targets.mask)
    return -touched.astype(np.float64)


def touched_then_random(targets: Targets, seed: int) -> Array:
    """As `most_recently_touched`, but the untouched in random order: float64 [Q, C].

    What touches alone are worth: the line for a model that is not shown the original order.
    """
    touched = np.where(targets.last_touch >= 0, -most_recently_touched(targets), np.inf)
    shuffled = metrics.rank(random_order(targets, seed), targets.mask)
    return -np.minimum(touched, targets.mask.shape[1] + shuffled).astype(np.float64)


def best_known(targets: Targets, truth: pathlib.Path) -> Array:
    """P(satisfied click | state, position) of every candidate from the simulator's truth.

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
            f"`truth` should hold every target. Received: {truth} without {missing[:5].tolist()}, "
            f"{len(missing)} missing. Export the truth of this dataset again."
        )
    return scores
