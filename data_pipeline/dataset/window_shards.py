"""Windows of a view, written shard by shard, each from its own users' behaviors alone.

A shard's users stand next to each other, so one slice of the behaviors holds all they did: memory
does not grow with the log, and shards are written side by side without changing a byte.
"""

import concurrent.futures
import dataclasses
import itertools
import pathlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split
from data_pipeline.dataset.windows import SIZES, Content, starts, write_shard
from data_pipeline.events.visible_history import BehaviorStates, visible_history
from data_pipeline.settings import SequenceSettings, WindowSettings


@dataclasses.dataclass(frozen=True)
class ScenarioEvents:
    """What a view shows of the log.

    Attributes:
        behaviors: Columns behavior (1, 2, ... in the view), user, time, known_after, type, text,
            doc, session (of the view), in the order of `behavior`.
        answers: Columns behavior, rank, doc, known_after, in the order (behavior, rank).
        target: int64 [n], ids of the view's targets, ascending.
        session: int64 [n], session of the view in which each of them lies.
    """

    behaviors: Columns
    answers: Columns
    target: Integers
    session: Integers


@dataclasses.dataclass(frozen=True)
class WindowInputs:
    """What all windows are made of.

    Attributes:
        targets: Columns target_id, user, time, split, task, query, next_query; row = target id.
        user_row: int64 [targets], row of users.parquet.
        offsets: int64 [targets + 1], where candidates begin.
        candidate_doc: int64 [candidates].
        candidate_label: int64 [candidates].
        features: float32 [candidates, features].
        document_text: int64 [documents], text of each document.
        group_row: int64 [groups], target of each group, ascending.
        positive: int64 [groups], position of its positive.
    """

    targets: Columns
    user_row: Integers
    offsets: Integers
    candidate_doc: Integers
    candidate_label: Integers
    features: npt.NDArray[np.float32]
    document_text: Integers
    group_row: Integers
    positive: Integers


def write_view(
    folder: pathlib.Path,
    view: ScenarioEvents,
    material: WindowInputs,
    sequence: SequenceSettings,
    settings: WindowSettings,
    workers: int,
) -> dict[str, int]:
    """Writes the windows of a view; returns their number by split.

    Makes, for each split, `<split>-00000-of-0000n.tfrecord` (at least one file, maybe empty) and
    `<split>-sizes.npy`, int32 [windows, 5] in the order of the records.

    Args:
        folder: Existing folder of the view.
        view: What it shows.
        material: What all windows are made of.
        sequence: Caps.
        settings: Targets of a window, windows of a file.
        workers: Files written at a time; changes nothing about them.

    Raises:
        ValueError: `targets_per_window` or `windows_per_shard` is below 1.
    """
    if settings.windows_per_shard < 1:
        raise ValueError(
            "`windows_per_shard` must be at least 1. Received: `windows_per_shard` = "
            f"{settings.windows_per_shard}. Set --windows.windows_per_shard to 1 or more."
        )
    shown = np.isin(material.group_row, view.target)
    split_of_group = material.targets["split"][material.group_row]
    counts: dict[str, int] = {}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for number, split in enumerate(Split):
            groups = np.flatnonzero(shown & (split_of_group == number))
            users = material.targets["user"][material.group_row[groups]]
            edges = starts(users, settings.targets_per_window)
            cuts = [*range(0, len(edges) - 1, settings.windows_per_shard), len(edges) - 1]
            parts = [edges[a : b + 1] for a, b in itertools.pairwise(cuts)] or [edges]
            paths = [
                folder / f"{split}-{shard:05d}-of-{len(parts):05d}.tfrecord"
                for shard in range(len(parts))
            ]

            def write(
                path: pathlib.Path, part: Integers, groups: Integers = groups
            ) -> npt.NDArray[np.int32]:
                mine = groups[part[0] : part[-1]]
                return _write(path, view, material, sequence, mine, part - part[0])

            tables: Sequence[npt.NDArray[np.int32]] = list(pool.map(write, paths, parts))
            np.save(folder / f"{split}-sizes.npy", np.concatenate(tables))
            counts[split] = len(edges) - 1
    return counts


def _write(
    path: pathlib.Path,
    view: ScenarioEvents,
    material: WindowInputs,
    settings: SequenceSettings,
    groups: Integers,
    edges: Integers,
) -> npt.NDArray[np.int32]:
    """Writes the windows of some groups as one file; returns their sizes."""
    if not len(groups):
        path.touch()
        return np.zeros((0, len(SIZES)), np.int32)
    rows = material.group_row[groups]
    ids, place = np.unique(rows, return_inverse=True)
    user = material.targets["user"][ids]
    behaviors = _of_users(view.behaviors, "user", user[0], user[-1])
    shift = behaviors["behavior"][0] - 1 if len(behaviors["behavior"]) else 0
    answers = _of_users(view.answers, "behavior", shift + 1, shift + len(behaviors["user"]))
    behaviors, answers = _shifted(behaviors, shift), _shifted(answers, shift)
    states = BehaviorStates(behaviors, answers, settings.clicked_titles)
    placed = view.session[np.searchsorted(view.target, ids)]
    targets = {"user": user, "time": material.targets["time"][ids], "session": placed}
    content = Content(
        behaviors,
        states,
        material.targets,
        material.user_row,
        material.offsets,
        material.candidate_doc,
        material.candidate_label,
        material.features,
        material.document_text,
    )
    past = visible_history(behaviors, states, targets, settings)
    return write_shard(path, content, past, rows, place, material.positive[groups], edges)


def _of_users(columns: Columns, name: str, first: int, last: int) -> Columns:
    """The rows whose column `name`, which ascends, lies in first ... last."""
    begin, end = np.searchsorted(columns[name], [first, last + 1])
    return {key: np.asarray(column[begin:end]) for key, column in columns.items()}


def _shifted(columns: Columns, by: int) -> Columns:
    return {**columns, "behavior": columns["behavior"] - by}
