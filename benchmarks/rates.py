"""Summaries of repeated measurements."""

import statistics
from collections.abc import Sequence
from typing import Any


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return median, least and most with all values.

    Example:
        >>> summary([3.0, 1.0, 2.0])
        {'median': 2.0, 'least': 1.0, 'most': 3.0, 'rounds': [3.0, 1.0, 2.0]}
    """
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "rounds": list(values),
    }
