"""Ranking metrics on padded lists, in NumPy: one value a query.

Axis letters: Q queries, C candidates. `labels`, `scores` and `mask` are [Q, C]; a label above 0
is a relevant candidate and a False in `mask` is padding, at any place. Ties keep the
original order of the list, so no value depends on chance. A query is counted where it has a
relevant and an irrelevant candidate: elsewhere every ranking is equally good.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Metrics with one value a query, in the order of tables; the higher the better, but for one.
METRICS = (
    "map",
    "mrr",
    "mrr_all",
    "p_at_1",
    "hr_at_1",
    "hr_at_5",
    "hr_at_10",
    "average_click_position",
    "ndcg_at_5",
    "ndcg_at_10",
    "auc_grouped",
)
# The only metric of all queries together.
POOLED = "auc_pooled"
LOWER_IS_BETTER = "average_click_position"


def rank(scores: Array, mask: Array) -> Array:
    """Return the rank of every candidate, 1 for the highest score; ties keep the original order.

    Args:
        scores: [Q, C], finite where `mask` holds.
        mask: bool [Q, C].

    Returns:
        int64 [Q, C]; 0 for padding.

    Raises:
        ValueError: Shapes differ, or a score of a candidate is not finite.

    Example:
        >>> rank(np.array([[1.0, 3.0, 1.0]]), np.ones((1, 3), bool))  # the tie keeps its order
        array([[2, 1, 3]])
    """
    scores, mask = np.asarray(scores, np.float64), np.asarray(mask, bool)
    if scores.ndim != 2 or scores.shape != mask.shape:
        raise ValueError(
            "`scores` and `mask` must have one shape [Q, C]. Got "
            f"{scores.shape} and {mask.shape}. Fix: pad both to the same number of candidates."
        )
    keys = np.where(mask, -scores, np.inf)
    bad = ~np.isfinite(keys) & mask
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        raise ValueError(
            "`scores` must be finite for every candidate. Got "
            f"{scores[row][mask[row]].tolist()} in row {row}, {int(bad.any(axis=1).sum())} such "
            "rows. Fix: look for a diverged model or candidates that were not scored."
        )
    order = np.argsort(keys, axis=1, kind="stable")
    ranks = np.empty(order.shape, np.int64)
    places = np.broadcast_to(np.arange(1, order.shape[1] + 1), order.shape)
    np.put_along_axis(ranks, order, places, axis=1)
    return np.where(mask, ranks, 0)


def countable(labels: Array, mask: Array) -> Array:
    """bool [Q]: the queries with a relevant and an irrelevant candidate.

    Example:
        >>> countable(np.array([[1, 0], [1, 1], [1, 0]]), np.array([[1, 1], [1, 1], [1, 0]], bool))
        array([ True, False, False])
    """
    relevant: Array = np.atleast_2d(np.asarray(labels) > 0)
    return np.any(relevant & mask, axis=1) & np.any(~relevant & mask, axis=1)


def query_metrics(labels: Array, scores: Array, mask: Array) -> dict[str, Array]:
    """Compute every metric of every query.

    With ranks r of the relevant candidates, sorted, and n of them:
        map: mean of (relevant candidates up to r) / r.
        mrr: 1 / (the first r); mrr_all: mean of 1 / r.
        p_at_1: 1 if the first r is 1.
        hr_at_k: 1 if the first r is at most k.
        average_click_position: mean of r; the lower the better.
        ndcg_at_k: sum of 1 / log2(r + 1) over r <= k, divided by that of the ideal order.
        auc_grouped: share of (relevant, irrelevant) pairs with the relevant one above; pairs of
            equal score count half, whatever their order.

    Args:
        labels: [Q, C], 0 or 1.
        scores: [Q, C], finite where `mask` holds.
        mask: bool [Q, C].

    Returns:
        For each name of METRICS float64 [Q], NaN where the query is not countable.

    Raises:
        ValueError: Shapes differ, a label is neither 0 nor 1, a score is not finite.

    Example:
        >>> values = query_metrics([[0, 1, 0]], [[3.0, 2.0, 1.0]], [[True, True, True]])
        >>> float(values["mrr"][0]), float(values["auc_grouped"][0])
        (0.5, 0.5)
    """
    labels, mask = np.asarray(labels), np.asarray(mask, bool)
    scores = np.asarray(scores, np.float64)
    ranks = rank(scores, mask)
    if labels.shape != mask.shape or not np.isin(labels[mask], (0, 1)).all():
        raise ValueError(
            f"`labels` must be 0 or 1, of shape [Q, C] = {mask.shape}. Got shape "
            f"{labels.shape}, values {np.unique(labels)[:5].tolist()}. Fix: prepare the labels as 0/1."
        )
    relevant = (labels > 0) & mask
    count = relevant.sum(axis=1)
    size = mask.sum(axis=1)
    # in_order[q, i]: the candidate at rank i + 1 is relevant. Column 0, the rank of padding, is cut.
    in_order = np.zeros((len(ranks), ranks.shape[-1] + 1), bool)
    np.put_along_axis(in_order, ranks, relevant, axis=1)
    in_order = in_order[:, 1:]
    place = np.arange(1, in_order.shape[1] + 1, dtype=np.float64)
    discount = 1 / np.log2(place + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "map": (np.cumsum(in_order, axis=1) / place * in_order).sum(axis=1) / count,
            "mrr": (in_order / place).max(axis=1, initial=0.0),
            "mrr_all": (in_order / place).sum(axis=1) / count,
            "p_at_1": _hit(in_order, 1),
            "hr_at_1": _hit(in_order, 1),
            "hr_at_5": _hit(in_order, 5),
            "hr_at_10": _hit(in_order, 10),
            "average_click_position": (in_order * place).sum(axis=1) / count,
            "ndcg_at_5": _ndcg(in_order, discount, count, 5),
            "ndcg_at_10": _ndcg(in_order, discount, count, 10),
            "auc_grouped": _grouped_auc(relevant, scores, mask, count, size),
        }
    keep = countable(labels, mask)
    return {name: np.where(keep, value, np.nan) for name, value in values.items()}


def pooled_auc(labels: Array, scores: Array, mask: Array) -> float:
    """AUC over the candidates of all queries together; equal scores count half.

    Queries that are not countable are left out. NaN where nothing is left.

    Example:
        >>> pooled_auc([[1, 0], [0, 1]], [[4.0, 1.0], [3.0, 2.0]], [[True, True], [True, True]])
        0.75
    """
    labels, mask = np.asarray(labels), np.asarray(mask, bool)
    scores = np.asarray(scores, np.float64)
    mask = mask & countable(labels, mask)[:, None]
    relevant = labels[mask] > 0
    if not len(relevant):
        return float("nan")
    _, level, counts = np.unique(scores[mask], return_inverse=True, return_counts=True)
    # Middle rank of each level of scores: ties count half.
    middle = np.cumsum(counts) - (counts - 1) / 2
    positives = int(relevant.sum())
    above = middle[level][relevant].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(relevant) - positives)))


def _hit(in_order: Array, cutoff: int) -> Array:
    return np.asarray(in_order[:, :cutoff].any(axis=1), np.float64)


def _ndcg(in_order: Array, discount: Array, count: Array, cutoff: int) -> Array:
    gained = (in_order[:, :cutoff] * discount[:cutoff]).sum(axis=1)
    ideal = np.concatenate([[0.0], np.cumsum(discount[:cutoff])])
    return gained / ideal[np.minimum(count, len(ideal) - 1)]


def _grouped_auc(relevant: Array, scores: Array, mask: Array, count: Array, size: Array) -> Array:
    # Mann-Whitney: middle ranks from below, ties sharing theirs. Sorting keeps it at C log C.
    keys = np.where(mask, scores, np.inf)
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=1)
    rows, width = ordered.shape
    if not width:
        return np.full(rows, np.nan)
    starts = np.ones((rows, width), bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # Level of each place, numbered through all rows; its middle is (first + last) / 2.
    level = np.cumsum(starts.ravel()) - 1
    place = np.broadcast_to(np.arange(1.0, width + 1), (rows, width)).ravel()
    first = place[starts.ravel()]
    middle = first + (np.bincount(level) - 1) / 2
    ranks = middle[level].reshape(rows, width)
    summed = (ranks * np.take_along_axis(relevant, order, axis=1)).sum(axis=1)
    return (summed - count * (count + 1) / 2) / (count * (size - count))
