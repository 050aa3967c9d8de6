"""Figure 5: the attention of a target over the user's earlier behaviors, as SVG, page and JSON."""

import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from data_pipeline.description.html_page import page
from data_pipeline.description.svg import INK
from user_tf.run_folder import write_json

PARTS = ("past sessions", "current session")
# Sizes in pixels.
_ROW, _ORDER, _TYPE, _TEXT, _CELL, _GAP, _EDGE = 22, 34, 62, 430, 120, 8, 12
# Letters of the width of a text; longer ones are cut.
_LETTERS = 60
_SHADE, _PALE = "#0b4f8a", "#57606a"
NOTE = (
    "The darker a cell, the larger the weight among those of the same run and part; beside a part, "
    "the sum of its weights. A model with an encoder for each part has two sums of 100 %. A dash: "
    "the run's view of the data does not hold the behavior."
)


def write(folder: pathlib.Path, content: Mapping[str, Any], command: str) -> list[pathlib.Path]:
    """Writes attention.svg, attention.html and attention.json.

    Args:
        folder: Made if it does not exist.
        content: Result of `user_tf.explain.explain`.
        command: Command line, written into JSON and page.

    Returns:
        The files.
    """
    written = [folder / f"attention.{ending}" for ending in ("svg", "html", "json")]
    drawing = draw(content)
    write_json(written[2], {"command": command, **content})
    written[0].write_text(drawing + "\n", encoding="utf-8")
    title = f"Attention of target {content['target']['target_id']}"
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f'<div class="wide">{drawing}</div>',
        f"<p>{html.escape(NOTE)}</p>",
        f"<footer>{html.escape(command)}</footer>",
    ]
    written[1].write_text(page(title, "\n".join(body)), encoding="utf-8")
    return written


def shares(rows: Sequence[Mapping[str, Any]], label: str) -> list[float | None]:
    """Weights of a run relative to its largest one, for shading.

    Example:
        >>> shares([{"weights": {"user": weight}} for weight in (0.1, 0.4, None)], "user")
        [0.25, 1.0, None]
    """
    weights = [row["weights"][label] for row in rows]
    largest = max((weight for weight in weights if weight is not None), default=0.0)
    return [None if weight is None else weight / largest if largest else 0.0 for weight in weights]


def draw(content: Mapping[str, Any]) -> str:
    """The `<svg>` element: a row a behavior, oldest first, and a column a run."""
    labels = [run["label"] for run in content["runs"]]
    left = _EDGE + _ORDER + _TYPE + _TEXT
    width = left + len(labels) * (_CELL + _GAP) + _EDGE
    columns = [left + i * (_CELL + _GAP) for i in range(len(labels))]
    parts: list[str] = []
    y = _EDGE + _ROW

    def text(x: float, line: str, **more: str) -> None:
        style = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
        parts.append(f'<text x="{x}" y="{y - 6}"{style}>{html.escape(line)}</text>')

    for column, label in zip(columns, labels, strict=True):
        text(column + _CELL / 2, _cut(label, 20), text_anchor="middle", font_weight="bold")
    for part in PARTS:
        rows = [row for row in content["behaviors"] if row["part"] == part]
        if not rows:
            continue
        y += _ROW
        text(_EDGE, part, fill=_PALE, font_style="italic")
        for column, label in zip(columns, labels, strict=True):
            total = sum(row["weights"][label] or 0 for row in rows)
            text(column + _CELL / 2, f"sum {total:.0%}", fill=_PALE, text_anchor="middle")
        dark = {label: shares(rows, label) for label in labels}
        for place, row in enumerate(rows):
            y += _ROW
            whole = _whole(row)
            parts.append(f"<g><title>{html.escape(whole)}</title>")
            text(_EDGE + _ORDER - 10, str(row["order"]), text_anchor="end", fill=_PALE)
            text(_EDGE + _ORDER, row["type"])
            text(_EDGE + _ORDER + _TYPE, _cut(whole, _LETTERS))
            parts.append("</g>")
            for column, label in zip(columns, labels, strict=True):
                share = dark[label][place]
                if share is None:
                    text(column + _CELL / 2, "–", text_anchor="middle", fill=_PALE)
                    continue
                parts.append(
                    f'<rect x="{column}" y="{y - _ROW + 1}" width="{_CELL}" height="{_ROW - 2}" '
                    f'fill="{_SHADE}" fill-opacity="{0.95 * share:.3f}"/>'
                )
                ink = "#ffffff" if share > 0.65 else INK
                weight = f"{100 * row['weights'][label]:.1f} %"
                text(column + _CELL / 2, weight, text_anchor="middle", fill=ink)
    y += _ROW + 4
    parts.append(
        f'<line x1="{_EDGE}" x2="{width - _EDGE}" y1="{y - _ROW}" y2="{y - _ROW}" stroke="{_PALE}"/>'
    )
    text(_EDGE, _cut(_described(content["target"]), 120), font_weight="bold")
    height = y + _EDGE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="12" fill="{INK}" '
        f'role="img">\n<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>"
    )


def _whole(row: Mapping[str, Any]) -> str:
    """Text of a behavior; of a search with the titles clicked under it."""
    clicked = "".join(f" → {title}" for title in row["clicked"])
    return (row["text"] or "(no words)") + clicked


def _described(target: Mapping[str, Any]) -> str:
    what = f"search “{target['query']}”" if target["task"] == "search" else "recommendation"
    opened = "; ".join(target["opened"])
    return f"target: {what}, {target['time']}" + (f", opened: {opened}" if opened else "")


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
