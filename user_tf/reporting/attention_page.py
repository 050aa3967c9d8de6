"""Figure 5: the attention of a target over the user's earlier behaviors, as SVG, page and JSON."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from data_pipeline.common.html_page import render
from data_pipeline.common.matplotlib_svg import INK
from user_tf.run_folder import write_json

PARTS = ("past sessions", "current session")
NOTE = (
    "The stronger a cell's color, the larger the weight among those of the same run and part; in "
    "the row of a part, the sum of its weights. A model with an encoder for each part has two sums "
    "of 100 %. A dash: the run's scenario leaves out the behavior."
)
# Sizes in pixels.
_ROW, _CELL, _GAP, _EDGE = 22, 120, 8, 12
_LEFT = {"order": _EDGE, "type": _EDGE + 34, "text": _EDGE + 34 + 62}
_COLUMNS = _LEFT["text"] + 430
# Letters that fit the width of a text, and the pixels of a bold letter; longer texts are cut.
_LETTERS, _BOLD = 60, 7.5
_COLORS = {
    "ink": INK,
    "pale": "#57606a",
    "paper": "#ffffff",
    "shade": "#0b4f8a",
    "on_shade": "#ffffff",
}


def write(folder: pathlib.Path, content: Mapping[str, Any], command: str) -> list[pathlib.Path]:
    """Write attention.svg, attention.html and attention.json.

    Args:
        folder: Output folder; it is made if it does not exist.
        content: Result of `user_tf.reporting.attention_of_target.explain_target`.
        command: Command line, written into JSON and page.

    Returns:
        The files written.
    """
    written = [folder / f"attention.{ending}" for ending in ("svg", "html", "json")]
    drawing = draw(content)
    write_json(written[2], {"command": command, **content})
    written[0].write_text(drawing, encoding="utf-8")
    page = render(
        "user_tf.reporting",
        "attention.html.jinja",
        title=f"Attention of target {content['target']['target_id']}",
        drawing=drawing,
        note=NOTE,
        footer=command,
    )
    written[1].write_text(page, encoding="utf-8")
    return written


def shares(rows: Sequence[Mapping[str, Any]], label: str) -> list[float | None]:
    """Return a run's weights relative to its largest one, for shading.

    Example:
        >>> shares([{"weights": {"user": weight}} for weight in (0.1, 0.4, None)], "user")
        [0.25, 1.0, None]
    """
    weights = [row["weights"][label] for row in rows]
    largest = max((weight for weight in weights if weight is not None), default=0.0)
    return [None if weight is None else weight / largest if largest else 0.0 for weight in weights]


def draw(content: Mapping[str, Any]) -> str:
    """Return the `<svg>` element: a row for each behavior, oldest first, a column for each run."""
    labels = [run["label"] for run in content["runs"]]
    starts = [_COLUMNS + i * (_CELL + _GAP) for i in range(len(labels))]
    y = columns_y = _EDGE + _ROW
    parts = []
    for name in PARTS:
        rows = [row for row in content["behaviors"] if row["part"] == name]
        if rows:
            parts.append(_part(name, rows, labels, y + _ROW))
            y += _ROW * (1 + len(rows))
    y += _ROW + 4
    width = _COLUMNS + len(labels) * (_CELL + _GAP) + _EDGE
    return render(
        "user_tf.reporting",
        "attention.svg.jinja",
        colors=_COLORS,
        left=_LEFT,
        columns=[
            {"x": start, "middle": start + _CELL / 2, "label": _cut(label, 20)}
            for start, label in zip(starts, labels, strict=True)
        ],
        columns_y=columns_y,
        cell_width=_CELL,
        row_height=_ROW,
        parts=parts,
        line_y=y - _ROW,
        target=_cut(_target_text(content["target"]), int((width - 2 * _EDGE) / _BOLD)),
        full_target=_target_text(content["target"]),
        target_y=y,
        width=width,
        height=y + _EDGE,
    )


def _part(
    name: str, rows: Sequence[Mapping[str, Any]], labels: Sequence[str], y: int
) -> dict[str, Any]:
    """Lay out a part of the behaviors, whose heading is at `y`."""
    relative = [shares(rows, label) for label in labels]
    return {
        "name": name,
        "y": y,
        "totals": [
            f"sum {sum(row['weights'][label] or 0 for row in rows):.0%}" for label in labels
        ],
        "rows": [
            {
                "y": y + _ROW * number,
                "order": row["order"],
                "type": row["type"],
                "full": _full_text(row),
                "text": _cut(_full_text(row), _LETTERS),
                "cells": [
                    None
                    if share is None
                    else {"share": share, "weight": f"{100 * row['weights'][label]:.1f} %"}
                    for label, share in zip(labels, cells, strict=True)
                ],
            }
            for number, (row, *cells) in enumerate(zip(rows, *relative, strict=True), start=1)
        ],
    }


def _full_text(row: Mapping[str, Any]) -> str:
    """Return the text of a behavior; of a search with the titles clicked under it."""
    clicked = "".join(f" → {title}" for title in row["clicked"])
    return (row["text"] or "(no words)") + clicked


def _target_text(target: Mapping[str, Any]) -> str:
    request = f"search “{target['query']}”" if target["task"] == "search" else "recommendation"
    opened = "; ".join(target["opened"])
    return f"target: {request}, {target['time']}" + (f", opened: {opened}" if opened else "")


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
