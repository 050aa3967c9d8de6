"""The contents of a report: comparisons of every task and slice as a document."""

import dataclasses
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from data_pipeline.common.codes import TASK_LABELS
from user_tf.evaluation import across_systems
from user_tf.evaluation.across_systems import TaskQueries
from user_tf.evaluation.heuristics import BEST, ORIGINAL
from user_tf.evaluation.slices import default_slices, slice_by
from user_tf.reporting import figures, number_format, report_tables
from user_tf.reporting.document import Cell, Document, Figure, Section, Table
from user_tf.reporting.figures import Bar, Curve
from user_tf.reporting.grid_folder import Grid, System, evaluations

# Phases of training whose curves are drawn, in their order.
PHASES = ("pretrain", *TASK_LABELS)
# Parts of the queries that the paper's Figure 4 shows.
FIGURE_4 = {
    "first of the user": "first {task} of each user",
    "session with both behaviors": "{task}, sessions with both behaviors",
}
_BY_DEFAULT = "Slices"


@dataclasses.dataclass(frozen=True)
class TaskResults:
    """Results of a task.

    Attributes:
        all_queries: Result of `across_systems.compare` for all its queries.
        slices: The same for MAP alone, by kind of slice and slice.
    """

    all_queries: dict[str, Any]
    slices: dict[str, dict[str, dict[str, Any]]]


def compare_task(
    queries: TaskQueries, reference: str, requests: Sequence[str], samples: int, seed: int
) -> TaskResults:
    """Compare the systems on a task and on its slices.

    Args:
        queries: Of the task.
        reference: System the others are compared with.
        requests: Slices in addition to the default ones, in the form of `slice_by`.
        samples, seed: Of the resamplings.

    Raises:
        ValueError: A slice is impossible.
    """
    kinds = {_BY_DEFAULT: default_slices(queries.columns)}
    kinds |= {f"By {request}": slice_by(request, queries.columns) for request in requests}
    return TaskResults(
        across_systems.compare(queries, reference, samples, seed),
        {
            kind: {
                name: across_systems.compare(queries.take(rows), reference, samples, seed, ("map",))
                for name, rows in found.items()
            }
            for kind, found in kinds.items()
        },
    )


def to_document(
    grid: Grid,
    tasks: Mapping[str, TaskResults],
    costs: Mapping[str, Mapping[str, float | None]],
    reference: str,
    command: str,
) -> Document:
    """Make the report of a grid.

    Args:
        grid: The systems.
        tasks: Results by task, at least one.
        costs: `grid.cost` by system.
        reference: System the others are compared with.
        command: Command line that makes the report.
    """
    full = next(system for system in grid.systems if system.name == reference)
    # Variants of the reference on the same data are Table 3's; elsewhere they would crowd the rest.
    variants = [full, *(s for s in grid.systems if s.model == full.model and s != full)]
    overall = [
        s for s in grid.systems if s not in variants or s == full or s.scenario != full.scenario
    ]
    # As in the paper: by the data they are trained on, and what is compared with last.
    overall.sort(key=lambda s: (list(report_tables.SCENARIOS).index(s.scenario), s == full))
    compared = {task: results.all_queries for task, results in tasks.items()}
    performance = [report_tables.table_2(task, found, overall) for task, found in compared.items()]
    performance += [
        report_tables.differences(task, found, grid.systems) for task, found in compared.items()
    ]
    sections = [Section("Overall performance", [], performance)]
    if len(variants) > 1:
        ranked = {task: found for task, found in compared.items() if reference in found["rankings"]}
        sections.append(Section("Ablations", [], [report_tables.table_3(ranked, variants)]))
    sections.append(_slices(tasks, overall, reference))
    sections += _training(grid)
    sections.append(Section("Cost", [], [report_tables.costs(costs, grid.systems)]))
    return Document(
        grid.content["title"], _opening(grid, full), sections, _origin(grid.content, command)
    )


def _opening(grid: Grid, full: System) -> list[str]:
    runs = sum(len(system.runs) for system in grid.systems)
    opening = [
        f"{len(grid.systems)} systems, {runs} finished runs, {grid.split} targets. "
        + report_tables.LEGEND.format(reference=full.label)
    ]
    if grid.unfinished:
        opening.append(f"Not finished and left out: {', '.join(grid.unfinished)}.")
    return opening


