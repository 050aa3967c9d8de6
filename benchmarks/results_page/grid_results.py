"""The grids of the results page, read from benchmarks/results/grid_*.json and plus_*.json."""

import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from user_tf.reporting.grid_folder import System

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
WORLDS = ("linked", "trivago", "independent", "session_only", "refinding")
"""In the order of the results page; each is a file of configs/datasets."""
PLUS, PLUS_WORLDS = "plus", (*WORLDS, "text_poor", "cold")
"""Grids of configs/experiments/user_plus.flags, compared with USER+, and their worlds."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid's results.

    Attributes:
        world: Name of its file in configs/datasets.
        content: Its JSON from benchmarks.grid_summaries.
    """

    world: str
    content: Mapping[str, Any]

    @functools.cached_property
    def systems(self) -> dict[str, System]:
        """Systems with a finished run by name."""
        return {
            entry["system"]: System(
                entry["system"],
                entry["label"],
                entry["scenario"],
                tuple(map(pathlib.Path, entry["runs"])),
                tuple(entry["unfinished"]),
            )
            for entry in self.content["systems"]
        }

    @property
    def reference(self) -> str:
        """Name of the system that the others are compared with."""
        return self.content["reference"]

    @property
    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """Results of `across_systems.compare` by task."""
        return {task: found["all_queries"] for task, found in self.content["tasks"].items()}

    def slices(self, task: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the same for MAP on the parts of a task's queries of Figure 4."""
        return self.content["tasks"][task]["slices"]

    def number(self, task: str, ranking: str, metric: str = "map") -> Mapping[str, Any] | None:
        """Return mean, spread and differences of a ranking; None where it does not rank the task."""
        entry = self.tasks.get(task, {"rankings": {}})["rankings"].get(ranking)
        return entry["metrics"][metric] if entry else None

    def find(self, names: Sequence[str]) -> list[System]:
        """Return the named systems that have a finished run."""
        return [self.systems[name] for name in names if name in self.systems]


def find_experiment(grid: Grid, flagfile: str) -> list[System]:
    """Return the measured systems of a flagfile; none where its own are not, which user_plus lacks.

    Args:
        grid: Of one world, compared with USER+.
        flagfile: As for `read_system_names`.
    """
    found = grid.find(read_system_names(flagfile))
    shared = set() if flagfile == "user_plus" else set(read_system_names("user_plus"))
    return found if {system.name for system in found} - shared else []


def read_grids(folder: pathlib.Path = RESULTS, kind: str = "grid") -> dict[str, Grid]:
    """Read the measured grids by world: those of WORLDS, or with `PLUS` those of PLUS_WORLDS."""
    worlds = PLUS_WORLDS if kind == PLUS else WORLDS
    paths = {world: folder / f"{kind}_{world}.json" for world in worlds}
    return {
        world: Grid(world, json.loads(path.read_text(encoding="utf-8")))
        for world, path in paths.items()
        if path.exists()
    }


def read_system_names(flagfile: str) -> list[str]:
    """Return the systems of a flagfile of user_tf.experiment, the reference first.

    Args:
        flagfile: Its name in configs/experiments, without the ending.

    Example:
        >>> read_system_names("figure4")
        ['user', 'user_s', 'user_r', 'hrnn', 'htps', 'nrms', 'jsr']
    """
    text = (ROOT / "configs" / "experiments" / f"{flagfile}.flags").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^--systems=(.*)$", text, flags=re.MULTILINE)
    return [entry.partition(":")[0] for entry in listed.split(",")]
