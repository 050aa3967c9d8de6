"""Session cuts, and the choices about when each fact becomes known.

Every fact has `known_at`, and a target at time t sees it if and only if t > known_at (`as_of`).
The log leaves a few things open; they are decided in `CHOICES`:

* Activities cut sessions: requests of both kinds, browses, and recommendation clicks with a time.
  A gap of more than `session_minutes` between two activities of a user begins a new session. The
  scenarios `search` (USER-S) and `recommendation` (USER-R) are cut again on the activities of their
  own task.
* Every scenario sees a fact at the same time: `known_at` comes from the sessions of the unified log.
* Missing time information never makes a fact visible early: a click without click_time is known
  from the start of the user's next session on, and never if there is none.
"""

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import MINUTE, SECOND, BehaviorType
from data_pipeline.common.sorted_arrays import run_starts, searchsorted_fast, sorted_unique
from data_pipeline.events.as_of import NEVER, TimeRanks
from data_pipeline.settings import SequenceSettings

Mask = npt.NDArray[np.bool_]

FILTER_NEIGHBORS = 3
"""Sessions kept on each side of one with both kinds of behavior, as in the paper."""


CHOICES = (
    "Sessions are cut on the user's activities: requests of both kinds, browses and "
    "recommendation clicks with a time; the search and recommendation scenarios are cut again on "
    "the activities of their own task.",
    "The time from which a fact is known is taken from the sessions of the unified, unfiltered "
    "log and is the same in every scenario.",
    "A click without click_time is known from the start of the user's next session on, and never "
    "if there is no next session.",
    "A click whose click_time is before its request counts as made at the request's time.",
    "Every click of a recommendation is a browse behavior, short ones included; a search has its "
    "satisfied clicks only.",
    "The session filter counts sessions that hold at least one behavior; popularity and relevance "
    "features keep using the unfiltered log.",
)


def click_delay(settings: SequenceSettings) -> int:
    """Return the microseconds from a click to the time its satisfaction is known.

    Example:
        >>> click_delay(SequenceSettings()), click_delay(SequenceSettings(relevance="click"))
        (30000000, 0)
    """
    if settings.relevance == "click":
        return 0
    return round(settings.satisfied_seconds * SECOND)


def cut(user: Integers, time: Integers, settings: SequenceSettings) -> Integers:
    """Return the session of each activity: int64 [n], numbered from 1 on.

    A gap of exactly `session_minutes` does not end a session, a longer one does.

    Args:
        user, time: int64 [n], in this order.

    Example:
        >>> from data_pipeline.common.codes import MINUTE
        >>> cut(np.array([1, 1, 1, 2]), np.array([0, 30, 61, 61]) * MINUTE, SequenceSettings())
        array([1, 1, 2, 3])
    """
    gap = round(settings.session_minutes * MINUTE)
    begins = np.ones(len(user), np.int64)
    begins[1:] = (user[1:] != user[:-1]) | (np.diff(time) > gap)
    return np.cumsum(begins)


def number_activities(*pairs: tuple[Integers, Integers]) -> tuple[Columns, list[Integers]]:
    """Return the distinct (user, time) pairs in their order, and the row of each given pair.

    Args:
        pairs: user and time, int64 [n] each, once for each kind of activity.

    Returns:
        (columns user, time; int64 [n] row of each pair, for every kind).

    Example:
        >>> anna, both = (np.array([2]), np.array([5])), (np.array([2, 1]), np.array([5, 9]))
        >>> activities, rows = number_activities(both, anna)
        >>> activities["user"].tolist(), activities["time"].tolist()
        ([1, 2], [9, 5])
        >>> [row.tolist() for row in rows]
        [[1, 0], [1]]
    """
    time_ranks = TimeRanks(*(time for _, time in pairs))
    keys = [user * time_ranks.size + time_ranks.rank(time) for user, time in pairs]
    ordered = sorted_unique(np.concatenate(keys))
    activities = {
        "user": ordered // time_ranks.size,
        "time": time_ranks.times[ordered % time_ranks.size],
    }
    return activities, [searchsorted_fast(ordered, key) for key in keys]


def find_spans(activities: Columns, session: Integers) -> Columns:
    """Return user, start, end and next_start of each session.

    Args:
        activities: user, time, in this order.
        session: int64 [activities], of `cut`.
    """
    edges = run_starts(session)
    first, last = edges[:-1], edges[1:] - 1
    user, start = activities["user"][first], activities["time"][first]
    following = np.append(start[1:], NEVER)[: len(start)]
    same = np.append(user[1:] == user[:-1], False)[: len(start)]
    return {
        "user": user,
        "start": start,
        "end": activities["time"][last],
        "next_start": np.where(same, following, NEVER),
    }


def mark_sessions(user: Integers, behaviors: Columns, settings: SequenceSettings) -> Columns:
    """Return has_both and kept (passes the filter) of each session, 0/1.

    Args:
        user: int64 [sessions].
        behaviors: type, session of all behaviors.
        settings: The session filter.
    """
    holds = np.zeros((2, len(user)), bool)
    for row, kind in zip(holds, (BehaviorType.BROWSE, BehaviorType.SEARCH), strict=True):
        row[behaviors["session"][behaviors["type"] == kind] - 1] = True
    both: Mask = holds[0] & holds[1]
    kept = np.ones(len(user), bool)
    if settings.filter_sessions:
        held = np.flatnonzero(holds[0] | holds[1])
        near, owner = both[held], user[held]
        most = int(np.diff(run_starts(owner)).max(initial=1)) - 1
        for distance in range(1, min(FILTER_NEIGHBORS, most) + 1):
            same = owner[distance:] == owner[:-distance]
            near[distance:] |= same & both[held[:-distance]]
            near[:-distance] |= same & both[held[distance:]]
        kept[:] = False
        kept[held] = near
    return {"has_both": both.astype(np.int64), "kept": kept.astype(np.int64)}
