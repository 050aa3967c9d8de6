"""Reduce grids and tunings to the numbers of the results page, one JSON each.

    python -m benchmarks.grid_summaries [--grids=work/grids] [--tunings=work/tuning]
    python -m benchmarks.grid_summaries --grids=work/plus --name=plus --reference=user_plus

Every folder of --grids is a grid of user_tf.experiment: its report is written again, and its
report.json is reduced to benchmarks/results/<name>_<folder>.json. Every folder of --tunings that
user_tf.tune has finished gives tuning_<folder>.json. `python -m benchmarks.results_page.readme` makes tables of them.
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

# Numbers kept of a metric; the main one keeps all.
_NUMBERS = ("mean", "std", "improvement", "difference", "holm")
_MAIN = "map"
_DIGITS = 6


@dataclasses.dataclass(frozen=True)
class GridsSettings:
    """Settings of `python -m benchmarks.grid_summaries`."""

    grids: str = setting("work/grids", "Folder of grids, one folder each.")
    tunings: str = setting("work/tuning", "Folder of tunings, one folder each.")
    name: str = setting("grid", "First word of the names of the grids' JSON files.")
    reference: str = setting("user", "System that the others are compared with.")
    output: str = setting("benchmarks/results", "Folder of the JSON files.")
    other_load: str = setting("", "Other load of the machine during the runs, reported with costs.")
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")


def rounded(value: Any) -> Any:
    """Round numbers to six digits, inside mappings and lists too.

    Example:
        >>> rounded({"p": [1.23456789e-9, None, 3]})
        {'p': [1.23457e-09, None, 3]}
    """
    if isinstance(value, Mapping):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def trim(content: Mapping[str, Any], other_load: str) -> dict[str, Any]:
    """Return the numbers of report.json that tables need: Table 2's metrics, Figure 4's slices.

    Args:
        content: report.json.
        other_load: Other load of the machine.
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
        "other_load": other_load,
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
    """Return tuning.json with the seconds and groups of every trial from its run.

    Args:
        content: tuning.json.
        folder: Folder of the file and the trials.
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
    """Write the JSON files of all grids and tunings and return their paths.

    Args:
        settings: Folders to read and to write.
    """
    output, written = pathlib.Path(settings.output), []
    for path in sorted(pathlib.Path(settings.grids).glob(f"*/{GRID}")):
        folder = path.parent
        # Not this command, which knows only some folder of grids.
        command = f"python -m user_tf.report {shlex.quote(str(folder))}"
        if settings.reference != "user":
            command += f" --reference={settings.reference}"
        report = grid_report.ReportSettings(reference=settings.reference, samples=settings.samples)
        files = grid_report.write_report(folder, report, command)
        content = json.loads(files[-1].read_text(encoding="utf-8"))
        written.append(output / f"{settings.name}_{folder.name}.json")
        _write(written[-1], trim(content, settings.other_load))
    for path in sorted(pathlib.Path(settings.tunings).glob(f"*/{tuning.RESULT}")):
        content = json.loads(path.read_text(encoding="utf-8"))
        written.append(output / f"tuning_{path.parent.name}.json")
        _write(written[-1], with_costs(content, path.parent))
    return written


def main(arguments: list[str]) -> None:
    """Run the command line."""
    del arguments
    for path in collect(flagtree.read(GridsSettings)):
        print(f"written: {path}", flush=True)


def to_text(content: Mapping[str, Any]) -> str:
    """Write JSON with every innermost object, a metric's numbers, on one line, easy to diff.

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
