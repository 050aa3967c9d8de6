"""Read the runs of a grid: evaluations, costs, and means and spread over seeds."""

import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from user_tf.run_folder import DONE

RESULTS = "results.json"
COST = "cost.json"


def evaluation_path(run: pathlib.Path, split: str) -> pathlib.Path:
    """Return the path of the JSON of a run's evaluation."""
    return run / "evaluation" / f"{split}.json"


def is_done(run: pathlib.Path, split: str) -> bool:
    """Return whether a run has both files of its evaluation."""
    queries = run / "evaluation" / f"{split}-queries.parquet"
    return evaluation_path(run, split).exists() and queries.exists()


def read_cost(run: pathlib.Path) -> dict[str, Any]:
    """Read by module the seconds and largest memory of the calls that made a run."""
    path = run / COST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds with the values; None where one is missing.

    Example:
        >>> spread([0.5, 0.7])["mean"], spread([0.5, None])["mean"]
        (0.6, None)
    """
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return {"mean": None, "std": None, "values": list(values)}
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return {
        "mean": round(statistics.fmean(numbers), 6),
        "std": round(deviation, 6),
        "values": list(values),
    }


def collect_tasks(runs: Sequence[pathlib.Path], split: str) -> dict[str, Any]:
    """Return by task mean and spread of every ranking's metrics over finished runs of a system.

    Args:
        runs: Folders of the runs, one a seed.
        split: Targets evaluated.

    Returns:
        By task `queries`, `users`, `model` (name of the system's own ranking), `rankings` and
        `fraction_of_oracle_gain`, the last two with a `spread` for every metric.
    """
    reports = [json.loads(evaluation_path(path, split).read_text("utf-8")) for path in runs]
    tasks: dict[str, Any] = {}
    for task, first in reports[0]["tasks"].items() if reports else ():
        model = reports[0]["model"]
        rankings = [report["tasks"][task]["rankings"] for report in reports]
        tasks[task] = {
            "queries": first["queries"],
            "users": first["users"],
            "model": model,
            "rankings": {
                name: _spreads([ranking[name]["metrics"] for ranking in rankings])
                for name in first["rankings"]
            },
            "fraction_of_oracle_gain": _spreads(
                [ranking[model].get("fraction_of_oracle_gain", {}) for ranking in rankings]
            ),
        }
    return tasks


def read_phases(path: pathlib.Path) -> dict[str, Any]:
    """Read the results of a run's phases of training by name."""
    return {
        done.parent.name: json.loads(done.read_text(encoding="utf-8"))
        for done in sorted(path.glob(f"*/{DONE}"))
    }


def collect(grid: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Return the content of results.json: grid.json with the results of the finished runs.

    Args:
        grid: `grids.describe` of the grid.
        folder: Folder of its runs.

    Returns:
        `grid`, each system with `finished`, its finished runs; `results`, `collect_tasks` them; and a
        run `phases` and `cost`.
    """
    systems = []
    for entry in grid["systems"]:
        finished = [name for name in entry["runs"] if is_done(folder / name, grid["split"])]
        runs = [folder / name for name in finished]
        systems.append(
            {
                **entry,
                "finished": finished,
                "results": collect_tasks(runs, grid["split"]),
                "phases": [read_phases(path) for path in runs],
                "cost": [read_cost(path) for path in runs],
            }
        )
    return {**grid, "systems": systems}


def _spreads(values: Sequence[dict[str, float | None]]) -> dict[str, Any]:
    return {metric: spread([value[metric] for value in values]) for metric in values[0]}
