"""Tables of USER+ in every world, from benchmarks/results/plus_*.json."""

import pathlib
from collections.abc import Mapping

from benchmarks.results_page.grid_results import (
    PLUS,
    RESULTS,
    Grid,
    find_experiment,
    read_grids,
    read_system_names,
)
from benchmarks.results_page.grid_tables import describe_load, describe_origin, with_bold_caption
from benchmarks.results_page.known_answers import TOUCHED
from data_pipeline.common.codes import TASK_LABELS
from user_tf.evaluation.heuristics import BEST, ORIGINAL
from user_tf.reporting import number_format, report_tables
from user_tf.reporting.document import Cell, Table
from user_tf.reporting.number_format import spread

_VARIANTS = {"user_plus_parts": "Parts of USER+", "learning_curves": "Learning curves"}


def section(folder: pathlib.Path = RESULTS) -> list[str]:
    """Return the lines of all tables, none if nothing was measured.

    Args:
        folder: Folder of the JSON files.
    """
    grids = read_grids(folder, PLUS)
    if not grids:
        return []
    (reference,) = {grid.systems[grid.reference].label for grid in grids.values()}
    lines = [report_tables.LEGEND.format(reference=reference), ""]
    for task in TASK_LABELS:
        lines += [*with_bold_caption(maps(task, grids)), ""]
    for world, grid in grids.items():
        lines += [f"### USER+ in the world {world}", "", describe_origin(grid.content), ""]
        shown = find_experiment(grid, "user_plus")
        for task, compared in grid.tasks.items():
            lines += [*with_bold_caption(report_tables.differences(task, compared, shown)), ""]
        for name, title in _VARIANTS.items():
            if variants := find_experiment(grid, name):
                lines += [
                    *with_bold_caption(report_tables.table_3(grid.tasks, variants, title)),
                    "",
                ]
        costs = report_tables.costs(grid.content["costs"], list(grid.systems.values()))
        lines += [*with_bold_caption(costs), "", describe_load(grid.content), ""]
    return lines


def maps(task: str, grids: Mapping[str, Grid]) -> Table:
    """Make the table of MAP of one task: a row a system, a column a world."""
    labels = {ORIGINAL: ORIGINAL, TOUCHED: TOUCHED}
    for name in read_system_names("user_plus"):
        found = [grid.systems[name].label for grid in grids.values() if name in grid.systems]
        labels |= {name: found[0]} if found else {}
    labels[BEST] = BEST
    rows = []
    for name, label in labels.items():
        numbers = [grid.number(task, name) for grid in grids.values()]
        rows.append(
            [Cell(label), *(Cell(number_format.value("map", n) if n else "–") for n in numbers)]
        )
    return Table(f"MAP of {task} targets", ["", *grids], rows)


def describe(grids: Mapping[str, Grid]) -> str:
    """Return the MAP of USER+ in the worlds of README in one line, empty if it was not measured."""
    parts = []
    for world in ("linked", "trivago"):
        if world in grids:
            grid = grids[world]
            maps = [f"{task} {spread(grid.number(task, grid.reference))}" for task in grid.tasks]
            seeds = len(grid.systems[grid.reference].runs)
            parts.append(f"{world} {', '.join(maps)} (seeds: {seeds})")
    return f"test MAP: {'; '.join(parts)}." if parts else ""
