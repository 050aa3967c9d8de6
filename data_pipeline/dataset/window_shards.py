"""Windows of a scenario, written shard by shard, each from the behaviors of its own users.

Behaviors are sorted by user, so one slice of them serves a shard: memory does not grow with the log,
and shards are written in parallel without changing a byte.
"""

import concurrent.futures
import itertools
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import LABELED_SPLITS, Split
from data_pipeline.common.mapped_arrays import release_pages
from data_pipeline.dataset.windows import (
    SIZES,
    TargetRows,
    WindowInputs,
    cut_windows,
    write_shard,
)
from data_pipeline.events.scenario_events import select_scenario
from data_pipeline.events.user_blocks import select_users
from data_pipeline.events.user_events import UserEvents
from data_pipeline.events.visible_history import BehaviorStates, visible_history
from data_pipeline.settings import SequenceSettings, WindowSettings
from data_pipeline.targets.candidate_lists import select_targets

WINDOWS_PER_SHARD = 2000
"""Windows in a TFRecord file."""


def write_windows(
    folder: pathlib.Path,
    scenario: str,
    events: UserEvents,
    inputs: WindowInputs,
    sequence: SequenceSettings,
    settings: WindowSettings,
    workers: int,
) -> dict[str, int]:
    """Write the windows of a scenario; return their number by split.

    Writes, for each split (`unlabeled` only if the dataset has such targets), `windows/<scenario>/<split>-00000-of-0000n.tfrecord` (at least one file,
    maybe empty) and `<split>-sizes.npy`, int32 [windows, 5] in the order of the records.

    Args:
        folder: Folder of the dataset.
        scenario: A `Scenario`.
        events: Events of the unified log.
        inputs: Targets, candidates and F.
        sequence: When a session ends, and caps.
        settings: Targets of a window.
        workers: Files written at a time; does not change them.

    Raises:
        ValueError: `targets_per_window` is below 1.
    """
    target_folder = folder / "windows" / scenario
    # Files of a killed run.
    shutil.rmtree(target_folder, ignore_errors=True)
    target_folder.mkdir(parents=True)
    shown = np.isin(inputs.group_row, select_targets(inputs.targets, scenario))
    split_of_group = inputs.targets["split"][inputs.group_row]
    counts: dict[str, int] = {}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for split in Split:
            groups = np.flatnonzero(shown & (split_of_group == split.number))
            if split not in LABELED_SPLITS and not (split_of_group == split.number).any():
                continue
            users = inputs.targets["user"][inputs.group_row[groups]]
            edges = cut_windows(users, settings.targets_per_window)
            parts = _cut_shards(edges)
            paths = [
                target_folder / f"{split}-{shard:05d}-of-{len(parts):05d}.tfrecord"
                for shard in range(len(parts))
            ]

            def write(
                path: pathlib.Path, part: Integers, groups: Integers = groups
            ) -> npt.NDArray[np.int32]:
                mine = groups[part[0] : part[-1]]
                sizes = _write_groups(
                    path, events, scenario, inputs, sequence, mine, part - part[0]
                )
                # The next files are about other users.
                release_pages(events, inputs)
                return sizes

            tables: Sequence[npt.NDArray[np.int32]] = list(pool.map(write, paths, parts))
            np.save(target_folder / f"{split}-sizes.npy", np.concatenate(tables))
            counts[split] = len(edges) - 1
    return counts


def _cut_shards(edges: Integers) -> list[Integers]:
    """Return the part of the edges of windows that each shard holds; at least one part."""
    windows = len(edges) - 1
    cuts = [*range(0, windows, WINDOWS_PER_SHARD), windows]
    return [edges[begin : end + 1] for begin, end in itertools.pairwise(cuts)] or [edges]


def _write_groups(
    path: pathlib.Path,
    events: UserEvents,
    scenario: str,
    inputs: WindowInputs,
    settings: SequenceSettings,
    groups: Integers,
    edges: Integers,
) -> npt.NDArray[np.int32]:
    """Write the windows of some groups as one file; return their sizes."""
    if not len(groups):
        path.touch()
        return np.zeros((0, len(SIZES)), np.int32)
    target = inputs.group_row[groups]
    ids, history = np.unique(target, return_inverse=True)
    targets = {name: inputs.targets[name][ids] for name in ("user", "time", "activity")}
    own, before = select_users(events, int(targets["user"][0]), int(targets["user"][-1]))
    selected = select_scenario(own, scenario, settings)
    targets["session"] = selected.session[targets["activity"] - before["activities"]]
    behaviors = selected.behaviors
    states = BehaviorStates(behaviors, selected.satisfied_search_clicks, settings.clicked_titles)
    past = visible_history(behaviors, states, targets, settings)
    rows = TargetRows(target, history, inputs.positive[groups], edges)
    return write_shard(path, inputs, behaviors, states, past, rows)
