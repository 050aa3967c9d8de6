"""Drawings as SVG inside a page: Matplotlib asked for when needed, axes dressed alike."""

import io
import re
from typing import Any

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c6d1f", "#555555")
"""Colours that stay apart for colour-blind readers (Okabe and Ito)."""
INK, FAINT = "#1f2328", "#d0d7de"


def import_matplotlib(command: str) -> Any:
    """The module `matplotlib`, which is asked for in no window.

    Args:
        command: Module that draws, for the message.

    Raises:
        ModuleNotFoundError: It is not installed; the extra that holds it is named.
    """
    try:
        import matplotlib
        import matplotlib.figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{command} should find the package matplotlib. Received: {error}. Install the extra "
            "that holds it: pip install '.[evidence]'."
        ) from error
    return matplotlib


def dress(axes: Any, grid: str) -> None:
    """Gives axes small labels, a faint grid along `grid` (x, y, both) and no box."""
    axes.tick_params(labelsize=8, color=FAINT, labelcolor=INK)
    axes.grid(axis=grid, color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)


def to_svg(matplotlib: Any, figure: Any, prefix: str) -> str:
    """The figure as an element without prologue and metadata, the same bytes every time.

    Args:
        matplotlib: Result of `import_matplotlib`.
        figure: What to draw.
        prefix: Begins every id, so that drawings of one page do not share any.
    """
    buffer = io.StringIO()
    # Letters stay text: the page's reader has fonts.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r'(\bid="|"#|url\(#)', rf"\g<1>{prefix}-", text)
