"""Where a session ends, and when each fact becomes known.

Every fact carries `known_after`: a target at time t may see it if and only if t > known_after, so
equal timestamps do not see each other. What DESIGN leaves open is settled here (`CHOICES`):

* Activities cut sessions: requests of both kinds, browses, and recommendation clicks with a time.
  A gap of more than `session_minutes` between two of a user begins a new session. The views
  `search` (USER-S) and `recommendation` (USER-R) are cut again on their own task's activities.
* Views see facts at the same time: `known_after` comes from the sessions of the unified log, of
  which the sessions of a view are parts.
* A click or browse without time information is never a reason to see it early: a click without
  click_time is known from the start of the user's next session on, and never where there is none.
"""

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import MINUTE, BehaviorType
from data_pipeline.common.sorted_arrays import run_starts, searchsorted_fast, sorted_unique
from data_pipeline.events.as_of import NEVER, TimeRanks
from data_pipeline.settings import SequenceSettings

Mask = npt.NDArray[np.bool_]


CHOICES = (
    "Sessions are cut on the user's activities: requests of both kinds, browses and "
    "recommendation clicks with a time; the search and recommendation views are cut again on "
    "their own task's activities.",
    "The time from which a fact is known is taken from the sessions of the unified, unfiltered "
    "log and is the same in every view.",
    "A click without click_time is known from the start of the user's next session on, and never "
    "where there is no next session.",
    "A click whose click_time lies before its request counts as made at the request's time.",
    "Every click of a recommendation is a browse behavior, short ones included; a search holds "
    "its satisfied clicks only.",
    "The session filter counts sessions that hold at least one behavior; popularity and relevance "
    "features keep using the unfiltered log.",
)


def cut(user: Integers, time: Integers, settings: SequenceSettings) -> Integers:
    """Session of each moment: int64 [n], numbered from 1 on.

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


def number_visits(*moments: tuple[Integers, Integers]) -> tuple[Columns, list[Integers]]:
    """The distinct moments of users, in their order, and where each stands.

    Args:
        moments: Pairs of user and time, int64 [n] each.

    Returns:
        (user, time; int64 [n] row of each moment, for every pair).

    Example:
        >>> anna, both = (np.array([2]), np.array([5])), (np.array([2, 1]), np.array([5, 9]))
        >>> visits, rows = number_visits(both, anna)
        >>> visits["user"].tolist(), visits["time"].tolist(), [row.tolist() for row in rows]
        ([1, 2], [9, 5], [[1, 0], [1]])
    """
    clock = TimeRanks(*(time for _, time in moments))
    keys = [user * clock.size + clock.rank(time) for user, time in moments]
    ordered = sorted_unique(np.concatenate(keys))
    visits = {"user": ordered // clock.size, "time": clock.times[ordered % clock.size]}
    return visits, [searchsorted_fast(ordered, key) for key in keys]


def spans(visits: Columns, session: Integers) -> Columns:
    """user, start, end and next_start of each session.

    Args:
        visits: user, time, in this order.
        session: int64 [visits], of `cut`.
    """
    edges = run_starts(session)
    first, last = edges[:-1], edges[1:] - 1
    user, start = visits["user"][first], visits["time"][first]
    following = np.append(start[1:], NEVER)[: len(start)]
    same = np.append(user[1:] == user[:-1], False)[: len(start)]
    return {
        "user": user,
        "start": start,
        "end": visits["time"][last],
        "next_start": np.where(same, following, NEVER),
    }


def marks(user: Integers, behaviors: Columns, settings: SequenceSettings) -> Columns:
    """has_both and kept of each session: near enough to one with both kinds of behavior.

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
        for distance in range(1, min(settings.filter_neighbors, most) + 1):
            same = owner[distance:] == owner[:-distance]
            near[distance:] |= same & both[held[:-distance]]
            near[:-distance] |= same & both[held[distance:]]
        kept[:] = False
        kept[held] = near
    return {"has_both": both.astype(np.int64), "kept": kept.astype(np.int64)}
