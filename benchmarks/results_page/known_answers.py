"""Checks of USER in worlds where the answer is known, computed from the grids' results.

Where no gain is expected, a gain is called significant by the uncorrected paired t-test: a
correction for many systems would make the expected answer easier to give.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmarks.results_page.grid_results import Grid
from user_tf.evaluation.heuristics import BEST
from user_tf.evaluation.metrics_table import HEADINGS
from user_tf.reporting.document import Cell, Table
from user_tf.reporting.number_format import LEVEL, short

TOUCHED = "most recently touched"
NOT_MEASURED = "not measured yet"
_SINGLE = {"search": "user_s", "recommendation": "user_r"}
_MAP = HEADINGS["map"]


@dataclasses.dataclass(frozen=True)
class Answer:
    """One check.

    Attributes:
        world: Name of the world.
        task: `search` or `recommendation`.
        expected: The answer that is known.
        measured: The result, in words and numbers.
        holds: Whether it is the expected one; None where it is not measured.
    """

    world: str
    task: str
    expected: str
    measured: str
    holds: bool | None


def answers(grids: Mapping[str, Grid]) -> list[Answer]:
    """Return all checks, those of worlds without results as not measured.

    Args:
        grids: By world.
    """
    found = []
    for task, single in _SINGLE.items():
        for world, gains in (("independent", False), ("linked", True)):
            expected = "unified data gives USER " + ("a" if gains else "no")
            expected += " significant gain"
            found.append(_gain(grids.get(world), world, task, single, expected, gains))
    for task in _SINGLE:
        expected = "the history encoder gives USER no significant gain"
        world = "session_only"
        found.append(_gain(grids.get(world), world, task, "user_no_history", expected, False))
    return [*found, _refinding(grids)]


def table(grids: Mapping[str, Grid]) -> Table:
    """Make the table of the checks."""
    holds = {True: Cell("yes"), False: Cell("no", best=True), None: Cell("")}
    rows = [
        [Cell(a.world), Cell(a.task), Cell(a.expected), Cell(a.measured), holds[a.holds]]
        for a in answers(grids)
    ]
    caption = (
        f"Worlds where the answer is known: {_MAP} on test targets. Significant: paired t-test over "
        f"queries, p < {LEVEL}, not corrected for the number of checks; the interval resamples users."
    )
    return Table(caption, ["world", "task", "expected", "measured", "holds"], rows)


def _gain(
    grid: Grid | None, world: str, task: str, without: str, expected: str, gains: bool
) -> Answer:
    """Check whether the reference gains over the system without a part."""
    number = grid.number(task, without) if grid else None
    if grid is None or number is None or "difference" not in number:
        return Answer(world, task, expected, NOT_MEASURED, None)
    # The results hold the other system's difference to the reference.
    gain = -number["difference"]
    low, high = sorted(-bound for bound in number["difference_interval"])
    significant = gain > 0 and number["p_value"] is not None and number["p_value"] < LEVEL
    measured = (
        f"{grid.systems[grid.reference].label} − {grid.systems[without].label}: {gain:+.4f} "
        f"({low:+.4f} to {high:+.4f}), {_p(number['p_value'])}"
    )
    return Answer(world, task, expected, measured, significant == gains)


def _refinding(grids: Mapping[str, Grid]) -> Answer:
    """Check that most recently touched is the best heuristic, nearer the oracle than in linked."""
    world, task = "refinding", "search"
    expected = (
        f"`{TOUCHED}` is strong: better than all other heuristics (intervals apart), with a "
        "larger share of the possible gain than in linked"
    )
    grid = grids.get(world)
    touched = grid.number(task, TOUCHED) if grid else None
    if grid is None or touched is None:
        return Answer(world, task, expected, NOT_MEASURED, None)
    others = {
        name: entry["metrics"]["map"]
        for name, entry in grid.tasks[task]["rankings"].items()
        # The second is the first with ties broken at random.
        if not entry["learned"] and name not in (TOUCHED, "touched, rest random", BEST)
    }
    rival = max(others, key=lambda name: others[name]["mean"])
    user = grid.number(task, grid.reference)
    measured = f"{_mean(touched)}; best of the others: {rival} {_mean(others[rival])}"
    holds = touched["interval"][0] > max(other["interval"][1] for other in others.values())
    share = touched.get("fraction_of_oracle_gain")
    if share is not None:
        measured += f"; share of gain {share:.2f}"
    elsewhere = grids["linked"].number(task, TOUCHED) if "linked" in grids else None
    if share is not None and elsewhere and elsewhere.get("fraction_of_oracle_gain") is not None:
        measured += f", in linked {elsewhere['fraction_of_oracle_gain']:.2f}"
        holds = holds and share > elsewhere["fraction_of_oracle_gain"]
    if user and "difference" in touched:
        measured += (
            f"; to {grid.systems[grid.reference].label} ({short(user['mean'])}) "
            f"{touched['difference']:+.4f}, {_p(touched['p_value'])}"
        )
    return Answer(world, task, expected, measured, holds)


def _mean(number: Mapping[str, Any]) -> str:
    low, high = number["interval"]
    return f"{short(number['mean'])} ({short(low)} to {short(high)})"


def _p(value: float | None) -> str:
    if value is None:
        return "p –"
    return f"p = {value:.4f}" if value >= 0.0001 else "p < 0.0001"
