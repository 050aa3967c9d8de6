"""Fill the notes about results with numbers from the JSON files.

    benchmarks/results/notes/linked.md:
    Without unified data USER loses {search.user_s.map.change} on searches.

A placeholder is {task.ranking.metric}, {task.ranking.metric.part} or {cost.system.name}. A prefix
names another world: {trivago:search.user.map}. Parts: `mean`, `std`, `difference` to the
reference with interval and p, `change` from the reference in %, `improvement` to the original order
in %, `share`, the fraction of oracle gain. Without a part: mean and spread.
"""

import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.results_page.grid_results import RESULTS, Grid
from user_tf.reporting.number_format import percent, short, spread

NOTES = RESULTS / "notes"


def _difference(number: Mapping[str, Any]) -> str:
    p = number["p_value"] if number["holm"] is None else number["holm"]
    p_value = f"p = {p:.4f}" if p >= 0.0001 else "p < 0.0001"
    low, high = number["difference_interval"]
    return f"{number['difference']:+.4f} ({low:+.4f} to {high:+.4f}, {p_value})"


_PARTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "": spread,
    "mean": lambda number: short(number["mean"]),
    "std": lambda number: short(number["std"]),
    "difference": _difference,
    "change": lambda number: percent(
        100 * number["difference"] / (number["mean"] - number["difference"]), 2
    ),
    "improvement": lambda number: percent(number["improvement"], 2),
    "share": lambda number: f"{number['fraction_of_oracle_gain']:.2f}",
}


def fill_notes(world: str, grids: Mapping[str, Grid], folder: pathlib.Path = NOTES) -> list[str]:
    """Return the filled lines of a world's notes; none where there is no file.

    Raises:
        ValueError: A placeholder names no result; the error names file and placeholder.
    """
    path = folder / f"{world}.md"
    if not path.exists():
        return []

    def filled(found: re.Match[str]) -> str:
        try:
            return _value(found[1], world, grids)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                "A placeholder must be {task.ranking.metric}, {task.ranking.metric.part} or "
                f"{{cost.system.name}} of a measured result. Got {found[0]} in {path}. Fix: use the "
                f"parts {', '.join(filter(None, _PARTS))}, and rankings and costs of "
                f"benchmarks/results/grid_{world}.json."
            ) from error

    text = path.read_text(encoding="utf-8")
    return re.sub(r"\{([^{}]+)\}", filled, text).rstrip().splitlines()


def _value(placeholder: str, world: str, grids: Mapping[str, Grid]) -> str:
    prefix, colon, rest = placeholder.rpartition(":")
    grid = grids[prefix if colon else world]
    kind, ranking, metric, *part = rest.split(".")
    if kind == "cost":
        return f"{grid.content['costs'][ranking][metric]:,.0f}"
    number = grid.number(kind, ranking, metric)
    if number is None:
        raise KeyError(ranking)
    return _PARTS[".".join(part)](number)
