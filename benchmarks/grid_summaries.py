"""Trims grids and tunings to what README's results need, one JSON each in benchmarks/results.

    python -m benchmarks.grid_summaries [--grids=work/grids] [--tunings=work/tuning]

Every folder of --grids is a grid of user_tf.experiment: its report is written anew, and of its
report.json grid_<folder>.json is made. Every folder of --tunings that user_tf.tune has finished
gives tuning_<folder>.json. `python -m benchmarks.results_page.readme` makes the tables of them.
"""

import dataclasses
import json
import pathlib
import re
import shlex
from collections.abc import Mapping
from typing import Any

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.experiments import results, tuning
from user_tf.experiments.grids import GRID
from user_tf.reporting import grid_report
from user_tf.reporting.contents import FIGURE_4
from user_tf.reporting.report_tables import TABLE_2

# Of a metric; the main one, which differences are tabulated of, keeps all.
_NUMBERS = ("mean", "std", "improvement", "difference", "holm")
_MAIN = "map"
_DIGITS = 6


@dataclasses.dataclass(frozen=True)
class GridsSettings:
    """Everything `python -m benchmarks.grid_summaries` can be told."""

    grids: str = setting("work/grids", "Folder of grids, one folder each.")
    tunings: str = setting("work/tuning", "Folder of tunings, one folder each.")
    output: str = setting("benchmarks/results", "Folder of the JSON files.")
    beside: str = setting("", "What else the machine did during the runs, told with their costs.")
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")


def rounded(value: Any) -> Any:
    """Numbers to six digits, inside mappings and lists, too.

    Example:
        >>> rounded({"p": [1.23456789e-9, None, 3]})
        {'p': [1.23457e-09, None, 3]}
    """
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def trimmed(content: Mapping[str, Any], beside: str) -> dict[str, Any]:
    """Of report.json what tables are made of: Table 2's metrics, and the slices of Figure 4.

    Args:
        content: report.json.
        beside: What else the machine did.
    """
    tasks = {}
    for task, found in content["tasks"].items():
        slices = {
            name: part
            for kind in found["slices"].values()
            for name, part in kind.items()
            if name in FIGURE_4
        }
        tasks[task] = {
            "all_queries": _compared(found["all_queries"], TABLE_2[task]),
            "slices": {name: _compared(part, (_MAIN,)) for name, part in slices.items()},
        }
    return {
        **content,
        "beside": beside,
        "tasks": rounded(tasks),
        "costs": rounded(content["costs"]),
    }


def _compared(compared: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    rankings = {}
    for name, entry in compared["rankings"].items():
        metrics = {
            key: {
                part: value
                for part, value in entry["metrics"][key].items()
                if key == _MAIN or part in _NUMBERS
            }
            for key in keys
        }
        rankings[name] = {**entry, "metrics": metrics}
    return {**compared, "rankings": rankings}


def with_costs(content: Mapping[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """tuning.json with the seconds and groups of every trial, as its run tells them.

    Args:
        content: tuning.json.
        folder: Where it and the trials lie.
    """
    systems = []
    for entry in content["systems"]:
        trials = []
        for number, trial in enumerate(entry["trials"]):
            phases = results.read_phases(folder / entry["system"] / f"trial{number}").values()
            costs = {name: sum(phase[name] for phase in phases) for name in ("seconds", "groups")}
            trials.append({**trial, **costs})
        systems.append({**entry, "trials": trials})
    return rounded({**content, "systems": systems})


def collect(settings: GridsSettings) -> list[pathlib.Path]:
    """Writes the JSON files of all grids and tunings found, and names them.

    Args:
        settings: Where they lie, and where to write.
    """
    output, written = pathlib.Path(settings.output), []
    for path in sorted(pathlib.Path(settings.grids).glob(f"*/{GRID}")):
        folder = path.parent
        # Not this command, which knows only some folder of grids.
        command = "python -m user_tf.report " + shlex.quote(str(folder))
        files = grid_report.write_report(
            folder, grid_report.ReportSettings(samples=settings.samples), command
        )
        content = json.loads(files[-1].read_text(encoding="utf-8"))
        written.append(output / f"grid_{folder.name}.json")
        _write(written[-1], trimmed(content, settings.beside))
    for path in sorted(pathlib.Path(settings.tunings).glob(f"*/{tuning.RESULT}")):
        content = json.loads(path.read_text(encoding="utf-8"))
        written.append(output / f"tuning_{path.parent.name}.json")
        _write(written[-1], with_costs(content, path.parent))
    return written


def main(arguments: list[str]) -> None:
    """Runs the command line."""
    del arguments
    for path in collect(flagtree.read(GridsSettings)):
        print(f"written: {path}", flush=True)


def to_text(content: Mapping[str, Any]) -> str:
    """JSON with every innermost object, a metric's numbers, on one line: small, and good to diff.

    Example:
        >>> print(to_text({"map": {"mean": 0.5, "interval": [0.4, 0.6]}}), end="")
        {
         "map": {"mean": 0.5, "interval": [0.4, 0.6]}
        }
    """

    def on_one_line(found: re.Match[str]) -> str:
        # Strings hold no raw line breaks, so that only white space between parts is changed.
        inside = re.sub(r"\n *", " ", found[0][1:-1]).strip()
        return f"{found[0][0]}{inside}{found[0][-1]}"

    text = json.dumps(content, indent=1)
    for innermost in (r"\[[^\[\]{}]*\]", r"\{[^{}]*\}"):
        text = re.sub(innermost, on_one_line, text)
    return text + "\n"


def _write(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_text(content), encoding="utf-8")


if __name__ == "__main__":
    flagtree.define(GridsSettings)
    app.run(main)
