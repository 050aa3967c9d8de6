"""The targets of a dataset: one by its id, or a choice of them by user, slice and metric."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipeline.common.codes import LABELED_SPLITS, TASK_LABELS, Task
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.evaluation import evaluated_targets
from user_tf.evaluation.metrics import Array
from user_tf.evaluation.slices import default_slices

SHOWN = 20
"""Targets of a choice that are listed."""
ORDERS = ("random", "worst ranked", "best ranked", "newest")
"""Orders of a choice."""

_COLUMNS = ["target_id", "task", "user_id", "time", "query"]


@dataclasses.dataclass(frozen=True)
class Target:
    """One target: a request, its list as shown, and what was clicked.

    Attributes:
        target_id: Row of targets.parquet.
        split: A `Split`.
        task: `search` or `recommendation`.
        user_id: Masked id.
        time: Microseconds since the epoch, UTC.
        query: "" for a recommendation.
        request_id: Id of the list in the log; None for a browse, whose list was not shown.
        candidates: Ids of documents, in original order.
        labels: 1 where clicked (satisfied, by the rules of the dataset).
        pseudo: Whether the list was not shown and its negatives were drawn.
    """

    target_id: int
    split: str
    task: str
    user_id: str
    time: int
    query: str
    request_id: str | None
    candidates: tuple[str, ...]
    labels: tuple[int, ...]
    pseudo: bool


@dataclasses.dataclass(frozen=True)
class Choice:
    """A choice of targets to list.

    Attributes:
        split: A labeled split. Default: test.
        task: A task. Default: search.
        user: Masked id, or its beginning. Default: any.
        part: A slice of the evaluation. Default: all.
        order: One of `ORDERS`. Default: random.
        seed: Seed of the random order. Default: 1.
    """

    split: str = "test"
    task: str = "search"
    user: str = ""
    part: str = ""
    order: str = "random"
    seed: int = 1


class TargetCatalogue:
    """The targets of a dataset.

    Args:
        dataset: Opened dataset.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._file = dataset.path / "targets.parquet"

    @functools.cached_property
    def splits(self) -> tuple[str, ...]:
        """Return the labeled splits that have targets, test first."""
        found = set(pc.unique(self._dataset.targets(["split"])["split"]).to_pylist())
        return tuple(str(split) for split in reversed(LABELED_SPLITS) if split in found)

    def find(self, target_id: int) -> Target:
        """Return a target.

        Raises:
            ValueError: There is no such target.
        """
        columns = [field.name for field in dataclasses.fields(Target)]
        rows = pq.read_table(
            self._file, columns=columns, filters=[("target_id", "==", target_id)]
        ).to_pylist()
        if not rows:
            raise ValueError(
                f"`target` must be a target_id of the dataset. Got {target_id}. Fix: choose one of "
                "the first page."
            )
        row = rows[0]
        lists = {name: tuple(row[name] or ()) for name in ("candidates", "labels")}
        named = {"task": Task(row["task"]).label, "query": row["query"] or ""}
        return Target(**{**row, **named, **lists})

    @functools.cache  # noqa: B019 (a catalogue lives as long as the process)
    def targets(self, split: str) -> evaluated_targets.Targets:
        """Return the targets of a split as the evaluator reads them.

        Raises:
            ValueError: The split has no targets.
        """
        return evaluated_targets.load(self._dataset, split)

    @functools.cache  # noqa: B019
    def _facts(self, split: str) -> pa.Table:
        table = pq.read_table(self._file, columns=_COLUMNS, filters=[("split", "==", split)])
        return table.sort_by("target_id")

    def facts(self, split: str, target_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Return `user_id`, `time` and `query` of targets by id."""
        table = self._facts(split)
        rows = pc.index_in(pa.array(target_ids, pa.int64()), table["target_id"].combine_chunks())
        return {row["target_id"]: row for row in table.take(rows.drop_null()).to_pylist()}

    def slices(self, split: str, task: str) -> dict[str, Array]:
        """Return by slice the targets of a task in it, bool [Q] over the targets of the split.

        Raises:
            ValueError: The split has no targets.
        """
        targets = self.targets(split)
        of_task = targets.task == Task.from_label(task)
        found = {name: rows & of_task for name, rows in default_slices(targets.slices).items()}
        return {name: rows for name, rows in found.items() if rows.any()}

    def choose(
        self, choice: Choice, values: Mapping[int, float] | None = None
    ) -> tuple[int, list[dict[str, Any]]]:
        """Return how many targets fit, and the first of them.

        Args:
            choice: Which targets.
            values: MAP by target id; the orders worst and best need it. Default: unknown.

        Returns:
            Number of targets; at most `SHOWN` rows with `target_id`, `user_id`, `time` and `query`.

        Raises:
            ValueError: A value of the choice is impossible.
        """
        self._check(choice, values)
        facts = self._facts(choice.split)
        ids = facts["target_id"].to_numpy()
        keep = facts["task"].to_numpy() == Task.from_label(choice.task)
        if choice.part:
            keep &= self.slices(choice.split, choice.task)[choice.part]
        if choice.user:
            begins = pc.starts_with(facts["user_id"], choice.user)
            keep &= begins.to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(keep)
        if choice.order == "random":
            rows = np.random.default_rng(choice.seed).permutation(rows)
        elif choice.order == "newest":
            rows = rows[np.argsort(-facts["time"].to_numpy()[rows], kind="stable")]
        elif values is not None:
            rows = np.array([row for row in rows.tolist() if int(ids[row]) in values], np.int64)
            found = np.array([values[int(ids[row])] for row in rows.tolist()])
            sign = 1 if choice.order == "worst ranked" else -1
            rows = rows[np.argsort(sign * found, kind="stable")]
        shown = facts.take(pa.array(rows[:SHOWN], pa.int64())).to_pylist()
        return len(rows), shown

    def _check(self, choice: Choice, values: Mapping[int, float] | None) -> None:
        parts = ["", *self.slices(choice.split, choice.task)] if self._has(choice) else [""]
        allowed: dict[str, Sequence[str]] = {
            "split": self.splits,
            "task": TASK_LABELS,
            "part": parts,
            "order": ORDERS,
        }
        for name, known in allowed.items():
            value = getattr(choice, name)
            if value not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(filter(None, known))}. Got {value!r}. Fix: "
                    "choose one from the list."
                )
        if choice.order in ("worst ranked", "best ranked") and values is None:
            raise ValueError(
                f"`order` must be random or newest where no run is evaluated on the {choice.split} "
                f"split. Got {choice.order!r}. Fix: python -m user_tf.evaluate --run=RUN "
                f"--split={choice.split}, then start the explorer again."
            )

    def _has(self, choice: Choice) -> bool:
        return choice.split in self.splits and choice.task in TASK_LABELS


def query_file(run: pathlib.Path, split: str) -> pathlib.Path:
    """Return the file of a run's evaluation with one row a query; it may not exist."""
    return run / "evaluation" / f"{split}-queries.parquet"


def read_map(run: pathlib.Path, split: str) -> dict[int, float] | None:
    """Return MAP by target id of a run's evaluation, only of queries that count; None without one."""
    path = query_file(run, split)
    if not path.exists():
        return None
    table = pq.read_table(path, columns=["target_id", "counted", "map"])
    table = table.filter(table["counted"])
    return dict(zip(table["target_id"].to_pylist(), table["map"].to_pylist(), strict=True))
