"""Two systems query by query: means, the histogram of differences, the largest wins and losses."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from user_tf.evaluation import across_systems, differences, metrics, metrics_table
from user_tf.evaluation.metrics import Array
from user_tf.evaluation.slices import default_slices
from user_tf.explore.target_catalogue import query_file

LISTED = 20
"""Wins and losses that are listed, each."""
METRICS = {name: metrics_table.HEADINGS.get(name, name) for name in metrics.METRICS}
"""Heading of every metric of a query."""
_BINS = 21
_SAMPLES = 300
_SAME = 1e-9


@dataclasses.dataclass(frozen=True)
class QueryDifference:
    """One query: the metric of both systems, and its difference, positive where the first wins."""

    target_id: int
    first: float
    second: float
    difference: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two systems on the queries of a task.

    Attributes:
        systems: Names of all systems that can be compared.
        slices: Names of the slices of the task's queries.
        first, second: The two systems.
        queries: Number of queries compared.
        means: Mean of the metric, of the first and of the second.
        difference: Mean difference.
        interval: 95 % bounds of the difference, from resampled users.
        p_value: Paired t-test over queries; None for too few.
        wins, losses, ties: Numbers of queries.
        histogram: Lower edge, upper edge and number of queries of each bin.
        best, worst: The largest wins and losses of the first system.
    """

    systems: tuple[str, ...]
    slices: tuple[str, ...]
    first: str
    second: str
    queries: int
    means: tuple[float, float]
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    wins: int
    losses: int
    ties: int
    histogram: tuple[tuple[float, float, int], ...]
    best: tuple[QueryDifference, ...]
    worst: tuple[QueryDifference, ...]


def compare_systems(
    runs: Mapping[str, pathlib.Path],
    split: str,
    task: str,
    first: str = "",
    second: str = "",
    metric: str = "map",
    part: str = "",
) -> Comparison:
    """Compare two systems of the evaluations of runs.

    Args:
        runs: Folders of evaluated runs by their names.
        split: Split of the evaluations.
        task: `search` or `recommendation`.
        first: A system: a run's name or a heuristic. Default: the first run.
        second: Another one. Default: the second run, or the original order.
        metric: A name of `METRICS`.
        part: A slice of the queries. Default: all queries.

    Raises:
        ValueError: No run is evaluated on the task, the evaluations are of different lists, or a
            value is impossible.
    """
    files = {
        label: [query_file(run, split)]
        for label, run in runs.items()
        if query_file(run, split).exists()
    }
    queries = across_systems.read(files, task) if files else None
    if queries is None:
        raise ValueError(
            f"`run` must be evaluated on {task} targets of the {split} split that count. Got "
            f"{', '.join(runs) or 'no run'}. Fix: python -m user_tf.evaluate --run=RUN "
            f"--split={split}, then start the explorer again."
        )
    rankings = queries.rankings
    slices = default_slices(queries.columns)
    learned = [*queries.systems, *queries.heuristics]
    first, second = first or learned[0], second or learned[1]
    _check("first", first, list(rankings))
    _check("second", second, list(rankings))
    _check("metric", metric, [name for name in METRICS if name in rankings[first]])
    _check("slice", part, ["", *slices])
    rows = slices[part] if part else np.ones(queries.queries, bool)
    values = [rankings[name][metric].mean(axis=0)[rows] for name in (first, second)]
    users = pa.array(queries.columns["user_id"][rows])
    sign = -1.0 if metric == metrics.LOWER_IS_BETTER else 1.0
    gain = sign * (values[0] - values[1])
    tested = differences.compare_rankings(
        {"first": values[0][:, None], "second": values[1][:, None]}, "second", users, _SAMPLES
    )["first"][0]
    bounds = tested.difference_interval
    order = np.argsort(-gain, kind="stable")
    listed = [
        QueryDifference(
            int(queries.columns["target_id"][rows][place]),
            float(values[0][place]),
            float(values[1][place]),
            float(gain[place]),
        )
        for place in order.tolist()
    ]
    return Comparison(
        systems=tuple(rankings),
        slices=tuple(slices),
        first=first,
        second=second,
        queries=len(gain),
        means=(float(values[0].mean()), float(values[1].mean())),
        difference=float(tested.difference or 0.0),
        interval=None if bounds is None else (bounds[0], bounds[1]),
        p_value=tested.p_value,
        wins=int((gain > _SAME).sum()),
        losses=int((gain < -_SAME).sum()),
        ties=int((np.abs(gain) <= _SAME).sum()),
        histogram=make_histogram(gain),
        best=tuple(query for query in listed[:LISTED] if query.difference > _SAME),
        worst=tuple(query for query in listed[: -LISTED - 1 : -1] if query.difference < -_SAME),
    )


def make_histogram(values: Array) -> tuple[tuple[float, float, int], ...]:
    """Return bins around zero: lower edge, upper edge, number of values.

    Args:
        values: float [Q], at least one.

    Example:
        >>> bins = make_histogram(np.array([-0.5, 0.0, 0.5, 0.5]))
        >>> [(round(low, 2), count) for low, _, count in bins if count]
        [(-0.5, 1), (-0.02, 1), (0.45, 2)]
    """
    # An odd number of bins: the middle one holds the queries of no difference.
    reach = float(np.abs(values).max()) or 1.0
    counts, edges = np.histogram(values, _BINS, (-reach, reach))
    return tuple(
        (float(low), float(high), int(count))
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    )


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {', '.join(filter(None, known))}. Got {value!r}. Fix: choose "
            "one from the list."
        )
