"""Tables of tuning: its budget and the chosen trials, from benchmarks/results/tuning_*.json."""

import json
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results_page.grid_results import RESULTS
from user_tf.reporting.document import Cell, Table, to_lines
from user_tf.reporting.number_format import short

_PREFIX = "tuning_"


def read_tunings(folder: pathlib.Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Read the finished tunings by name."""
    return {
        path.stem.removeprefix(_PREFIX): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob(f"{_PREFIX}*.json"))
    }


def tuning_lines(content: Mapping[str, Any], origin: str) -> list[str]:
    """Return lines about the trials, the same for all systems, and a row a system.

    Args:
        content: A tuning's JSON.
        origin: Origin of the numbers.
    """
    trials = content["systems"][0]["trials"]
    lines = [
        f"Every system has the same {len(trials)} trials, with one seed, on validation; the best is "
        f"kept, the earliest of equals. Trial 0 is `{content['common']}`, the others change it. "
        f"{origin}",
        "",
    ]
    lines += [f"* trial {number}: {_code(trial['flags'])}" for number, trial in enumerate(trials)]
    return [*lines, "", *to_lines(_table(content["systems"])), ""]


def _table(systems: Sequence[Mapping[str, Any]]) -> Table:
    numbers = range(len(systems[0]["trials"]))
    rows = []
    for entry in systems:
        maps = [
            Cell(short(trial["validation_map"]), best=number == entry["chosen"])
            for number, trial in enumerate(entry["trials"])
        ]
        minutes = sum(trial["seconds"] for trial in entry["trials"]) / 60
        rows.append(
            [Cell(entry["system"]), *maps, Cell(str(entry["chosen"])), Cell(f"{minutes:.0f}")]
        )
    columns = ["", *(f"trial {number}" for number in numbers), "chosen", "minutes, all trials"]
    return Table("Validation MAP (of both tasks the mean); bold: chosen.", columns, rows)


def _code(flags: Sequence[str]) -> str:
    return f"`{shlex.join(flags)}`" if flags else "as common"
