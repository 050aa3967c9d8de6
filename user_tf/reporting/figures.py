"""Figures of a report as SVG: bars with intervals, training curves."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from data_pipeline.common.matplotlib_svg import (
    COLORS,
    GRAY,
    INK,
    LIGHT_BLUE,
    import_matplotlib,
    style_axes,
    to_svg,
)

COMMAND = "user_tf.report"
_LINES = ("-", "--", ":", "-.")
_KINDS = {"reference": COLORS[0], "system": LIGHT_BLUE, "unlearned": GRAY, "best": "none"}


class Bar(NamedTuple):
    """One bar: its name, length, interval, and its kind, a name of `_KINDS`."""

    name: str
    value: float
    interval: tuple[float, float]
    kind: str


class Curve(NamedTuple):
    """One run of a system: points (step, value)."""

    name: str
    points: Sequence[tuple[float, float]]


def bars(panels: Mapping[str, Sequence[Bar]], axis: str) -> str:
    """Draw panels of horizontal bars with intervals, two in a row, as an `<svg>` element.

    Args:
        panels: Bars by title, from the top down.
        axis: Name of the metric.
    """
    matplotlib = import_matplotlib(COMMAND)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    longest = max(len(panel) for panel in panels.values())
    size = (5.6 * columns, rows * (0.27 * longest + 0.9))
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, (title, panel) in zip(axes, panels.items(), strict=False):
        names = [bar.name for bar in panel]
        low = [max(0.0, bar.value - bar.interval[0]) for bar in panel]
        high = [max(0.0, bar.interval[1] - bar.value) for bar in panel]
        place.barh(
            range(len(panel)),
            [bar.value for bar in panel],
            xerr=[low, high],
            color=[_KINDS[bar.kind] for bar in panel],
            edgecolor=["#57606a" if bar.kind == "best" else "none" for bar in panel],
            height=0.72,
            error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2},
        )
        end = max(bar.interval[1] for bar in panel)
        for height, bar in enumerate(panel):
            where = max(bar.value, bar.interval[1]) + 0.015 * end
            text = f"{bar.value:.3f}".removeprefix("0")
            place.text(where, height, text, va="center", fontsize=8, color=INK)
        place.set_yticks(range(len(panel)), names, fontsize=8)
        place.invert_yaxis()
        place.set_xlim(0, 1.13 * end)
        place.set_xlabel(axis, fontsize=8)
        place.set_title(title, fontsize=9, loc="left", color=INK)
        style_axes(place, "x")
        place.tick_params(axis="y", length=0)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    return to_svg(matplotlib, figure, "bars")


def curves(panels: Mapping[str, Sequence[Curve]], axes: tuple[str, str]) -> str:
    """Draw panels of lines, one per run; the runs of a system look alike, as an `<svg>` element.

    Args:
        panels: Curves by title.
        axes: Names of the two axes.
    """
    matplotlib = import_matplotlib(COMMAND)
    names = list(dict.fromkeys(curve.name for panel in panels.values() for curve in panel))
    looks = {
        name: {"color": COLORS[i % len(COLORS)], "linestyle": _LINES[i // len(COLORS) % 4]}
        for i, name in enumerate(names)
    }
    height = 3.0 + 0.17 * -(-len(names) // 5)
    figure = matplotlib.figure.Figure(figsize=(3.7 * len(panels), height), layout="constrained")
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    drawn: dict[str, Any] = {}
    for place, (title, panel) in zip(places, panels.items(), strict=True):
        for curve in panel:
            x, y = zip(*curve.points, strict=True)
            (line,) = place.plot(x, y, marker="o", markersize=3, linewidth=1.3, **looks[curve.name])
            drawn.setdefault(curve.name, line)
        place.set_xlabel(axes[0], fontsize=8)
        place.set_xlim(left=0)
        place.set_title(title, fontsize=9, loc="left", color=INK)
        style_axes(place, "both")
    places[0].set_ylabel(axes[1], fontsize=8)
    figure.legend(
        drawn.values(),
        drawn,
        loc="outside lower center",
        ncols=5,
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
    return to_svg(matplotlib, figure, "curves")
