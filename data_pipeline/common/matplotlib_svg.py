"""Matplotlib figures as SVG elements of a page; Matplotlib is imported only when needed."""

import io
import re
from typing import Any

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d1f", "#555555")
"""Colors that color-blind readers can distinguish (Okabe and Ito)."""
INK, FAINT, GRAY, LIGHT_BLUE = "#1f2328", "#d0d7de", "#c9ced4", "#9ecae1"
"""Colors of text, of lines, and of bars in the background."""
DARK_MODE = {
    INK: "#e6edf3",
    FAINT: "#444c56",
    GRAY: "#768390",
    LIGHT_BLUE: "#3b6d8c",
    COLORS[-1]: "#b1bac4",
}
"""Colors that a page replaces if its reader prefers dark pages."""


def import_matplotlib(command: str) -> Any:
    """Return the module `matplotlib`; figures are drawn without a window.

    Args:
        command: Command that draws, for the message.

    Raises:
        ModuleNotFoundError: Matplotlib is not installed; the message names the extra.
    """
    try:
        import matplotlib
        import matplotlib.figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"`matplotlib` must be installed for {command}. Got {str(error)!r}. "
            "Fix: pip install '.[evidence]'."
        ) from error
    return matplotlib


def style_axes(axes: Any, grid: str) -> None:
    """Give axes small labels, a faint grid along `grid` (x, y, both) and no box."""
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(axis=grid, color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)


def to_svg(matplotlib: Any, figure: Any, prefix: str) -> str:
    """Return the figure as an `<svg>` element with transparent ground, the same bytes every time.

    Args:
        matplotlib: Result of `import_matplotlib`.
        figure: Figure to draw.
        prefix: Begins every id, so that two drawings of a page share none.
    """
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # Letters stay text: the page's reader has fonts.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    text = buffer.getvalue()
    return re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{prefix}-", text[text.index("<svg") :])
