"""Tables of a grid: one for README, and Table 2, Table 3, departures, Figure 4 and costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.results_page.grid_results import Grid, read_system_names
from data_pipeline.common.codes import TASK_LABELS
from user_tf.evaluation.heuristics import BEST
from user_tf.evaluation.metrics_table import HEADINGS
from user_tf.reporting import report_tables
from user_tf.reporting.contents import FIGURE_4
from user_tf.reporting.document import Cell, Table, to_lines
from user_tf.reporting.grid_folder import System

DEPARTURES = "departures"
# What each world is for, by name of the flagfiles that are run in it.
_FULL = ("table2", "table3", DEPARTURES, "figure4")
_SHOWN = {"linked": _FULL, "trivago": _FULL}
_KNOWN_ANSWERS = ("known_answers",)
_HEADLINE = ("map", "ndcg_at_10")


def world_lines(grid: Grid, notes: Sequence[str]) -> list[str]:
    """All tables of a grid, with what was written about it.

    Args:
        grid: Of one world.
        notes: Lines of its notes.
    """
    content = grid.content
    lines = [_opening(content), ""]
    if content["unfinished"]:
        lines += [f"Not finished and left out: {', '.join(content['unfinished'])}.", ""]
    lines += [*notes, ""] if notes else []
    for name in _SHOWN.get(grid.world, _KNOWN_ANSWERS):
        wanted = read_system_names(name)
        found = grid.chosen(wanted)
        if {system.name for system in found} <= {grid.reference}:
            lines += [f"**{_NAMES[name]}**: not measured yet.", ""]
            continue
        for table in _TABLES[name](grid, found):
            lines += [*_with_bold_caption(table), ""]
        missing = [system for system in wanted if system not in grid.systems]
        if missing:
            lines += [f"Not measured in this world yet: {', '.join(missing)}.", ""]
    every = list(grid.systems.values())
    for task, compared in grid.tasks.items():
        lines += [*_with_bold_caption(report_tables.differences(task, compared, every)), ""]
    lines += [*_with_bold_caption(report_tables.costs(content["costs"], every)), ""]
    return [*lines, _beside(content), ""]


def headline(grid: Grid) -> Table:
    """The systems of Table 2 on both tasks, in few columns."""
    listed = read_system_names("table2" if grid.world in _SHOWN else "known_answers")
    systems = grid.chosen(listed)
    tasks = [task for task in TASK_LABELS if task in grid.tasks]
    columns = ["", "seeds"]
    for task in tasks:
        reference = grid.systems[grid.reference].label
        columns += [f"{task}: MAP", f"to {reference}", HEADINGS[_HEADLINE[1]]]
    unlearned = [
        name
        for name, entry in grid.tasks[tasks[0]]["rankings"].items()
        if not entry["learned"] and name != BEST
    ]
    best = {
        (task, key): _best(grid, task, key, [*unlearned, *(s.name for s in systems)])
        for task in tasks
        for key in _HEADLINE
    }

    def row(name: str, label: str, seeds: str) -> list[Cell]:
        cells = [Cell(label), Cell(seeds)]
        for task in tasks:
            for key in _HEADLINE:
                number = grid.number(task, name, key)
                text = "–" if number is None else report_tables.value(key, number)
                cells.append(Cell(text, best=name == best[task, key]))
                if key == "map":
                    cells.append(Cell(_difference(number)))
        return cells

    rows = [row(name, name, "") for name in unlearned]
    for scenario, heading in report_tables.SCENARIOS.items():
        found = [system for system in systems if system.scenario == scenario]
        # What the others are compared with stands last, as in the paper.
        found.sort(key=lambda system: system.name == grid.reference)
        rows += [[Cell(heading)]] if found else []
        rows += [row(s.name, s.label, str(len(s.runs))) for s in found]
    if any(grid.number(task, BEST) for task in tasks):
        rows += [[Cell("Known by simulation")], row(BEST, BEST, "")]
    counts = "; ".join(f"{task}: {report_tables.counts(grid.tasks[task])}" for task in tasks)
    return Table(f"**{grid.content['title']}**. {counts}.", columns, rows)


def _difference(number: Mapping[str, Any] | None) -> str:
    if number is None or "difference" not in number:
        return ""
    low, high = number["difference_interval"]
    return f"{number['difference']:+.3f} ({low:+.3f} to {high:+.3f})".replace("0.", ".")


def _best(grid: Grid, task: str, key: str, names: Sequence[str]) -> str:
    numbers = {name: grid.number(task, name, key) for name in names}
    return max((n for n in names if numbers[n]), key=lambda name: numbers[name]["mean"])


def _opening(content: Mapping[str, Any]) -> str:
    grid, counts = content["grid"], content["grid"]["counts"]
    machine, versions = grid["machine"], grid["versions"]
    # Row 0 of the users stands for unknown ones.
    users = counts["users"] - 1 if counts else 0
    sizes = f" Dataset: {counts['targets']:,} targets of {users:,} users." if counts else ""
    return (
        f"{content['split'].capitalize()} targets, whole lists.{sizes} The last of the commands that made it: "
        f"`{grid['command']}` on {machine['cpu']}, {machine['cores']} cores, tensorflow "
        f"{versions['tensorflow']}, {grid['date'][:10]}."
    )


def _beside(content: Mapping[str, Any]) -> str:
    runs = content["grid"]["parallel"]
    if runs == 1 and not content["beside"]:
        return "Costs were taken one run at a time."
    told = [f"{runs} runs at a time, each on its share of the cores"] if runs else []
    told += [content["beside"]] if content["beside"] else []
    return (
        f"Costs were taken while other runs went on ({'; '.join(told) or 'how many is not known'}): "
        "they tell which system is dearer, not what it can do on an idle machine."
    )


def _with_bold_caption(table: Table) -> list[str]:
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
