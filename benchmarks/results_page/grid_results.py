"""The grids README reports, read from benchmarks/results/grid_*.json."""

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
"""In the order README reports them; each is a file of configs/datasets."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid's results.

    Attributes:
        world: Name of its file in configs/datasets.
        content: What benchmarks.grid_summaries wrote of it.
    """

    world: str
    content: Mapping[str, Any]

    @functools.cached_property
    def systems(self) -> dict[str, System]:
        """Those with a finished run, by name."""
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
        """By task what `across_systems.compare` gives of it."""
        return {task: found["all_queries"] for task, found in self.content["tasks"].items()}

    def slices(self, task: str) -> Mapping[str, Mapping[str, Any]]:
        """The same of the parts of a task's queries that Figure 4 shows, for MAP."""
        return self.content["tasks"][task]["slices"]

    def number(self, task: str, ranking: str, metric: str = "map") -> Mapping[str, Any] | None:
        """Mean, spread and differences of a ranking; None where it does not rank the task."""
        entry = self.tasks.get(task, {"rankings": {}})["rankings"].get(ranking)
        return entry["metrics"][metric] if entry else None

    def find(self, names: Sequence[str]) -> list[System]:
        """Those of the named systems that have a finished run."""
        return [self.systems[name] for name in names if name in self.systems]


def read_grids(folder: pathlib.Path = RESULTS) -> dict[str, Grid]:
    """The grids that have been measured, by world."""
    paths = {world: folder / f"grid_{world}.json" for world in WORLDS}
    return {
        world: Grid(world, json.loads(path.read_text(encoding="utf-8")))
        for world, path in paths.items()
        if path.exists()
    }


def read_system_names(flagfile: str) -> list[str]:
    """Names of the systems that a flagfile of user_tf.experiment trains, the reference first.

    Args:
        flagfile: Its name in configs/experiments, without the ending.

    Example:
        >>> read_system_names("figure4")
        ['user', 'user_s', 'user_r', 'hrnn', 'htps', 'nrms', 'jsr']
    """
    text = (ROOT / "configs" / "experiments" / f"{flagfile}.flags").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^--systems=(.*)$", text, flags=re.MULTILINE)
    return [entry.partition(":")[0] for entry in listed.split(",")]
