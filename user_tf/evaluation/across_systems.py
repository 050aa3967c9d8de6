"""Compare systems with a reference on one task, query by query.

A system's value of a query is its mean over the runs (seeds). Means, paired t-tests and resamplings
of the users are computed from these values. Only queries with a relevant and an irrelevant
candidate count.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from user_tf.evaluation import differences, metrics
from user_tf.evaluation.heuristics import BEST, ORIGINAL
from user_tf.evaluation.metrics import Array

# Between a ranking's name and a metric in the columns of a per-query file.
_OF = ": "

Rankings = dict[str, dict[str, Array]]
"""By ranking and metric, float64 [runs, Q]."""


@dataclasses.dataclass(frozen=True)
class TaskQueries:
    """The counted queries of one task, Q of them in ascending order of target id.

    Attributes:
        left_out: Queries without a relevant or without an irrelevant candidate.
        columns: [Q] by name: target_id, user_id and the columns of slices.
        systems: Values of every system.
        heuristics: Values of the heuristics, from the first system's runs (random ones depend on
            the seed).
    """

    left_out: int
    columns: dict[str, Array]
    systems: Rankings
    heuristics: Rankings

    @property
    def queries(self) -> int:
        """Q."""
        return len(self.columns["target_id"])

    @property
    def rankings(self) -> Rankings:
        """All rankings: heuristics first, then systems, the best known one last."""
        first = {name: found for name, found in self.heuristics.items() if name != BEST}
        last = {name: found for name, found in self.heuristics.items() if name == BEST}
        return first | self.systems | last

    def take(self, rows: Array) -> "TaskQueries":
        """Return the queries at `rows`, bool [Q]."""

        def cut(rankings: Rankings) -> Rankings:
            return {
                name: {key: values[:, rows] for key, values in found.items()}
                for name, found in rankings.items()
            }

        columns = {name: values[rows] for name, values in self.columns.items()}
        return TaskQueries(self.left_out, columns, cut(self.systems), cut(self.heuristics))


def read(files: Mapping[str, Sequence[pathlib.Path]], task: str) -> TaskQueries | None:
    """Join the per-query files of systems on target_id.

    Args:
        files: By system the files of its runs, written by `user_tf.evaluate`.
        task: `search` or `recommendation`; systems that do not rank it are skipped.

    Returns:
        The queries of the task; None where no system has one that counts.

    Raises:
        ValueError: The queries of the task, or their original order, differ between two files.
    """
    tables = {name: [_read(path, task) for path in paths] for name, paths in files.items()}
    tables = {name: found for name, found in tables.items() if found and found[0].num_rows}
    if not tables:
        return None
    of_first = next(iter(tables.values()))
    first = of_first[0]
    for name, paths in files.items():
        for path, table in zip(paths, tables.get(name, []), strict=False):
            _check_same_lists(first, table, path, task)
    counted = _numpy(first, "counted").astype(bool)
    if not counted.any():
        return None
    every = [table for found in tables.values() for table in found]
    keys = [key for key in metrics.METRICS if all(key in table.column_names for table in every)]

    def values(found: Sequence[pa.Table], prefix: str = "") -> dict[str, Array]:
        return {key: np.stack([_numpy(t, prefix + key)[counted] for t in found]) for key in keys}

    suffix = f"{_OF}map"
    others = [name.removesuffix(suffix) for name in first.column_names if name.endswith(suffix)]
    return TaskQueries(
        left_out=int((~counted).sum()),
        columns={
            name: _numpy(first, name)[counted]
            for name in first.column_names
            if _OF not in name and name not in (*metrics.METRICS, "counted", "task")
        },
        systems={name: values(found) for name, found in tables.items()},
        heuristics={name: values(of_first, name + _OF) for name in others},
    )


def compare(
    queries: TaskQueries,
    reference: str,
    samples: int = 1000,
    seed: int = 1,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the means of every ranking and their differences to the reference.

    Args:
        queries: Queries of one task, at least one.
        reference: A system; where it does not rank this task there are no differences.
        samples: Resamplings of the users.
        seed: Seed of the resamplings.
        only: Metrics to compare. Default: all there are.

    Returns:
        `queries`, `left_out`, `users`, `reference` and `rankings`; a ranking holds `learned`,
        `runs` and `metrics`. A metric holds `mean` over queries and runs; `std` over runs, None for
        a single one; `interval`, 95 % bounds of the mean over users; `improvement` to the original
        order in %, positive where better; `fraction_of_oracle_gain`, where the best ranking is
        known; and for all but the reference `difference` to it, `difference_interval`, `p_value` of
        the paired t-test over queries and `holm`, that value corrected for the number of systems;
        None for heuristics.
    """
    rankings = queries.rankings
    keys = list(only or rankings[ORIGINAL])
    values = {
        name: np.stack([found[key].mean(axis=0) for key in keys], axis=1)
        for name, found in rankings.items()
    }
    users = pa.array(queries.columns["user_id"])
    known = reference if reference in queries.systems else None
    compared = differences.compare_rankings(
        values, known, users, samples, seed, list(queries.systems)
    )
    places = {key: i for i, key in enumerate(keys)}

    def describe(name: str, key: str) -> dict[str, Any]:
        number = compared[name][places[key]]
        original = compared[ORIGINAL][places[key]].mean
        of_runs = rankings[name][key].mean(axis=1)
        entry: dict[str, Any] = {
            "mean": number.mean,
            "std": float(of_runs.std(ddof=1)) if len(of_runs) > 1 else None,
            "interval": number.interval,
            "improvement": differences.improvement(key, number.mean, original),
        }
        if BEST in compared:
            entry["fraction_of_oracle_gain"] = differences.fraction_of_oracle_gain(
                number.mean, original, compared[BEST][places[key]].mean
            )
        if number.difference is not None:
            parts = ("difference", "difference_interval", "p_value", "holm")
            entry |= {part: getattr(number, part) for part in parts}
        return entry

    return {
        "queries": queries.queries,
        "left_out": queries.left_out,
        "users": len(users.unique()),
        "reference": reference,
        "rankings": {
            name: {
                "learned": name in queries.systems,
                "runs": len(found[keys[0]]),
                "metrics": {key: describe(name, key) for key in keys},
            }
            for name, found in rankings.items()
        },
    }


def _read(path: pathlib.Path, task: str) -> pa.Table:
    return pq.read_table(path, filters=[("task", "==", task)]).sort_by("target_id")


def _numpy(table: pa.Table, name: str) -> Array:
    values: Array = table[name].to_numpy(zero_copy_only=False)
    return values


def _check_same_lists(first: pa.Table, table: pa.Table, path: pathlib.Path, task: str) -> None:
    """Raise ValueError unless two files hold the same queries in the same original order."""
    for name, rule in (
        ("target_id", "the same queries"),
        ("counted", "the same queries that count"),
        (f"{ORIGINAL}{_OF}map", "the same candidate lists"),
        (f"{ORIGINAL}{_OF}average_click_position", "the same candidate lists"),
    ):
        if not first[name].equals(table[name]):
            raise ValueError(
                f"`files` must hold {rule} of {task} for all systems. Got {path}, whose column "
                f"{name!r} differs from the first system's ({table.num_rows:,} and "
                f"{first.num_rows:,} rows). Fix: evaluate all runs on one dataset, split and "
                "protocol."
            )
