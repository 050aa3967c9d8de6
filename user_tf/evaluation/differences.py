"""The difference of rankings on the same queries: t-test, bootstrap over users, Holm's correction.

The one place where rankings are compared. `comparison` uses it for the rankings of one run,
`across_systems` for the systems of a grid.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from user_tf.evaluation import metrics, significance
from user_tf.evaluation.metrics import Array

Bounds = list[float]
"""95 % bounds over users, low then high."""


@dataclasses.dataclass(frozen=True)
class Number:
    """One metric of one ranking.

    Attributes:
        mean: Mean over queries.
        interval: Bounds of the mean; None for no query.
        difference: Mean difference to the reference; None for the reference itself.
        difference_interval: Bounds of the difference.
        p_value: Paired t-test of the difference over queries.
        holm: `p_value` corrected for the number of corrected rankings; None for the others.
    """

    mean: float | None
    interval: Bounds | None
    difference: float | None = None
    difference_interval: Bounds | None = None
    p_value: float | None = None
    holm: float | None = None


def compare_rankings(
    values: Mapping[str, Array],
    reference: str | None,
    users: pa.Array,
    samples: int = 1000,
    seed: int = 1,
    corrected: Sequence[str] = (),
) -> dict[str, list[Number]]:
    """Compare rankings with a reference, metric by metric.

    All means and differences are resampled together: each resampling has the same users for all.

    Args:
        values: By ranking float [Q, M]: M metrics of the same Q queries.
        reference: Ranking that the others are compared with; None: no differences.
        users: [Q], the user of each query.
        samples: Resamplings of the users.
        seed: Seed of the resamplings.
        corrected: Rankings whose p-values are corrected for their number.

    Returns:
        By ranking the `Number` of each metric.

    Example:
        >>> users = pa.array(["ann", "bob", "cem"])
        >>> values = {"old": np.array([[0.0], [0.5], [0.5]]), "new": np.array([[0.5], [1.0], [0.5]])}
        >>> (number,) = compare_rankings(values, "old", users, corrected=["new"])["new"]
        >>> round(number.difference, 4), round(number.p_value, 4), round(number.holm, 4)
        (0.3333, 0.1835, 0.1835)
    """
    differences = {
        name: found - values[reference]
        for name, found in values.items()
        if reference is not None and name != reference
    }
    width = next(iter(values.values())).shape[1]
    columns = np.concatenate([*values.values(), *differences.values()], axis=1)
    found = significance.user_bootstrap(columns, users, samples, seed)
    pairs: list[Bounds | None] = [[bound.low, bound.high] for bound in found]
    bounds = iter(pairs or [None] * columns.shape[1])
    intervals = {name: [next(bounds) for _ in range(width)] for name in values}
    difference_intervals = {name: [next(bounds) for _ in range(width)] for name in differences}
    tests = [
        _test(
            {name: values[name][:, i] for name in differences}, values[reference][:, i], corrected
        )
        for i in range(width)
        if reference is not None
    ]
    return {
        name: [
            Number(
                _mean(values[name][:, i]),
                intervals[name][i],
                *(
                    (_mean(differences[name][:, i]), difference_intervals[name][i], *tests[i][name])
                    if name in differences
                    else ()
                ),
            )
            for i in range(width)
        ]
        for name in values
    }


def _mean(values: Array) -> float | None:
    return float(values.mean()) if len(values) else None


def _test(
    values: Mapping[str, Array], reference: Array, corrected: Sequence[str]
) -> dict[str, tuple[float | None, float | None]]:
    """Return by ranking the p-value of its values [Q], and Holm's of those to be corrected."""
    found = {name: significance.paired_t_test(v, reference) for name, v in values.items()}
    known = {name: p for name, p in found.items() if p is not None and name in corrected}
    holm = dict(zip(known, significance.holm(list(known.values())), strict=True))
    return {name: (p, holm.get(name)) for name, p in found.items()}


def improvement(metric: str, value: float | None, original: float | None) -> float | None:
    """Return the relative improvement in %, positive where better; None where it does not exist.

    Example:
        >>> improvement("map", 0.6, 0.5), improvement("average_click_position", 3.0, 4.0)
        (20.0, 25.0)
    """
    if value is None or not original:
        return None
    change = 100 * (value - original) / original
    return round(-change if metric == metrics.LOWER_IS_BETTER else change, 10)


def fraction_of_oracle_gain(
    value: float | None, original: float | None, best: float | None
) -> float | None:
    """Return (value - original) / (best - original); None where the best equals the original.

    Args:
        value: A metric of a ranking.
        original: The metric of the original order.
        best: The metric of the best known ranking, the oracle of a simulation.

    Example:
        >>> fraction_of_oracle_gain(0.5, 0.25, 0.75)
        0.5
    """
    if value is None or original is None or best is None or best == original:
        return None
    return (value - original) / (best - original)