def _slices(tasks: Mapping[str, TaskResults], systems: Sequence[System], reference: str) -> Section:
    panels: dict[str, list[Bar]] = {}
    shown: dict[str, Mapping[str, Any]] = {}
    for task, results in tasks.items():
        for name, title in FIGURE_4.items():
            part = results.slices[_BY_DEFAULT].get(name)
            if part:
                title = title.format(task=task)
                shown[title] = part
                panels[f"{title}: {part['queries']:,} queries"] = make_bars(
                    part, systems, reference
                )
    parts: list[Table | Figure] = []
    if panels:
        parts.append(
            Figure(
                "Figure 4: MAP on parts of the queries, with 95 % intervals over users.",
                figures.bars(panels, "MAP"),
                _interval_table(shown, systems),
            )
        )
    for task, results in tasks.items():
        for kind, found in results.slices.items():
            if found:
                parts.append(report_tables.slices(f"{kind}, {task}", found, systems))
    return Section("Parts of the queries", [], parts)


def make_bars(part: Mapping[str, Any], systems: Sequence[System], reference: str) -> list[Bar]:
    rankings = part["rankings"]
    names = {ORIGINAL: ORIGINAL, **{s.name: s.label for s in systems}, BEST: BEST}
    kinds = {reference: "reference", ORIGINAL: "unlearned", BEST: "best"}
    return [
        Bar(label, number["mean"], tuple(number["interval"]), kinds.get(name, "system"))
        for name, label in names.items()
        if name in rankings
        for number in (rankings[name]["metrics"]["map"],)
    ]


def _interval_table(shown: Mapping[str, Mapping[str, Any]], systems: Sequence[System]) -> Table:
    labels = {system.name: system.label for system in systems}
    rankings = {name: e for part in shown.values() for name, e in part["rankings"].items()}
    rows = []
    for name, entry in rankings.items():
        if name in labels or not entry["learned"]:
            cells = [Cell(labels.get(name, name))]
            for part in shown.values():
                number = part["rankings"].get(name, {"metrics": {"map": None}})["metrics"]["map"]
                if number is None:
                    cells.append(Cell("–"))
                else:
                    bounds = " to ".join(number_format.short(bound) for bound in number["interval"])
                    cells.append(Cell(number_format.short(number["mean"]), bounds))
            rows.append(cells)
    columns = ["", *(f"{title} ({part['queries']:,})" for title, part in shown.items())]
    return Table("MAP, 95 % interval; in brackets the number of queries.", columns, rows)


def _training(grid: Grid) -> list[Section]:
    found = {
        phase: {
            system.label: [
                [(line["step"], line["validation"]["map"]) for line in evaluations(run, phase)]
                for run in system.runs
                if (run / phase).exists()
            ]
            for system in grid.systems
        }
        for phase in PHASES
    }
    panels = {
        phase: [Curve(label, points) for label, runs in of_phase.items() for points in runs]
        for phase, of_phase in found.items()
    }
    panels = {phase: curves for phase, curves in panels.items() if curves}
    if not panels:
        return []
    rows = []
    for system in grid.systems:
        cells = [Cell(system.label)]
        for phase in panels:
            best = [
                max(points, key=lambda point: point[1]) for points in found[phase][system.label]
            ]
            value = number_format.short(statistics.fmean(b[1] for b in best)) if best else "–"
            cells.append(
                Cell(value, f"step {statistics.fmean(b[0] for b in best):,.0f}" if best else "")
            )
        rows.append(cells)
    table = Table("Best validation MAP and its step, means over runs.", ["", *panels], rows)
    caption = (
        "Validation MAP by training step, a line a run. In pre-training the mean of both tasks."
    )
    figure = Figure(caption, figures.curves(panels, ("step", "validation MAP")), table)
    return [Section("Training", [], [figure])]


def _origin(content: Mapping[str, Any], command: str) -> str:
    machine, versions = content.get("machine", {}), content.get("versions", {})
    parts = [
        f"Made by `{command}` of results of `{content.get('command', 'user_tf.experiment')}`",
        str(content.get("date", ""))[:10],
        f"{machine.get('cpu', '')}, {machine.get('cores', '?')} cores" if machine else "",
        f"tensorflow {versions['tensorflow']}" if "tensorflow" in versions else "",
        f"shared settings: {shlex.join(content['common_flags'])}"
        if "common_flags" in content
        else "",
    ]
    return ", ".join(part for part in parts if part) + "."
