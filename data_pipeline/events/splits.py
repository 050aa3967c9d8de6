"""Splits of sessions by their start.

A history period (a share of the log's time span) has no targets. Later sessions with at least one
valid target are sorted by start and cut at the 4:1:1 quantiles; the start of a split's first session
is its boundary. A boundary is a time, so that sessions with equal starts stay together, and earlier
events are always input for later targets. A target belongs to the split of its session in the
unified log, in every scenario: no session and no window crosses a boundary.

A boundary may be given as a time, as of a published split. The sessions before or between the given
ones are cut by their parts. A target at a given boundary or later is of the later split, although its
session may begin before: nothing after the boundary is learned from.

A log may also say the split of single requests (column `split`). They keep it; a period then begins
with the first request of its split. Unlabeled requests are in no period.
"""

import dataclasses
import datetime

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import NO_SPLIT, Split
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import SplitSettings

HISTORY = -1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

CHOICES = (
    "The split of a target is that of its session in the unified log, by the session's start.",
    "The history period is a share of the time span of the unfiltered log's activities; sessions "
    "that start in it give no targets.",
    "Split quantiles run over the sessions after the history period with at least one valid "
    "target, before pseudo-negatives are drawn; sessions with equal starts stay together.",
    "A request whose split the log says keeps it; a period begins with the first request of its split.",
)


@dataclasses.dataclass(frozen=True)
class Boundaries:
    """Times (int64 microseconds) at which the splits begin; by parts, the start of a session."""

    train: int
    validation: int
    test: int


def boundaries(
    starts: Integers,
    earliest: int,
    latest: int,
    settings: SplitSettings,
    given: Boundaries | None = None,
    free: Integers | None = None,
) -> Boundaries:
    """Return the boundaries of the splits: those given, the others by parts.

    Args:
        starts: int64 [n], start of each session that holds a valid target.
        earliest, latest: First and last activity of the log.
        settings: History share and parts.
        given: Given boundaries, `NEVER` for the others. Default: those of the settings.
        free: int64 [m], the starts that parts are cut of. Default: `starts`.

    Raises:
        ValueError: A share, part or time is out of range, or no session is left to split.

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
    if not (starts >= train).any():
        raise ValueError(
            "`log` must hold at least one session with a target after the history period. Got "
            f"{len(starts)} sessions with targets, none of them after it. Fix: lower "
            "--split.history_share, or check the clicks of the log."
        )

    free = starts if free is None else free
    ordered = np.sort(free[free >= train])

    def boundary(starts: Integers, before: int, both: int) -> int:
        first = len(starts) * before // both if both else len(starts)
        return int(starts[first]) if first < len(starts) else NEVER

    given = given or find_given(settings)
    validation, test = given.validation, given.test
    if test == validation == NEVER:
        validation = boundary(ordered, parts[0], sum(parts))
        test = boundary(ordered, parts[0] + parts[1], sum(parts))
    elif validation == NEVER:
        earlier = ordered[ordered < test]
        validation = min(boundary(earlier, parts[0], parts[0] + parts[1]), test)
    elif test == NEVER:
        test = boundary(ordered[ordered >= validation], parts[1], parts[1] + parts[2])
    if not train <= validation <= test:
        raise ValueError(
            "`split.validation_begins` must be after the history period and at most "
            f"`split.test_begins`. Got {settings.validation_begins!r} and "
            f"{settings.test_begins!r}. Fix: correct the times, or lower --split.history_share."
        )
    return Boundaries(train, validation, test)


def find_given(settings: SplitSettings) -> Boundaries:
    """Return the boundaries that the settings give as times, `NEVER` for the others.

    Raises:
        ValueError: A time is not ISO 8601.

    Example:
        >>> find_given(SplitSettings(test_begins="1970-01-01T00:00:01")).test
        1000000
    """
    return Boundaries(
        -NEVER,
        _parse_time("validation_begins", settings.validation_begins),
        _parse_time("test_begins", settings.test_begins),
    )


def find_in_column(given_split: Integers, time: Integers, settings: SplitSettings) -> Boundaries:
    """Return the boundaries that the splits of single targets give: each period's first target.

    Args:
        given_split: int64 [targets], number of the `Split`, or `NO_SPLIT`.
        time: int64 [targets].
        settings: Must not give boundaries too.

    Raises:
        ValueError: The settings give a boundary too.

    Example:
        >>> find_in_column(np.array([0, 1, 1, -1]), np.array([5, 8, 7, 1]), SplitSettings()).validation
        7
    """
    for name in ("validation_begins", "test_begins"):
        if getattr(settings, name):
            raise ValueError(
                f"`split.{name}` must be empty for a log that says the split of its requests. Got "
                f"{getattr(settings, name)!r}. Fix: remove it, or set --nosplit.column."
            )
    validation, test = (
        int(time[given_split == split.number].min(initial=NEVER))
        for split in (Split.VALIDATION, Split.TEST)
    )
    return Boundaries(-NEVER, min(validation, test) if validation < NEVER else NEVER, test)


def _parse_time(name: str, text: str) -> int:
    """Return int64 microseconds since the epoch; a time without a zone is UTC."""
    if not text:
        return NEVER
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"`split.{name}` must be a time in ISO 8601. Got {text!r}. Fix: write it like "
            f"--split.{name}=2019-11-15 or 2019-11-15T12:00:00Z."
        ) from None
    zoned = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    return (zoned - _EPOCH) // datetime.timedelta(microseconds=1)


def assign_targets(
    starts: Integers, times: Integers, limits: Boundaries, given: Boundaries
) -> Integers:
    """Return the split of targets: of their session's start, or a later one by a given time.

    Args:
        starts: int64 [targets], start of the session of each target.
        times: int64 [targets], time of each target.
        limits: Boundaries of the splits.
        given: Those of them that were given as times, of `find_given`.

    Example:
        >>> limits = Boundaries(0, 20, 30)
        >>> assign_targets(np.array([15, 15]), np.array([16, 21]), limits, limits)
        array([0, 1])
        >>> assign_targets(np.array([15]), np.array([21]), limits, Boundaries(-NEVER, NEVER, NEVER))
        array([0])
    """
    # A given test period ends what comes before it, also where validation is cut by parts.
    ordered = dataclasses.replace(given, validation=min(given.validation, given.test))
    return np.maximum(assign(starts, limits), assign(times, ordered))


def keep_given(split: Integers, given_split: Integers, settings: SplitSettings) -> Integers:
    """Return the split of targets: that which the log says, otherwise by time.

    Args:
        split: int64 [targets], the split by time.
        given_split: int64 [targets], number of the `Split`, or `NO_SPLIT`.
        settings: Whether the column is followed; unlabeled targets always stay so.
    """
    kept = is_followed(given_split, settings) | (given_split == Split.UNLABELED.number)
    return np.where(kept, given_split, split)


def is_followed(given_split: Integers, settings: SplitSettings) -> npt.NDArray[np.bool_]:
    """Return which targets have a labeled split that the log says: bool [targets]."""
    given = (given_split != NO_SPLIT) & (given_split != Split.UNLABELED.number)
    return given & settings.column


def assign(starts: Integers, limits: Boundaries) -> Integers:
    """Return the split of sessions by start: number of the `Split`, `HISTORY` before training.

    Example:
        >>> assign(np.array([5, 10, 20, 30]), Boundaries(train=10, validation=20, test=30))
        array([-1,  0,  1,  2])
    """
    edges = np.array([limits.train, limits.validation, limits.test])
    return np.searchsorted(edges, starts, side="right").astype(np.int64) - 1
