"""Write line 2 of each flagfile, the expected result, from benchmarks/results.

    # Command: python -m user_tf.experiment --flagfile=configs/experiments/table2.flags
    # Result: test MAP in linked ...

Line 1 and the comments after line 2 are written by hand.
"""

import json
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results_page import known_answers
from benchmarks.results_page.grid_results import (
    PLUS,
    PLUS_WORLDS,
    RESULTS,
    ROOT,
    WORLDS,
    Grid,
    find_experiment,
    read_grids,
    read_system_names,
)
from benchmarks.results_page.tuning_tables import read_tunings
from user_tf.evaluation.heuristics import BEST
from user_tf.reporting.number_format import short, spread

NOT_MEASURED = "not measured yet."
COMMAND, RESULT = "# Command: ", "# Result: "
GRIDS = ("table2", "table3", "departures", "figure4", "known_answers")
PLUS_GRIDS = ("user_plus", "user_plus_parts", "learning_curves")
_USER_PLUS = "user_plus"
# The world that the commands of systems and experiments are run in.
_WORLD = "linked"
# Flagfiles of a study's systems, and the systems of its JSON to report.
_STUDIES = {
    "simulated": ("USER, linked",),
    "quickstart": ("USER, quickstart",),
    "user": ("USER, settings of the paper",),
    "trivago": ("USER with F", "USER with F, its query-free part for recommendations too"),
}


def expected_results(folder: pathlib.Path = RESULTS) -> dict[str, str]:
    """Return the expected result of every flagfile by its path in configs, without the ending.

    Args:
        folder: Folder of the JSON files.
    """
    grids, tunings = read_grids(folder), read_tunings(folder)
    configs = ROOT / "configs"
    found = {f"train/{name}": describe_study(name, folder) for name in _STUDIES}
    plus = read_grids(folder, PLUS)
    found[f"train/{_USER_PLUS}"] = _describe_system(_USER_PLUS, plus.get(_WORLD))
    found |= {f"experiments/{name}": _describe_experiment(name, grids) for name in GRIDS}
    found |= {f"experiments/{name}": _describe_experiment(name, plus) for name in PLUS_GRIDS}
    for path in sorted((configs / "systems").glob("*.flags")):
        systems = [_describe_system(path.stem, kind.get(_WORLD)) for kind in (grids, plus)]
        found[f"systems/{path.stem}"] = min(systems, key=NOT_MEASURED.__eq__)
    found |= {
        f"datasets/{world}": _describe_world((grids if world in WORLDS else plus).get(world))
        for world in PLUS_WORLDS
    }
    for path in sorted((configs / "tuning").glob("*.flags")):
        found[f"tuning/{path.stem}"] = _describe_tuning(tunings.get(path.stem))
    return found


def with_result(text: str, result: str) -> str:
    """Return a flagfile with a new expected result.

    Raises:
        ValueError: The text does not begin with a command and a result.

    Example:
        >>> print(with_result("# Command: train\\n# Result: .5\\n# Why.\\n--a=1\\n", ".6"), end="")
        # Command: train
        # Result: .6
        # Why.
        --a=1
    """
    command, _, rest = text.partition("\n")
    old, _, rest = rest.partition("\n")
    if not command.startswith(COMMAND) or not old.startswith(RESULT):
        raise ValueError(
            f"A flagfile must begin with lines `{COMMAND}...` and `{RESULT}...`. Got "
            f"{command!r} and {old!r}. Fix: write both lines; `make results` fills in the result."
        )
    return f"{command}\n{RESULT}{result}\n{rest}"


