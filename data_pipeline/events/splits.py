"""Splits of sessions by their start.

A history period (a share of the log's time span) has no targets. Later sessions with at least one
valid target are sorted by start and cut at the 4:1:1 quantiles; the start of a split's first session
is its boundary. A boundary is a time, so that sessions with equal starts stay together, and earlier
events are always input for later targets. A target belongs to the split of its session in the
unified log, in every scenario: no session and no window crosses a boundary.
"""

import dataclasses

import numpy as np

from data_pipeline.common.array_types import Integers
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import SplitSettings

HISTORY = -1

CHOICES = (
    "The split of a target is that of its session in the unified log, by the session's start.",
    "The history period is a share of the time span of the unfiltered log's activities; sessions "
    "that start in it give no targets.",
    "Split quantiles run over the sessions after the history period with at least one valid "
    "target, before pseudo-negatives are drawn; sessions with equal starts stay together.",
)


@dataclasses.dataclass(frozen=True)
class Boundaries:
    """Session starts (int64 microseconds) at which the splits begin."""

    train: int
    validation: int
    test: int


def boundaries(starts: Integers, earliest: int, latest: int, settings: SplitSettings) -> Boundaries:
    """Return the boundaries of the splits.

    Args:
        starts: int64 [n], start of each session that holds a valid target.
        earliest, latest: First and last activity of the log.
        settings: History share and parts.

    Raises:
        ValueError: A share or part is out of range, or no session is left to split.

    Example:
        >>> boundaries(np.arange(12) * 10, 0, 110, SplitSettings())
        Boundaries(train=0, validation=80, test=100)
    """
    share = settings.history_share
    if not 0.0 <= share < 1.0:
        raise ValueError(
            f"`split.history_share` must be in [0, 1). Got {share}. Fix: set --split.history_share "
            "to the share of the time that is history only."
        )
    parts = (settings.train_parts, settings.validation_parts, settings.test_parts)
    if min(parts) < 0 or parts[0] < 1:
        raise ValueError(
            "`split.train_parts` must be at least 1, the other parts at least 0. Got train, "
            f"validation, test = {parts}. Fix: set --split.train_parts=4 "
            "--split.validation_parts=1 --split.test_parts=1, or other parts."
        )
    train = earliest + round((latest - earliest) * share)
    ordered = np.sort(starts[starts >= train])
    if not len(ordered):
        raise ValueError(
            "`log` must hold at least one session with a target after the history period. Got "
            f"{len(starts)} sessions with targets, none of them after it. Fix: lower "
            "--split.history_share, or check the clicks of the log."
        )

    def boundary(before: int) -> int:
        first = len(ordered) * before // sum(parts)
        return int(ordered[first]) if first < len(ordered) else NEVER

    return Boundaries(train, boundary(parts[0]), boundary(parts[0] + parts[1]))


def assign(starts: Integers, limits: Boundaries) -> Integers:
    """Return the split of sessions by start: number of the `Split`, `HISTORY` before training.

    Example:
        >>> assign(np.array([5, 10, 20, 30]), Boundaries(train=10, validation=20, test=30))
        array([-1,  0,  1,  2])
    """
    edges = np.array([limits.train, limits.validation, limits.test])
    return np.searchsorted(edges, starts, side="right").astype(np.int64) - 1
