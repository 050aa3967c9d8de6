"""The form of numbers in reports: means, spreads, changes, p-values, significance."""

from collections.abc import Mapping
from typing import Any

from user_tf.evaluation.metrics import LOWER_IS_BETTER

BETTER, WORSE, LEVEL = "▲", "▼", 0.05


def percent(value: float, digits: int = 1) -> str:
    """Write a relative change.

    Example:
        >>> percent(3.456), percent(-0.5, 2)
        ('+3.5 %', '-0.50 %')
    """
    return f"{value:+.{digits}f} %"


def short(value: float, digits: int = 4) -> str:
    """Write a number without the 0 before its point.

    Example:
        >>> short(0.68451), short(3.4789), short(1.0)
        ('.6845', '3.4789', '1.0000')
    """
    return f"{value:.{digits}f}".removeprefix("0")


def value(key: str, number: Mapping[str, Any]) -> str:
    """Write mean and spread of a metric, with the mark of a significant difference.

    Example:
        >>> value("map", {"mean": 0.6, "std": 0.01, "difference": 0.1, "holm": 0.001})
        '▲ .6000 ± .0100'
    """
    text = spread(number, 3 if key == LOWER_IS_BETTER else 4)
    # In front, so that the digits of a column stay below each other.
    return f"{mark(key, number)} {text}".lstrip()


def spread(number: Mapping[str, Any], digits: int = 4) -> str:
    """Write the mean over runs, with the standard deviation where runs differ.

    Of the heuristics only the random ones differ between runs.

    Example:
        >>> spread({"mean": 0.5, "std": 0.0125}), spread({"mean": 0.5, "std": None})
        ('.5000 ± .0125', '.5000')
    """
    text = short(number["mean"], digits)
    return text + (f" ± {short(number['std'], digits)}" if number["std"] else "")


def mark(key: str, number: Mapping[str, Any]) -> str:
    """Return the mark of a difference that is significant after Holm's correction, or nothing."""
    if number.get("holm") is None or number["holm"] >= LEVEL:
        return ""
    return BETTER if (number["difference"] > 0) != (key == LOWER_IS_BETTER) else WORSE


def p_value(value: float | None) -> str:
    """Write a p-value of a test; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
