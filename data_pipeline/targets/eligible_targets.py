"""What could be a target: every request, every browse of a log without lists, and why some are none.

A search is a target of task 2, a recommendation one of task 1. Relevant = satisfied click. What
DESIGN leaves open is settled in `data_pipeline.targets.candidate_lists.CHOICES`.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Task
from data_pipeline.common.sorted_arrays import Pairs
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.user_events import UserEvents

Mask = npt.NDArray[np.bool_]


LEFT_OUT = (
    "filtered_session",
    "history_period",
    "not_satisfied",
    "no_candidates",
    "nothing_relevant",
    "no_negative",
    "no_pseudo_negative",
)
"""Reasons for which a request or browse is no target; the first that holds is the one counted."""

LeftOut = dict[str, dict[str, int]]
"""Counts by task and reason."""


@dataclasses.dataclass(frozen=True)
class Possible:
    """What could be ranked for: requests, and browses of a log without lists.

    Attributes:
        rows: int64 columns of those that may be a target: user, time, visit, session, start (of the
            session), has_both, task, request, doc (0 for a request), query, candidates. Total
            order: user, time, request, doc.
        left_out: The others, counted by task and reason (before splits and pseudo-negatives).
        lists: Whether recommendation lists are logged.
    """

    rows: Columns
    left_out: LeftOut
    lists: bool


def find_possible(sequence: UserEvents, bare: Integers) -> Possible:
    """Finds what could be ranked for, and why some of it is not.

    Args:
        sequence: What users did.
        bare: int64 [n], requests that show nothing.
    """
    lists = bool((sequence.requests["query"] == 0).any())
    rows, rules = _requests(sequence, bare)
    if not lists:
        browses, others = _browses(sequence)
        rows = {name: np.append(column, browses[name]) for name, column in rows.items()}
        rules = {name: np.append(broken, others[name]) for name, broken in rules.items()}
    session = rows["session"] - 1
    broken = [sequence.sessions["kept"][session] == 0, *rules.values()]
    numbers = [LEFT_OUT.index(name) for name in ("filtered_session", *rules)]
    reason = np.select(broken, numbers, -1)

    left_out = {}
    for task in Task:
        counts = np.bincount(reason[rows["task"] == task] + 1, minlength=len(LEFT_OUT) + 1)[1:]
        left_out[task.label] = dict(zip(LEFT_OUT, counts.tolist(), strict=True))
    valid = np.flatnonzero(reason < 0)
    if not lists:
        keys = (rows[name][valid] for name in ("doc", "request", "visit"))
        valid = valid[np.lexsort(tuple(keys))]
    rows = {name: column[valid] for name, column in rows.items()}
    about = {n: sequence.sessions[n][session[valid]] for n in ("start", "has_both")}
    return Possible(rows | about, left_out, lists)


def _requests(sequence: UserEvents, bare: Integers) -> tuple[Columns, dict[str, Mask]]:
    """Requests as rows of `Possible`, and which of them break a rule."""
    requests, clicks = sequence.requests, sequence.clicks
    size = len(requests["user"])
    liked = clicks["request"][clicks["satisfied"] == 1] - 1
    relevant = np.bincount(liked, minlength=size)
    # The length of a list without a click is never asked for.
    candidates = np.zeros(size, np.int64)
    candidates[clicks["request"] - 1] = clicks["candidates"]
    shows = np.ones(size, bool)
    shows[bare - 1] = False
    rows = {name: requests[name] for name in ("user", "time", "visit", "session", "query")}
    rows |= {
        "task": np.where(requests["query"] > 0, Task.SEARCH, Task.RECOMMENDATION),
        "request": np.arange(1, size + 1),
        "doc": np.zeros(size, np.int64),
        "candidates": candidates,
    }
    return rows, {
        "not_satisfied": np.zeros(size, bool),
        "no_candidates": ~shows,
        "nothing_relevant": relevant == 0,
        "no_negative": relevant == candidates,
    }


def _browses(sequence: UserEvents) -> tuple[Columns, dict[str, Mask]]:
    """Browses as rows of `Possible`, and which of them break a rule."""
    browses = sequence.browses
    zero = np.zeros_like(browses["doc"])
    rows = {name: browses[name] for name in ("user", "time", "visit", "session", "doc")}
    rows |= {"task": zero + Task.RECOMMENDATION, "query": zero, "request": zero}
    held = dict.fromkeys(("no_candidates", "nothing_relevant", "no_negative"), zero > 0)
    return rows | {"candidates": zero}, {"not_satisfied": browses["satisfied"] == 0, **held}


def starts_of_sessions(possible: Possible) -> Integers:
    """Start of every session that holds a possible target, int64 [sessions]."""
    _, first = np.unique(possible.rows["session"], return_index=True)
    return possible.rows["start"][first]


def valid_targets(possible: Possible, begin: int, sequence: UserEvents) -> tuple[Columns, LeftOut]:
    """The possible targets whose session starts at `begin` or later, and the others counted.

    Args:
        possible: `find_possible`.
        begin: End of the history period.
        sequence: What users did.

    Returns:
        (columns of `Possible.rows` in its order, with first_of_task and query_seen; counts by task
        and reason).
    """
    early = possible.rows["start"] < begin
    left_out = {task: dict(reasons) for task, reasons in possible.left_out.items()}
    for task in Task:
        left_out[task.label]["history_period"] = int((possible.rows["task"][early] == task).sum())
    rows = {name: column[~early] for name, column in possible.rows.items()}
    return rows | _firsts(rows, sequence, possible.lists), left_out


def _firsts(rows: Columns, sequence: UserEvents, lists: bool) -> Columns:
    """first_of_task and query_seen of targets, for which the whole log counts."""
    requests = sequence.requests
    searched = requests["query"] > 0
    user, visit = requests["user"], requests["visit"]
    users = int(max(user.max(initial=0), sequence.browses["user"].max(initial=0))) + 1
    search = _first_visits(user[searched], visit[searched], users)
    other = _first_visits(user[~searched], visit[~searched], users)
    if not lists:
        other = _first_visits(sequence.browses["user"], sequence.browses["visit"], users)
    first = np.where(rows["task"] == Task.SEARCH, search[rows["user"]], other[rows["user"]])

    pairs, number = Pairs.from_columns(user[searched], requests["query"][searched])
    asked = _first_visits(number, visit[searched], pairs.size + 1)
    earliest = asked[pairs.find(rows["user"], rows["query"])]
    return {
        "first_of_task": (rows["visit"] == first).astype(np.int64),
        "query_seen": (earliest < rows["visit"]).astype(np.int64),
    }


def _first_visits(owner: Integers, visit: Integers, size: int) -> Integers:
    """int64 [size]: the first visit of each owner, `NEVER` of one without.

    Args:
        owner: int64 [n], below `size`.
        visit: int64 [n], ascending for each owner.
        size: Number of owners.
    """
    first = np.full(size, NEVER)
    # Of repeated places the last one written stays.
    first[owner[::-1]] = visit[::-1]
    return first