def describe_study(name: str, folder: pathlib.Path = RESULTS) -> str:
    """Return the MAP of a study's reported systems in one line.

    Args:
        name: Name of the study.
        folder: Folder of the JSON files.

    Example:
        >>> describe_study("user", pathlib.Path("nowhere"))
        'not measured yet.'
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return NOT_MEASURED
    content = json.loads(path.read_text(encoding="utf-8"))
    results = []
    for system in _STUDIES[name]:
        maps = [
            f"{task} {spread(found['rankings'][found['model']]['map'])}"
            for task, found in content["systems"][system]["tasks"].items()
        ]
        results.append(f"{system}: {', '.join(maps)}")
    return f"{content['split']} MAP ({_count_seeds(len(content['seeds']))}). {'; '.join(results)}."


def _describe_system(name: str, grid: Grid | None) -> str:
    if grid is None or name not in grid.systems:
        return NOT_MEASURED
    maps = [
        f"{task} {spread(number)}"
        for task in grid.tasks
        if (number := grid.number(task, name)) is not None
    ]
    return f"{_opening(grid, [name])}: {', '.join(maps)}."


def _describe_experiment(name: str, grids: Mapping[str, Grid]) -> str:
    grid = grids.get(_WORLD)
    if name == "known_answers":
        holds = [a.holds for a in known_answers.answers(grids) if a.holds is not None]
        answers = f"{sum(holds)} of {len(holds)} answers are the expected ones. RESULTS.md."
        return answers if holds else NOT_MEASURED
    if grid is None:
        return NOT_MEASURED
    found = (
        find_experiment(grid, name) if name in PLUS_GRIDS else grid.find(read_system_names(name))
    )
    names = [system.name for system in found]
    others = [other for other in names if other != grid.reference]
    if not others:
        return NOT_MEASURED
    parts = {task: compared["rankings"] for task, compared in grid.tasks.items()}
    if name == "figure4":
        parts = {
            f"{task}, {part}": compared["rankings"]
            for task in grid.tasks
            for part, compared in grid.slices(task).items()
        }
    maps = "; ".join(_describe_range(grid, part, found, others) for part, found in parts.items())
    return f"{_opening(grid, [grid.reference, *others])}: {maps}. Tables: RESULTS.md."


def _describe_range(
    grid: Grid, part: str, rankings: Mapping[str, Any], names: Sequence[str]
) -> str:
    """Return the MAP of the reference and the range of the others."""
    numbers = {name: entry["metrics"]["map"] for name, entry in rankings.items()}
    means = {name: numbers[name]["mean"] for name in names if name in numbers}
    reference = numbers.get(grid.reference)
    text = f"{part}: {grid.systems[grid.reference].label} "
    text += spread(reference) if reference else "–"
    if not means:
        return text
    worst, best = (
        f"{grid.systems[name].label} {short(means[name])}"
        for name in (choose(means, key=means.__getitem__) for choose in (min, max))
    )
    return f"{text}, {worst}" + ("" if worst == best else f" to {best}")


def _describe_world(grid: Grid | None) -> str:
    if grid is None:
        return NOT_MEASURED
    labels = {grid.reference: grid.systems[grid.reference].label}
    labels |= {name: name for name in (known_answers.TOUCHED, BEST)}
    maps = []
    for task in grid.tasks:
        numbers = {label: grid.number(task, name) for name, label in labels.items()}
        known = [f"{label} {spread(number)}" for label, number in numbers.items() if number]
        maps.append(f"{task}: {', '.join(known)}")
    return f"{_opening(grid, [grid.reference])}. {'; '.join(maps)}."


def _describe_tuning(content: Mapping[str, Any] | None) -> str:
    if content is None:
        return NOT_MEASURED
    systems = content["systems"]
    kept = sum(entry["chosen"] == 0 for entry in systems)
    gains = [
        entry["trials"][entry["chosen"]]["validation_map"] - entry["trials"][0]["validation_map"]
        for entry in systems
    ]
    return (
        f"{kept} of {len(systems)} systems keep the common settings; validation MAP gains "
        f"{short(statistics.fmean(gains))} on average, {short(max(gains))} at most. RESULTS.md."
    )


def _opening(grid: Grid, names: Sequence[str]) -> str:
    """Return the measure, the world and the number of seeds of some systems."""
    numbers = [len(grid.systems[name].runs) for name in names]
    least, most = min(numbers), max(numbers)
    seeds = _count_seeds(most) if least == most else f"{least} to {most} seeds"
    return f"{grid.content['split']} MAP in {grid.world} ({seeds})"


def _count_seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
