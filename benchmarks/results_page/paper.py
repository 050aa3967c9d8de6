"""Changes of MAP in the paper and the same comparisons here.

The numbers are from the paper's text; its tables could be read in part only. They are of another
log (100,000 users, three months), so only direction and order of magnitude can be compared.
"""

import dataclasses
from collections.abc import Mapping

from benchmarks.results_page.grid_results import Grid
from user_tf.evaluation.heuristics import ORIGINAL
from user_tf.reporting.document import Cell, Table
from user_tf.reporting.number_format import LEVEL, percent

WORLDS = ("linked", "trivago")


@dataclasses.dataclass(frozen=True)
class Claim:
    """A relative change of MAP that the paper reports.

    Attributes:
        text: Description of the change.
        task: `search` or `recommendation`.
        one, other: Names of the rankings: the change is that of `one` from `other`.
        change: In %.
    """

    text: str
    task: str
    one: str
    other: str
    change: float


CLAIMS = (
    Claim("USER from the original order", "search", "user", ORIGINAL, 3.49),
    Claim("USER from USER-S", "search", "user", "user_s", 1.14),
    Claim("USER from USER-R", "recommendation", "user", "user_r", 1.20),
    Claim("HTPS on unified data from HTPS", "search", "htps_unified", "htps", 0.6),
    Claim("NRMS on unified data from NRMS", "recommendation", "nrms_unified", "nrms", 1.6),
    Claim("USER without session encoder from USER", "search", "user_no_session", "user", -1.24),
    Claim(
        "USER without session encoder from USER",
        "recommendation",
        "user_no_session",
        "user",
        -21.29,
    ),
)


def table(grids: Mapping[str, Grid]) -> Table:
    """Make the table of the paper's changes and those measured here, by world."""
    rows = [
        [
            Cell(claim.text),
            Cell(claim.task),
            # As many digits as the paper has.
            Cell(f"{claim.change:+g} %"),
            *(Cell(*measured(claim, grids.get(world))) for world in WORLDS),
        ]
        for claim in CLAIMS
    ]
    caption = (
        "Relative changes of MAP in the paper and here; the paper's log is another one. Second line: "
        "whether the direction is the paper's, and p where it was tested, Holm-corrected among "
        f"systems (significant: p < {LEVEL})."
    )
    return Table(caption, ["", "task", "paper", *WORLDS], rows)


def measured(claim: Claim, grid: Grid | None) -> tuple[str, str]:
    """Return the change in a world and its meaning; a dash where it is not measured."""
    one = grid.number(claim.task, claim.one) if grid else None
    other = grid.number(claim.task, claim.other) if grid else None
    if grid is None or one is None or other is None:
        return "–", ""
    change = 100 * (one["mean"] / other["mean"] - 1)
    notes = ["same direction" if change * claim.change > 0 else "other direction"]
    # Only differences to the reference were tested.
    for name, number in ((claim.one, other), (claim.other, one)):
        if name == grid.reference:
            p = number.get("holm")
            p = number.get("p_value") if p is None else p
            notes += [] if p is None else [f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"]
    return percent(change, 2), ", ".join(notes)
