"""Slices of queries that are reported beside all queries."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from data_pipeline.common.codes import Task
from user_tf.evaluation.evaluator import Evaluation, Summary
from user_tf.evaluation.metrics import Array

# Bins of a number that is sliced without edges, and values a column of strings may have.
_BINS = 4
_MOST_VALUES = 30


@dataclasses.dataclass(frozen=True)
class Slice:
    """Some queries, selected by one column.

    Attributes:
        name: Row of the slice table.
        column: Name of the column.
        holds: From the column's values [Q] to bool [Q].
    """

    name: str
    column: str
    holds: Callable[[Array], Array]


def _within(low: int, high: float = np.inf) -> Callable[[Array], Array]:
    return lambda values: (values >= low) & (values <= high)


SLICES = (
    Slice("first of the user", "first_of_task", lambda values: values.astype(bool)),
    Slice("session with both behaviors", "session_has_both", lambda values: values.astype(bool)),
    Slice("unknown user", "known_user", lambda values: ~values.astype(bool)),
    Slice("no past behavior", "past_behaviors", lambda values: values == 0),
    Slice("1 to 9 past behaviors", "past_behaviors", _within(1, 9)),
    Slice("10 to 29 past behaviors", "past_behaviors", _within(10, 29)),
    Slice("30 or more past behaviors", "past_behaviors", _within(30)),
    Slice("repeated query", "query_seen", lambda values: values.astype(bool)),
    Slice("query of 1 token", "query_tokens", lambda values: values == 1),
    Slice("query of 2 tokens", "query_tokens", lambda values: values == 2),
    Slice("query of 3 tokens or more", "query_tokens", _within(3)),
    Slice("pseudo-negatives", "pseudo", lambda values: values.astype(bool)),
)


def default_slices(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return bool [Q] for every slice of SLICES that has its column and holds a query.

    Example:
        >>> default_slices({"past_behaviors": np.array([0, 12, 4])})["no past behavior"]
        array([ True, False, False])
    """
    rows = {
        part.name: part.holds(columns[part.column]) for part in SLICES if part.column in columns
    }
    return {name: row for name, row in rows.items() if row.any()}


def summarize(evaluation: Evaluation, task: str) -> dict[str, Summary]:
    """Summarize every slice of a task that holds a query.

    Example:
        >>> from user_tf.evaluation import evaluated_targets, evaluator
        >>> rows = evaluated_targets.from_table(evaluated_targets.example_table())
        >>> result = evaluator.evaluate(rows, np.array([3]), np.array([[1.0, 2, 3]]))
        >>> list(summarize(result, "search"))
        ['session with both behaviors', '1 to 9 past behaviors', 'query of 2 tokens']
    """
    of_task = evaluation.targets.task == Task.from_label(task)
    rows = {name: of_task & row for name, row in default_slices(evaluation.targets.slices).items()}
    return {name: evaluation.summarize(row) for name, row in rows.items() if row.any()}


def slice_by(request: str, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Slice queries by any column: booleans and strings by value, numbers in bins.

    Args:
        request: COLUMN; or COLUMN:A:B:... for bins that begin at the numbers A, B, ... Numbers
            without edges are cut at their quartiles.
        columns: Columns [Q] by name.

    Returns:
        bool [Q] by name, in ascending order of the values; only slices that hold a query.

    Raises:
        ValueError: There is no such column, it has too many values, or the edges are no numbers.

    Example:
        >>> columns = {"known_user": np.array([True, False]), "past_behaviors": np.array([0, 12])}
        >>> slice_by("known_user", columns)
        {'known_user: no': array([False,  True]), 'known_user: yes': array([ True, False])}
        >>> slice_by("past_behaviors:1:10", columns)
        {'past_behaviors < 1': array([ True, False]), 'past_behaviors >= 10': array([False,  True])}
    """
    name, *edges = request.split(":")
    if name not in columns:
        raise ValueError(
            f"`slice` must name a column of the per-query files. Got {name!r}. Fix: choose one of "
            f"{', '.join(columns)}."
        )
    values = columns[name]
    if values.dtype.kind in "iuf":
        return _by_bins(name, values, _edges(request, edges, values))
    if edges:
        raise ValueError(
            f"`slice` must have no edges unless the column holds numbers. Got {request!r}, whose "
            f"column holds {values.dtype}. Fix: write --slice={name}."
        )
    distinct = np.unique(values).tolist()
    if len(distinct) > _MOST_VALUES:
        raise ValueError(
            f"`slice` must name a column of at most {_MOST_VALUES} values. Got {name!r} with "
            f"{len(distinct)}. Fix: choose another column."
        )
    words = {True: "yes", False: "no"} if values.dtype == bool else {}
    return {f"{name}: {words.get(value, value)}": values == value for value in distinct}


def _edges(request: str, edges: Sequence[str], values: Array) -> list[float]:
    if not edges:
        quantiles = np.arange(1, _BINS) / _BINS
        return np.unique(np.quantile(values, quantiles, method="higher")).tolist()
    try:
        numbers = [float(edge) for edge in edges]
    except ValueError:
        numbers = []
    if not numbers or numbers != sorted(set(numbers)):
        raise ValueError(
            f"`slice` must list its edges as ascending numbers. Got {request!r}. Fix: write, for "
            "example, --slice=past_behaviors:1:10:30."
        )
    return numbers


def _by_bins(name: str, values: Array, edges: Sequence[float]) -> dict[str, Array]:
    bins = np.searchsorted(edges, values, side="right")
    bounds = [f"{edge:g}" for edge in edges]
    names = [f"{name} < {bounds[0]}"]
    names += [f"{low} <= {name} < {high}" for low, high in itertools.pairwise(bounds)]
    names.append(f"{name} >= {bounds[-1]}")
    rows = {label: bins == number for number, label in enumerate(names)}
    return {label: row for label, row in rows.items() if row.any()}
