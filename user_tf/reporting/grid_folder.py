"""Read a folder of results made by `user_tf.experiment`: systems, finished runs, costs."""

import dataclasses
import json
import pathlib
import statistics
from typing import Any

from user_tf.experiments import results
from user_tf.experiments.grids import GRID
from user_tf.run_folder import BEST, METRICS


@dataclasses.dataclass(frozen=True)
class System:
    """One system of a grid.

    Attributes:
        name: Name of its flagfile.
        label: Name in tables.
        scenario: `unified`, `search` or `recommendation`: the behaviors it is trained on.
        runs: Folders of its finished runs.
        unfinished: Names of the others.
    """

    name: str
    label: str
    scenario: str
    runs: tuple[pathlib.Path, ...]
    unfinished: tuple[str, ...]

    @property
    def model(self) -> str:
        """Name of its ranker in the registry; its own name where it has none."""
        config = json.loads((self.runs[0] / "config.json").read_text(encoding="utf-8"))
        return config.get("model", {}).get("name", self.name)


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid of systems.

    Attributes:
        folder: Its path.
        content: grid.json.
        systems: Systems with a finished run, in the order of grid.json.
        unfinished: Names of all runs that are left out.
    """

    folder: pathlib.Path
    content: dict[str, Any]
    systems: tuple[System, ...]
    unfinished: tuple[str, ...]

    @property
    def split(self) -> str:
        """Targets evaluated."""
        return self.content["split"]

    @property
    def files(self) -> dict[str, list[pathlib.Path]]:
        """By system the per-query files of its finished runs."""
        name = f"{self.split}-queries.parquet"
        return {s.name: [path / "evaluation" / name for path in s.runs] for s in self.systems}

    @property
    def labels(self) -> dict[str, str]:
        """By system its name in tables."""
        return {system.name: system.label for system in self.systems}


def read_grid(folder: pathlib.Path) -> Grid:
    """Read grid.json and find its finished runs.

    Raises:
        FileNotFoundError: There is no grid.json.
        ValueError: No run is finished.
    """
    path = folder / GRID
    if not path.exists():
        raise FileNotFoundError(
            f"`RUNS` must be a folder made by user_tf.experiment. Got {folder}, which has no {GRID}. "
            "Fix: name such a folder."
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    systems = []
    for entry in content["systems"]:
        done = {name: results.is_done(folder / name, content["split"]) for name in entry["runs"]}
        systems.append(
            System(
                name=entry["system"],
                label=entry["label"],
                scenario=entry["scenario"],
                runs=tuple(folder / name for name, finished in done.items() if finished),
                unfinished=tuple(name for name, finished in done.items() if not finished),
            )
        )
    finished = tuple(system for system in systems if system.runs)
    if not finished:
        raise ValueError(
            f"`RUNS` must hold a finished run. Got {folder}, where none of "
            f"{sum(len(s.unfinished) for s in systems)} is. Fix: rerun user_tf.experiment."
        )
    unfinished = tuple(name for system in systems for name in system.unfinished)
    return Grid(folder, content, finished, unfinished)


def parameters(run: pathlib.Path) -> int | None:
    """Count the numbers in the weights of a run's first phase; None where it has no such file.

    The states of dropout's random numbers in the file do not count.
    """
    import h5py

    files = sorted(run.glob(f"*/{BEST}"))
    if not files:
        return None
    sizes: list[int] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            sizes.append(item.size)

    with h5py.File(files[0]) as file:
        file.visititems(visit)
    return sum(sizes)


def cost(system: System) -> dict[str, float | None]:
    """Return the cost of a system as means over its runs; None where a run does not record it.

    Returns:
        `parameters`; `groups` trained on; `seconds` of all phases, validation included;
        `groups_per_second` while training; `peak_gib`, largest resident memory of a command.
    """
    found = [_read_run_cost(run) for run in system.runs]
    return {
        name: None
        if any(cost[name] is None for cost in found)
        else statistics.fmean(cost[name] for cost in found)
        for name in found[0]
    }


def _read_run_cost(run: pathlib.Path) -> dict[str, Any]:
    phases = results.read_phases(run)
    groups = sum(phase["groups"] for phase in phases.values())
    # A phase's last evaluation has its rate without the validations.
    rates = {name: evaluations(run, name)[-1]["groups_per_second"] for name in phases}
    training = sum(phase["groups"] / rates[name] for name, phase in phases.items() if rates[name])
    peaks = [command["peak_gib"] for command in results.read_cost(run).values()]
    return {
        "parameters": parameters(run),
        "groups": groups or None,
        "seconds": sum(phase["seconds"] for phase in phases.values()) or None,
        "groups_per_second": groups / training if training else None,
        "peak_gib": max(peaks, default=None),
    }


def evaluations(run: pathlib.Path, phase: str) -> list[dict[str, Any]]:
    """Read the validations of a phase of training in the order of their steps."""
    lines = (run / phase / METRICS).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
