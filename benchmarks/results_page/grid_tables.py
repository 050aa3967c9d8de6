"""Tables of the grids: one for README, and Table 2, Table 3, departures, Figure 4 and costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results_page.grid_results import Grid, read_system_names
from benchmarks.results_page.known_answers import TOUCHED
from data_pipeline.common.codes import TASK_LABELS
from user_tf.evaluation.heuristics import BEST, ORIGINAL
from user_tf.reporting import number_format, report_tables
from user_tf.reporting.contents import FIGURE_4
from user_tf.reporting.document import Cell, Table, to_lines
from user_tf.reporting.grid_folder import System

DEPARTURES = "departures"
# Flagfiles that are run in each world, by its name.
_FULL = ("table2", "table3", DEPARTURES, "figure4")
_SHOWN = {"linked": _FULL, "trivago": _FULL}
_KNOWN_ANSWERS = ("known_answers",)


def world_lines(grid: Grid, notes: Sequence[str]) -> list[str]:
    """Return all tables of a grid and the notes about it as lines.

    Args:
        grid: Of one world.
        notes: Lines of its notes.
    """
    content = grid.content
    lines = [describe_origin(content), ""]
    if content["unfinished"]:
        lines += [f"Not finished and left out: {', '.join(content['unfinished'])}.", ""]
    lines += [*notes, ""] if notes else []
    for name in _SHOWN.get(grid.world, _KNOWN_ANSWERS):
        wanted = read_system_names(name)
        found = grid.find(wanted)
        if {system.name for system in found} <= {grid.reference}:
            lines += [f"**{_NAMES[name]}**: not measured yet.", ""]
            continue
        for table in _TABLES[name](grid, found):
            lines += [*with_bold_caption(table), ""]
        missing = [system for system in wanted if system not in grid.systems]
        if missing:
            lines += [f"Not measured in this world yet: {', '.join(missing)}.", ""]
    every = list(grid.systems.values())
    for task, compared in grid.tasks.items():
        lines += [*with_bold_caption(report_tables.differences(task, compared, every)), ""]
    lines += [*with_bold_caption(report_tables.costs(content["costs"], every)), ""]
    return [*lines, describe_load(content), ""]


def headline(grids: Mapping[str, Grid]) -> Table:
    """Make README's table: MAP of USER and its strongest competitors on both tasks of each world.

    Args:
        grids: By world.
    """
    columns = [
        (grid, task) for grid in grids.values() for task in TASK_LABELS if task in grid.tasks
    ]
    rows = []
    for name, label in {
        ORIGINAL: ORIGINAL,
        TOUCHED: TOUCHED,
        "lambdamart": "LambdaMART over F",
        "": "best baseline of the paper",
        "user": "USER",
        BEST: "oracle (simulator's click probabilities)",
    }.items():
        cells = [Cell(label)]
        for grid, task in columns:
            chosen = name or _best_baseline(grid, task)
            number = grid.number(task, chosen)
            note = f" ({grid.systems[chosen].label})" if number and not name else ""
            cells.append(Cell(f"{number_format.value('map', number)}{note}" if number else "–"))
        rows.append(cells)
    titles = [f"{grid.world}, {task}" for grid, task in columns]
    return Table("", ["MAP on test targets", *titles], rows)


def _best_baseline(grid: Grid, task: str) -> str:
    """Return the system of the best MAP on a task, USER's variants and LambdaMART excluded."""
    numbers = {
        name: number["mean"]
        for name in grid.systems
        if not name.startswith(("user", "released", "lambdamart"))
        and (number := grid.number(task, name))
    }
    return max(numbers, key=numbers.__getitem__, default="")


def describe_origin(content: Mapping[str, Any]) -> str:
    """Return the split, the sizes, the last command and the machine of a grid."""
    grid, counts = content["grid"], content["grid"]["counts"]
    machine, versions = grid["machine"], grid["versions"]
    # Row 0 of the users is the unknown user.
    users = counts["users"] - 1 if counts else 0
    sizes = f" Dataset: {counts['targets']:,} targets of {users:,} users." if counts else ""
    return (
        f"{content['split'].capitalize()} targets, complete lists.{sizes} Last of its commands: "
        f"`{grid['command']}` on {machine['cpu']}, {machine['cores']} cores, tensorflow "
        f"{versions['tensorflow']}, {grid['date'][:10]}."
    )


def describe_load(content: Mapping[str, Any]) -> str:
    """Return what else ran while costs were measured."""
    runs = content["grid"]["parallel"]
    if runs == 1 and not content["other_load"]:
        return "Costs were measured one run at a time."
    load = [f"{runs} runs at a time, each on its share of the cores"] if runs else []
    load += [content["other_load"]] if content["other_load"] else []
    return (
        f"Costs were measured while other runs were active ({'; '.join(load) or 'number unknown'}): "
        "they show which system costs more, not its speed on an idle machine."
    )


def with_bold_caption(table: Table) -> list[str]:
    """Return the lines of a table, the name before its caption's colon in bold."""
    caption, *rest = to_lines(table)
    name, colon, text = caption.partition(":")
    return [f"**{name}**{colon}{text}" if colon else f"**{caption}**", *rest]


def _table_2(grid: Grid, systems: Sequence[System]) -> list[Table]:
    ordered = sorted(systems, key=lambda system: system.name == grid.reference)
    return [report_tables.table_2(task, compared, ordered) for task, compared in grid.tasks.items()]


def _table_3(grid: Grid, systems: Sequence[System]) -> list[Table]:
    return [report_tables.table_3(grid.tasks, systems)]


def _departures(grid: Grid, systems: Sequence[System]) -> list[Table]:
    return [report_tables.table_3(grid.tasks, systems, _NAMES[DEPARTURES])]


def _figure_4(grid: Grid, systems: Sequence[System]) -> list[Table]:
    found = []
    for task in grid.tasks:
        parts = {
            title.format(task=task): grid.slices(task)[name]
            for name, title in FIGURE_4.items()
            if name in grid.slices(task)
        }
        if parts:
            found.append(report_tables.slices(f"Figure 4, {task}", parts, systems))
    return found


_NAMES = {
    "table2": "Table 2",
    "table3": "Table 3",
    DEPARTURES: "Departures of the released code",
    "figure4": "Figure 4",
    "known_answers": "All systems",
}
_TABLES = {
    "table2": _table_2,
    "table3": _table_3,
    DEPARTURES: _departures,
    "figure4": _figure_4,
    "known_answers": _table_2,
}
