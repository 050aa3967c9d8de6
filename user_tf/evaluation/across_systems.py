"""Systems beside each other on one task, query by query, and their differences to a reference.

A system's value of a query is its mean over the runs (seeds); means, paired t-tests and resamplings
of the users rest on these values. Only queries with a relevant and an irrelevant candidate count.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from user_tf.evaluation import metrics, significance
from user_tf.evaluation.comparison import improvement, share_of_gain
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
        columns: [Q] by name: target_id, user_id, and what else tells queries apart.
        systems: Values of every system.
        non_learned: Values of the rankings that learn nothing, as the first system's runs have
            them (the random ones depend on the seed).
    """

    left_out: int
    columns: dict[str, Array]
    systems: Rankings
    non_learned: Rankings

    @property
    def queries(self) -> int:
        """Q."""
        return len(self.columns["target_id"])

    @property
    def rankings(self) -> Rankings:
        """Those that learn nothing, the systems, and the best known one last."""
        first = {name: found for name, found in self.non_learned.items() if name != BEST}
        last = {name: found for name, found in self.non_learned.items() if name == BEST}
        return first | self.systems | last

    def take(self, rows: Array) -> "TaskQueries":
        """The queries at `rows`, bool [Q]."""

        def cut(rankings: Rankings) -> Rankings:
            return {
                name: {key: values[:, rows] for key, values in found.items()}
                for name, found in rankings.items()
            }

        columns = {name: values[rows] for name, values in self.columns.items()}
        return TaskQueries(self.left_out, columns, cut(self.systems), cut(self.non_learned))


def read(files: Mapping[str, Sequence[pathlib.Path]], task: str) -> TaskQueries | None:
    """Joins the per-query files of systems on target_id.

    Args:
        files: By system the files of its runs, as `user_tf.evaluate` writes them.
        task: `search` or `recommendation`; systems that do not rank it are passed over.

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
        non_learned={name: values(of_first, name + _OF) for name in others},
    )


def compare(
    queries: TaskQueries,
    reference: str,
    samples: int = 1000,
    seed: int = 1,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Means of every ranking, and its difference to the reference.

    Args:
        queries: Of one task, at least one.
        reference: A system; where it does not rank this task there are no differences.
        samples: Resamplings of the users.
        seed: Seed of the resamplings.
        only: Metrics to compare. Default: all there are.

    Returns:
        `queries`, `left_out`, `users`, `reference` and `rankings`; a ranking holds `learned`,
        `runs` and `metrics`. A metric holds `mean` over queries and runs; `std` over runs, None for
        a single one; `interval`, 95 % bounds of the mean over users; `improvement` to the original
        order in %, positive where better; `share_of_gain`, where the best ranking is known; and
        for all but the reference `difference` to it, `difference_interval`, `p_value` of the paired
        t-test over queries and `holm`, that value corrected for the number of systems; None for
        rankings that learn nothing.
    """
    rankings = queries.rankings
    keys = list(only or rankings[ORIGINAL])
    values = {
        name: np.stack([found[key].mean(axis=0) for key in keys], axis=1)
        for name, found in rankings.items()
    }
    differences = {
        name: values[name] - values[reference]
        for name in rankings
        if reference in queries.systems and name != reference
    }
    users = pa.array(queries.columns["user_id"])
    # All are resampled together: the same users in every ranking and difference.
    drawn = np.concatenate([*values.values(), *differences.values()], axis=1)
    bounds = significance.user_bootstrap(drawn, users, samples, seed)
    pairs = iter([[bound.low, bound.high] for bound in bounds])

    entries: dict[str, Any] = {}
    for name, found in rankings.items():
        numbers: dict[str, Any] = {}
        for i, key in enumerate(keys):
            of_runs = found[key].mean(axis=1)
            numbers[key] = {
                "mean": float(values[name][:, i].mean()),
                "std": float(of_runs.std(ddof=1)) if len(of_runs) > 1 else None,
                "interval": next(pairs),
            }
        runs = len(found[keys[0]])
        entries[name] = {"learned": name in queries.systems, "runs": runs, "metrics": numbers}
    for entry in entries.values():
        for key, number in entry["metrics"].items():
            original = entries[ORIGINAL]["metrics"][key]["mean"]
            number["improvement"] = improvement(key, number["mean"], original)
            if BEST in entries:
                best = entries[BEST]["metrics"][key]["mean"]
                number["share_of_gain"] = share_of_gain(number["mean"], original, best)
    for name, difference in differences.items():
        for i, key in enumerate(keys):
            entries[name]["metrics"][key] |= {
                "difference": float(difference[:, i].mean()),
                "difference_interval": next(pairs),
            }
    for i, key in enumerate(keys if differences else ()):
        tests = _tests(
            {name: values[name][:, i] for name in differences},
            values[reference][:, i],
            corrected=list(queries.systems),
        )
        for name, test in tests.items():
            entries[name]["metrics"][key] |= test
    return {
        "queries": queries.queries,
        "left_out": queries.left_out,
        "users": len(users.unique()),
        "reference": reference,
        "rankings": entries,
    }


def _tests(
    values: Mapping[str, Array], reference: Array, corrected: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """`p_value` of values [Q] against the reference's, and `holm` of those to be corrected."""
    found = {name: significance.paired_t_test(v, reference) for name, v in values.items()}
    known = {name: p for name, p in found.items() if p is not None and name in corrected}
    holm = dict(zip(known, significance.holm(list(known.values())), strict=True))
    return {name: {"p_value": found[name], "holm": holm.get(name)} for name in found}


def _read(path: pathlib.Path, task: str) -> pa.Table:
    return pq.read_table(path, filters=[("task", "==", task)]).sort_by("target_id")


def _numpy(table: pa.Table, name: str) -> Array:
    values: Array = table[name].to_numpy(zero_copy_only=False)
    return values


def _check_same_lists(first: pa.Table, table: pa.Table, path: pathlib.Path, task: str) -> None:
    """Raises unless two files hold the same queries in the same original order."""
    for name, rule in (
        ("target_id", "the same queries"),
        ("counted", "the same queries that count"),
        (f"{ORIGINAL}{_OF}map", "the same candidate lists"),
        (f"{ORIGINAL}{_OF}average_click_position", "the same candidate lists"),
    ):
        if not first[name].equals(table[name]):
            raise ValueError(
                f"All systems should be evaluated on {rule} of {task}. Received: {path}, whose "
                f"column {name!r} is another one than the first system's ({table.num_rows:,} and "
                f"{first.num_rows:,} rows). Evaluate all runs on one dataset, split and protocol."
            )
