"""The report's tables from `across_systems.compare`: Table 2, Table 3, differences, slices, costs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from user_tf.evaluation.heuristics import BEST
from user_tf.evaluation.metrics import LOWER_IS_BETTER
from user_tf.evaluation.metrics_table import HEADINGS
from user_tf.reporting.document import Cell, Table
from user_tf.reporting.grid_folder import System
from user_tf.reporting.number_format import BETTER, LEVEL, WORSE, mark, p_value, percent, value

# Metrics of the paper's Table 2, by task, and of its Table 3.
TABLE_2 = {
    "search": ("map", "mrr", "p_at_1", "average_click_position", "ndcg_at_5", "ndcg_at_10"),
    "recommendation": (
        "map",
        "auc_grouped",
        "p_at_1",
        "average_click_position",
        "ndcg_at_5",
        "ndcg_at_10",
    ),
}
TABLE_3 = ("map", "ndcg_at_5", "ndcg_at_10")
SCENARIOS = {
    "search": "Trained on searches alone",
    "recommendation": "Trained on recommendations alone",
    "unified": "Trained on searches and recommendations",
}
HEURISTICS, ORACLE = "Heuristics", "Oracle (click probabilities of the simulator)"
LEGEND = (
    f"{BETTER} significantly better than {{reference}}, {WORSE} significantly worse: paired t-test "
    f"over queries, p < {LEVEL} after Holm's correction for the systems compared. Bold: best of a "
    "column, the oracle excluded. Mean ± standard deviation over runs (seeds), where a "
    "system has several."
)

Comparison = Mapping[str, Any]
"""Result of `across_systems.compare` for a task or some of its queries."""


def table_2(task: str, compared: Comparison, systems: Sequence[System]) -> Table:
    """Make the table of a task: every ranking by the paper's metrics, with its improvement.

    Args:
        task: `search` or `recommendation`.
        compared: Of the task.
        systems: Systems to show.
    """
    keys, gain = TABLE_2[task], BEST in compared["rankings"]
    columns = ["", "runs", *(HEADINGS[key] for key in keys)]
    columns += ["fraction of oracle gain"] if gain else []
    best = {key: _best(compared, key, systems) for key in keys}

    def cells(name: str) -> list[Cell]:
        entry = compared["rankings"][name]
        row = [Cell(str(entry["runs"]) if entry["learned"] else "")]
        for key in keys:
            number = entry["metrics"][key]
            change = percent(number["improvement"]) if number["improvement"] else ""
            row.append(Cell(value(key, number), change, name == best[key]))
        if gain:
            share = entry["metrics"]["map"]["fraction_of_oracle_gain"]
            row.append(Cell("–" if share is None else f"{share:.2f}"))
        return row

    caption = (
        f"Table 2, {task}: {counts(compared)}. Second line of a cell: improvement to the original "
        "order."
    )
    caption += (
        " Fraction of oracle gain: of the MAP gain of the oracle over the original order."
        if gain
        else ""
    )
    return Table(caption, columns, _grouped(compared, systems, cells))


def differences(
    task: str, compared: Comparison, systems: Sequence[System], metric: str = "map"
) -> Table:
    """Make the table of differences to the reference, with interval and p."""
    rankings, rows = compared["rankings"], []
    labels = {system.name: system.label for system in systems}
    shown = labels | {name: name for name, entry in rankings.items() if not entry["learned"]}
    for name, label in shown.items():
        number = rankings[name]["metrics"][metric] if name in rankings else {}
        if "difference" not in number:
            continue
        low, high = number["difference_interval"]
        rows.append(
            [
                Cell(label),
                Cell(f"{mark(metric, number)} {number['difference']:+.4f}".lstrip()),
                Cell(f"{low:+.4f} to {high:+.4f}"),
                Cell(p_value(number["p_value"])),
                Cell(p_value(number["holm"])),
            ]
        )
    caption = (
        f"Differences in {HEADINGS[metric]} to {labels[compared['reference']]}, {task}: "
        f"{counts(compared)}. The interval resamples users."
    )
    columns = ["", "difference", "95 % interval", "p, paired t-test", "p, Holm"]
    return Table(caption, columns, rows)


def table_3(
    tasks: Mapping[str, Comparison], variants: Sequence[System], name: str = "Table 3"
) -> Table:
    """Make the table of the full model and its variants, relative to the full one.

    Args:
        tasks: Comparison by task.
        variants: Systems with one model, the full one first.
        name: Name of the table.
    """
    full, labels = variants[0], {system.name: system.label for system in variants}
    columns = ["", *(f"{task}: {HEADINGS[key]}" for task in tasks for key in TABLE_3)]

    def cells(name: str) -> Iterator[Cell]:
        for compared in tasks.values():
            entry = compared["rankings"].get(name)
            for key in TABLE_3:
                if entry is None:
                    yield Cell("–")
                    continue
                number, full_number = (
                    e["metrics"][key] for e in (entry, compared["rankings"][full.name])
                )
                change = percent(100 * (number["mean"] / full_number["mean"] - 1), 2)
                chosen = name == _best(compared, key, variants)
                yield Cell(value(key, number), "" if name == full.name else change, chosen)

    rows = [[Cell(label), *cells(name)] for name, label in labels.items()]
    names = {name: e for c in tasks.values() for name, e in c["rankings"].items()}
    others = [name for name, entry in names.items() if not entry["learned"] and name != BEST]
    rows += [[Cell(HEURISTICS)], *([Cell(name), *cells(name)] for name in others)]
    if BEST in names:
        rows += [[Cell(ORACLE)], [Cell(BEST), *cells(BEST)]]
    queries = "; ".join(f"{task}: {counts(compared)}" for task, compared in tasks.items())
    caption = (
        f"{name}: {full.label} and its variants. {queries}. Second line of a "
        f"cell: change from {full.label}."
    )
    return Table(caption, columns, rows)


def slices(
    caption: str, parts: Mapping[str, Comparison], systems: Sequence[System], metric: str = "map"
) -> Table:
    """Make the table of one metric of every ranking on parts of a task's queries.

    Args:
        caption: Kind of the parts, and the task.
        parts: Comparison by slice, at least one.
        systems: Systems to show.
        metric: Of all columns.
    """
    best = {part: _best(compared, metric, systems) for part, compared in parts.items()}

    def cells(name: str) -> list[Cell]:
        numbers = {part: c["rankings"][name]["metrics"][metric] for part, c in parts.items()}
        return [
            Cell(value(metric, number), best=name == best[part]) for part, number in numbers.items()
        ]

    columns = ["", *(f"{part} ({compared['queries']:,})" for part, compared in parts.items())]
    caption = f"{caption}: {HEADINGS[metric]}; in brackets the number of queries."
    return Table(caption, columns, _grouped(next(iter(parts.values())), systems, cells))


def costs(found: Mapping[str, Mapping[str, float | None]], systems: Sequence[System]) -> Table:
    """Make the table of the costs of every system.

    Args:
        found: `grid.cost` by system.
        systems: Systems to show.
    """

    def number(found: float | None, digits: int = 0) -> Cell:
        return Cell("–" if found is None else f"{found:,.{digits}f}")

    rows = []
    for system in systems:
        cost = found[system.name]
        minutes = None if cost["seconds"] is None else cost["seconds"] / 60
        rows.append(
            [
                Cell(system.label),
                Cell(str(len(system.runs))),
                number(cost["parameters"]),
                number(cost["groups"]),
                number(cost["groups_per_second"]),
                number(minutes, 1),
                number(cost["peak_gib"], 2),
            ]
        )
    columns = [
        "",
        "runs",
        "parameters",
        "groups trained on",
        "groups/s in training",
        "minutes, validation included",
        "peak memory, GiB",
    ]
    return Table("Cost of each system, means over its runs.", columns, rows)


def _best(compared: Comparison, key: str, systems: Sequence[System]) -> str:
    """Return the best ranking shown, the oracle excluded."""
    shown = {system.name for system in systems}
    means = {
        name: entry["metrics"][key]["mean"]
        for name, entry in compared["rankings"].items()
        if (name in shown if entry["learned"] else name != BEST)
    }
    return (min if key == LOWER_IS_BETTER else max)(means, key=means.__getitem__)


def counts(compared: Comparison) -> str:
    """Write the number of queries of a comparison."""
    return (
        f"{compared['queries']:,} queries of {compared['users']:,} users, "
        f"{compared['left_out']:,} left out (all or none relevant)"
    )


def _grouped(
    compared: Comparison, systems: Sequence[System], cells: Callable[[str], list[Cell]]
) -> list[list[Cell]]:
    """Return rows under headings: heuristics, the systems by scenario, the oracle."""
    rankings, rows = compared["rankings"], [[Cell(HEURISTICS)]]
    for name, entry in rankings.items():
        if not entry["learned"] and name != BEST:
            rows.append([Cell(name), *cells(name)])
    for scenario, heading in SCENARIOS.items():
        found = [s for s in systems if s.name in rankings and s.scenario == scenario]
        rows += [[Cell(heading)]] if found else []
        rows += [[Cell(system.label), *cells(system.name)] for system in found]
    if BEST in rankings:
        rows += [[Cell(ORACLE)], [Cell(BEST), *cells(BEST)]]
    return rows
