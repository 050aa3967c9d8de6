"""Figures of a dataset's page as SVG elements."""

from collections.abc import Mapping, Sequence

from data_pipeline.common.matplotlib_svg import (
    COLORS,
    GRAY,
    INK,
    import_matplotlib,
    style_axes,
    to_svg,
)
from data_pipeline.description.histograms import KINDS

COMMAND = "data_pipeline.describe"
_SEARCH, _BROWSE, _BOTH, _END = *COLORS[:3], GRAY
_OF_TASK = {"search": _SEARCH, "recommendation": _BROWSE}
# Narrower parts of a bar are too small for their percentage.
_MIN_LABELED = 0.04
# On a bar, text has the same color in light and dark mode.
_ON_DARK, _ON_LIGHT = "#ffffff", "#000000"


def session_lengths(bins: Sequence[str], counts: Mapping[str, Sequence[int]]) -> str:
    """Draw stacked bars: sessions by length and kind.

    Args:
        bins: Names of the bars.
        counts: Sessions of each bar, by kind (`KINDS`).
    """
    matplotlib = import_matplotlib(COMMAND)
    figure = matplotlib.figure.Figure(figsize=(7.4, 3.0), layout="constrained")
    axes = figure.subplots()
    positions, below = range(len(bins)), [0] * len(bins)
    for kind, color in zip(KINDS, (_SEARCH, _BROWSE, _BOTH), strict=True):
        axes.bar(positions, counts[kind], bottom=below, color=color, label=kind, width=0.8)
        below = [low + count for low, count in zip(below, counts[kind], strict=True)]
    axes.set_xticks(positions, bins)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("behaviors of a session", fontsize=8)
    axes.set_ylabel("sessions", fontsize=8)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    style_axes(axes, "y")
    return to_svg(matplotlib, figure, "sessions")


def transitions(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Draw a bar for each predecessor of a behavior, divided by what follows it.

    Args:
        shares: Shares of a search, a browse and the end in this order, by predecessor.
    """
    matplotlib = import_matplotlib(COMMAND)
    height = 0.8 + 0.42 * len(shares)
    figure = matplotlib.figure.Figure(figsize=(7.4, height), layout="constrained")
    axes = figure.subplots()
    for row, (before, parts) in enumerate(shares.items()):
        left = 0.0
        for (after, share), color in zip(parts.items(), (_SEARCH, _BROWSE, _END), strict=True):
            name = after if row == 0 else None
            axes.barh(before, share, left=left, color=color, height=0.7, label=name)
            if share >= _MIN_LABELED:
                ink = _ON_DARK if color == _SEARCH else _ON_LIGHT
                middle = left + share / 2
                axes.text(
                    middle, row, f"{share:.0%}", ha="center", va="center", fontsize=8, color=ink
                )
            left += share
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.legend(loc="outside upper center", ncols=3, fontsize=8, frameon=False, labelcolor=INK)
    style_axes(axes, "x")
    axes.tick_params(axis="y", length=0)
    return to_svg(matplotlib, figure, "transitions")


def history_lengths(bins: Sequence[str], shares: Mapping[str, Sequence[float]]) -> str:
    """Draw grouped bars: shares of each task's targets by the length of their history.

    Args:
        bins: Names of the bars.
        shares: Shares of the targets of each bar, by task.
    """
    matplotlib = import_matplotlib(COMMAND)
    figure = matplotlib.figure.Figure(figsize=(7.4, 3.0), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(shares)
    for number, (task, share) in enumerate(shares.items()):
        positions = [bar - 0.4 + width * (number + 0.5) for bar in range(len(bins))]
        axes.bar(positions, share, width=width, color=_OF_TASK[task], label=f"{task} targets")
    axes.set_xticks(range(len(bins)), bins)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("behaviors of the user known before the target", fontsize=8)
    axes.set_ylabel("targets of the task", fontsize=8)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    style_axes(axes, "y")
    return to_svg(matplotlib, figure, "histories")
