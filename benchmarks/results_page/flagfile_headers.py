"""The lines `# Time:` and `# Result:` at the head of the flagfiles, made of benchmarks/results.

What a flagfile is and its command are written by hand; these two entries are replaced, or put
after the last entry of the header where they are missing.
"""

import dataclasses
import json
import pathlib
import re
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results_page import known_answers
from benchmarks.results_page.grid_results import (
    RESULTS,
    ROOT,
    WORLDS,
    Grid,
    read_grids,
    read_system_names,
)
from benchmarks.results_page.tuning_tables import read_tunings
from user_tf.reporting.report_tables import short, spread

NOT_MEASURED = "not measured yet."
GRIDS = ("table2", "table3", "departures", "figure4", "known_answers")
# Flagfiles of a study's systems, and the entries of its JSON to tell.
_STUDIES = {
    "simulated": ("USER, linked",),
    "quickstart": ("USER, quickstart",),
    "user": ("USER, settings of the paper",),
    "trivago": ("USER with F", "USER with F, its query-free part for recommendations too"),
}
_WIDTH, _INDENT = 100, "#           "
# An entry of a header with the lines that continue it.
_ENTRY = re.compile(r"^# (?:Time|Result): .*\n(?:^#  {2,}.*\n)*", flags=re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Header:
    """The two entries."""

    time: str = NOT_MEASURED
    result: str = NOT_MEASURED


def headers(folder: pathlib.Path = RESULTS) -> dict[str, Header]:
    """By path in configs, without its ending, the entries of every flagfile that has them.

    Args:
        folder: Of the JSON files.
    """
    grids, tunings = read_grids(folder), read_tunings(folder)
    configs = ROOT / "configs"
    found = {
        f"train/{name}": _of_study(folder / f"{name}.json", names)
        for name, names in _STUDIES.items()
    }
    found |= {f"experiments/{name}": _of_grid_file(name, grids) for name in GRIDS}
    for path in sorted((configs / "systems").glob("*.flags")):
        found[f"systems/{path.stem}"] = _of_system(path.stem, grids)
    found |= {f"datasets/{world}": _of_world(grids.get(world)) for world in WORLDS}
    for path in sorted((configs / "tuning").glob("*.flags")):
        found[f"tuning/{path.stem}"] = _of_tuning(path.stem, tunings)
    return found


def with_header(text: str, header: Header) -> str:
    """A flagfile with its two entries.

    Example:
        >>> old = "# USER.\\n# Command:  train\\n# Result:   .5\\n#           more\\n#\\n# Why.\\n--a=1\\n"
        >>> print(with_header(old, Header("2 s.", ".6")), end="")
        # USER.
        # Command:  train
        # Time:     2 s.
        # Result:   .6
        #
        # Why.
        --a=1
    """
    text = _ENTRY.sub("", text)
    lines = text.splitlines(keepends=True)
    # After the last entry and what continues it; where there is none, after the comment.
    comment = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    place = comment
    for index in range(comment):
        if re.match(r"# (?:Command|Hardware|Data): ", lines[index]):
            place = index + 1
            while place < comment and lines[place].startswith(_INDENT):
                place += 1
    new = _entry("Time:", header.time) + _entry("Result:", header.result)
    return "".join([*lines[:place], new, *lines[place:]])


def _entry(name: str, text: str) -> str:
    first = f"# {name}".ljust(len(_INDENT))
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + "\n"


def _of_study(path: pathlib.Path, names: Sequence[str]) -> Header:
    if not path.exists():
        return Header()
    content = json.loads(path.read_text(encoding="utf-8"))
    results, seconds = [], []
    for name in names:
        system = content["systems"][name]
        maps = [
            f"{task} {spread(found['rankings'][found['model']]['map'])}"
            for task, found in system["tasks"].items()
        ]
        results.append(f"{name}: {', '.join(maps)}")
        seconds += [sum(p["seconds"] for p in run.values()) for run in system["phases"]]
    seeds = _count_seeds(len(content["seeds"]))
    # Studies that do not tell had a core a run.
    cores = content.get("cores_a_run", 1)
    share = "a core" if cores == 1 else f"{cores} cores"
    return Header(
        f"{statistics.fmean(seconds) / 60:.1f} minutes a run on {share} of {_machine(content)}.",
        f"{content['split']} MAP, {seeds}. {'; '.join(results)}.",
    )


def _of_system(name: str, grids: Mapping[str, Grid]) -> Header:
    times, results = [], []
    for world, grid in grids.items():
        if name not in grid.systems:
            continue
        maps = [
            f"{task} {spread(number)}"
            for task in grid.tasks
            if (number := grid.number(task, name)) is not None
        ]
        results.append(f"{world} ({_seeds(grid, [name])}): {', '.join(maps)}")
        cost = grid.content["costs"][name]
        parts = [] if cost["seconds"] is None else [f"{cost['seconds'] / 60:.1f} minutes"]
        parts += [] if cost["peak_gib"] is None else [f"{cost['peak_gib']:.1f} GiB"]
        times += [f"{world} {' and '.join(parts)}"] if parts else []
    if not results:
        return Header()
    grid = next(grid for grid in grids.values() if name in grid.systems)
    time = (
        f"a run in {', '.join(times)}; {_machine(grid.content['grid'])}." if times else "unknown."
    )
    return Header(time, f"{grid.content['split']} MAP. {'; '.join(results)}.")


def _of_grid_file(name: str, grids: Mapping[str, Grid]) -> Header:
    wanted, times, results = read_system_names(name), [], []
    for world, grid in grids.items():
        found = [system.name for system in grid.chosen(wanted) if system.name != grid.reference]
        if not found:
            continue
        times.append(_hours(grid, [grid.reference, *found]))
        told = f"{world} ({_seeds(grid, [grid.reference, *found])}; {len(found)} other systems): "
        of_task = _of_slices if name == "figure4" else _of_task
        results.append(told + ", ".join(of_task(grid, task, found) for task in grid.tasks))
    if not results:
        return Header()
    machine = _machine(next(iter(grids.values())).content["grid"])
    split = next(iter(grids.values())).content["split"]
    result = f"{split} MAP. {'; '.join(results)}. Tables: RESULTS.md."
    if name == "known_answers":
        checks = [a.holds for a in known_answers.answers(grids) if a.holds is not None]
        result = f"{sum(checks)} of {len(checks)} answers are the expected ones. {result}"
    return Header(f"{'; '.join(times)}; {machine}.", result)


def _of_slices(grid: Grid, task: str, names: Sequence[str]) -> str:
    """The same on every slice of a task."""
    parts = grid.slices(task).items()
    return ", ".join(_told(grid, f"{task}, {part}:", c["rankings"], names) for part, c in parts)


def _of_task(grid: Grid, task: str, names: Sequence[str]) -> str:
    """The reference on a task, and between what the others lie."""
    return _told(grid, task, grid.tasks[task]["rankings"], names)


def _told(grid: Grid, what: str, rankings: Mapping[str, Any], names: Sequence[str]) -> str:
    numbers = {name: entry["metrics"]["map"] for name, entry in rankings.items()}
    means = {name: numbers[name]["mean"] for name in names if name in numbers}
    reference = numbers.get(grid.reference)
    told = f"{what} {grid.systems[grid.reference].label} "
    told += spread(reference) if reference else "–"
    if not means:
        return told
    worst, best = (choose(means, key=means.__getitem__) for choose in (min, max))
    labels = {name: f"{grid.systems[name].label} {short(means[name])}" for name in (worst, best)}
    return told + (
        f", {labels[worst]}" if worst == best else f", {labels[worst]} to {labels[best]}"
    )


def _of_world(grid: Grid | None) -> Header:
    if grid is None:
        return Header()
    maps = []
    for task in grid.tasks:
        names = {grid.reference: grid.systems[grid.reference].label}
        names |= {known_answers.TOUCHED: known_answers.TOUCHED, "best known": "best known"}
        told = [
            f"{label} {spread(number)}"
            for name, label in names.items()
            if (number := grid.number(task, name)) is not None
        ]
        maps.append(f"{task}: {', '.join(told)}")
    machine = _machine(grid.content["grid"])
    return Header(
        f"{_hours(grid, list(grid.systems))}; {machine}.",
        f"{grid.content['split']} MAP ({_seeds(grid, [grid.reference])}). {'; '.join(maps)}.",
    )


def _of_tuning(name: str, tunings: Mapping[str, Any]) -> Header:
    content = tunings.get(name)
    written = f"configs/tuned/{name}."
    if content is None:
        return Header(result=f"{NOT_MEASURED} Writes {written}")
    systems = content["systems"]
    trials = [trial for entry in systems for trial in entry["trials"]]
    kept = sum(entry["chosen"] == 0 for entry in systems)
    gains = [
        entry["trials"][entry["chosen"]]["validation_map"] - entry["trials"][0]["validation_map"]
        for entry in systems
    ]
    hours = sum(trial["seconds"] for trial in trials) / 3600
    return Header(
        f"{len(trials)} trainings, {hours:.1f} hours of a core; {_machine(content)}.",
        f"{kept} of {len(systems)} systems keep the common settings; validation MAP gains "
        f"{short(statistics.fmean(gains))} on average, {short(max(gains))} at most. RESULTS.md; "
        f"{written}",
    )


def _hours(grid: Grid, names: Sequence[str]) -> str:
    """Runs and hours of a core of some systems."""
    runs = sum(len(grid.systems[name].runs) for name in names)
    seconds = [
        cost * len(grid.systems[name].runs)
        for name in names
        if (cost := grid.content["costs"][name]["seconds"]) is not None
    ]
    return f"{grid.world} {runs} runs, {sum(seconds) / 3600:.1f} hours of a core"


def _seeds(grid: Grid, names: Sequence[str]) -> str:
    """How many seeds the systems have.

    One number, or the least and the most.
    """
    numbers = sorted({len(grid.systems[name].runs) for name in names})
    least, most = numbers[0], numbers[-1]
    return _count_seeds(most) if least == most else f"{least} to {most} seeds"


def _count_seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _machine(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores"
