"""Significance of a difference: the paper's paired t-test, Holm's correction, user bootstrap."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from scipy import stats

from user_tf.evaluation.metrics import Array

# Memory of one block of resampled user weights, in numbers.
_BLOCK = 4_000_000


@dataclasses.dataclass(frozen=True)
class Interval:
    """95 % bounds of a mean over resamplings of the users."""

    low: float
    high: float


def paired_t_test(values: Array, original: Array) -> float | None:
    """Return the two-sided p-value of equal means, paired by query, as in the paper.

    The test assumes independent queries; those of one user are not. `user_bootstrap` does not
    assume it.

    Args:
        values, original: float [n], a metric of the same queries under two rankings.

    Returns:
        The p-value; 1 where no query differs; None for fewer than two queries.

    Example:
        >>> round(paired_t_test(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.0])), 4)
        0.1296
    """
    if len(values) < 2:
        return None
    difference = values - original
    if np.ptp(difference) == 0:
        # scipy divides by the spread, which is 0 here: p is 1 for no difference, 0 for a constant one.
        return 1.0 if difference[0] == 0 else 0.0
    return float(stats.ttest_rel(values, original).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the number of tests (Holm-Bonferroni).

        adjusted p_(i) = max over j <= i of min(1, (m - j + 1) p_(j)),   p_(1) <= ... <= p_(m)

    Rejecting where the adjusted value is below 0.05 keeps the chance of any false rejection among
    the m tests below 0.05, whatever their dependence.

    Args:
        p_values: Of the m tests, in any order.

    Returns:
        Adjusted p-values in that order.

    Example:
        >>> holm([0.04, 0.01, 0.03])
        [0.06, 0.03, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, test in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[test]))
        adjusted[test] = largest
    return adjusted


def user_bootstrap(
    values: Array, users: pa.Array, samples: int = 1000, seed: int = 1
) -> list[Interval]:
    """Return 95 % percentile intervals of means over queries, resampling users with replacement.

    Args:
        values: float [n, M], metrics of n queries, or differences of metrics.
        users: [n], the user of each query.
        samples: Resamplings.
        seed: Seed of the draws.

    Returns:
        One interval for each of the M columns; none for no query.

    Example:
        >>> users = pa.array(["ann", "ann", "bob"])
        >>> user_bootstrap(np.array([[0.0], [0.0], [1.0]]), users)  # ann alone 0, bob alone 1
        [Interval(low=0.0, high=1.0)]
    """
    if not len(values):
        return []
    encoded = users.dictionary_encode()
    row_user = encoded.indices.to_numpy()
    count = len(encoded.dictionary)
    # The mean of a resampling is a ratio of sums over users, so queries are summed once.
    sums = np.stack([np.bincount(row_user, column, count) for column in values.T], axis=1)
    queries = np.bincount(row_user, minlength=count)
    generator = np.random.default_rng(seed)
    means = []
    block = max(1, min(samples, _BLOCK // count))
    for start in range(0, samples, block):
        rows = min(block, samples - start)
        drawn = generator.integers(count, size=(rows, count))
        drawn += np.arange(rows)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        means.append((weights @ sums) / (weights @ queries)[:, None])
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975], axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
