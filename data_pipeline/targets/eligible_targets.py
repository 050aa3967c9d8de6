"""Choice of the targets: eligible requests and browses, and the reasons of the others.

A search is a target of task 2, a recommendation one of task 1; in a log without recommendation
lists, browses are targets. Relevant = satisfied click. Choices: `candidate_lists.CHOICES`.
"""

import dataclasses
import pathlib

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import NO_SPLIT, Split, Task
from data_pipeline.common.mapped_arrays import ColumnFiles, release_pages
from data_pipeline.common.sorted_arrays import Pairs, run_starts
from data_pipeline.events import splits
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.user_blocks import cut_events, shift_numbers
from data_pipeline.events.user_events import UserEvents, find_searches
from data_pipeline.settings import SplitSettings

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
"""Reasons for which a request or browse is no target; only the first that holds is counted."""

LeftOut = dict[str, dict[str, int]]
"""Counts by task and reason."""


@dataclasses.dataclass(frozen=True)
class SelectedTargets:
    """Valid targets and their splits, before they have candidate lists.

    Attributes:
        rows: int64 columns, one row a target, total order (user, time, request, doc): user, time,
            activity, session, start (of the session), has_both, task, request, doc (0 for a
            request), query, candidates (length of the list shown; 0 of an unlabeled one, not read
            yet), given_split, split (number of the `Split`), first_of_task, query_seen.
        left_out: The others, counted by task and reason.
        boundaries: Where the splits begin.
        lists_logged: Whether the log has recommendation lists.
    """

    rows: Columns
    left_out: LeftOut
    boundaries: splits.Boundaries
    lists_logged: bool


def choose_targets(
    events: UserEvents, empty_requests: Integers, settings: SplitSettings, folder: pathlib.Path
) -> SelectedTargets:
    """Choose the targets and cut the splits.

    Args:
        events: Events of the unified log.
        empty_requests: int64 [n], requests with an empty list, ascending.
        settings: Where the splits begin.
        folder: Folder of files of this step.

    Raises:
        ValueError: The log is empty, or no session with a target is left to split.
    """
    if not len(events.activities["time"]):
        raise ValueError(
            "`log` must hold at least one request or browse. Got none. Fix: import it again and "
            "look at its quarantine table."
        )
    requests = events.requests
    lists_logged = bool(((requests["query"] == 0) & ~_are_unlabeled(requests)).any())
    files = ColumnFiles(folder, "eligible")
    left_out = {task.label: dict.fromkeys(LEFT_OUT, 0) for task in Task}
    spans = []
    for block, before in cut_events(events):
        begin = before["requests"]
        empty = np.searchsorted(
            empty_requests, [begin + 1, begin + len(block.requests["user"]) + 1]
        )
        rows, counts = _find_eligible(block, empty_requests[slice(*empty)] - begin, lists_logged)
        for task, lost in counts.items():
            for reason, count in lost.items():
                left_out[task][reason] += count
        rows |= _mark_firsts(rows, block, lists_logged)
        shifted = shift_numbers(rows, before)
        files.append(shifted | {"request": np.where(rows["request"] > 0, shifted["request"], 0)})
        spans.append(_find_span(block))
    rows = files.finish()
    span = min(begin for begin, _ in spans), max(end for _, end in spans)
    given, boundaries = _find_boundaries(rows, span, settings)
    rows = _leave_out_history(rows, boundaries.train, left_out)
    split = splits.assign_targets(rows["start"], rows["time"], boundaries, given)
    rows |= {"split": splits.keep_given(split, rows["given_split"], settings)}
    return SelectedTargets(rows, left_out, boundaries, lists_logged)


def _find_boundaries(
    rows: Columns, span: tuple[int, int], settings: SplitSettings
) -> tuple[splits.Boundaries, splits.Boundaries]:
    """Return the boundaries given by times or by single targets, and all; nothing of unlabeled ones."""
    labeled = ~_are_unlabeled(rows)
    followed = splits.is_followed(rows["given_split"], settings)
    given = splits.find_given(settings)
    if followed.any():
        given = splits.find_in_column(rows["given_split"], rows["time"], settings)
    starts, free = (_find_session_starts(rows, mask) for mask in (labeled, labeled & ~followed))
    return given, splits.boundaries(starts, *span, settings, given, free)


def _find_span(events: UserEvents) -> tuple[int, int]:
    """Return the first and the last activity, without those of unlabeled requests only."""
    time, unlabeled = events.activities["time"], _are_unlabeled(events.requests)
    if unlabeled.any():
        tables = events.browses, events.clicks
        used = [events.requests["activity"][~unlabeled], *(table["activity"] for table in tables)]
        time = time[np.concatenate(used)]
    return int(time.min(initial=NEVER)), int(time.max(initial=-NEVER))


def _are_unlabeled(rows: Columns) -> Mask:
    return rows["given_split"] == Split.UNLABELED.number


def _find_eligible(
    events: UserEvents, empty_requests: Integers, lists_logged: bool
) -> tuple[Columns, LeftOut]:
    """Return the requests (and browses) that may be targets, and the others counted."""
    rows, rules = _list_requests(events, empty_requests)
    if not lists_logged:
        browses, others = _list_browses(events)
        rows = {name: np.append(column, browses[name]) for name, column in rows.items()}
        rules = {name: np.append(broken, others[name]) for name, broken in rules.items()}
    session = rows["session"] - 1
    filtered = (events.sessions["kept"][session] == 0) & ~_are_unlabeled(rows)
    broken = [filtered, *rules.values()]
    numbers = [LEFT_OUT.index(name) for name in ("filtered_session", *rules)]
    reason = np.select(broken, numbers, -1)

    left_out = {}
    for task in Task:
        counts = np.bincount(reason[rows["task"] == task] + 1, minlength=len(LEFT_OUT) + 1)[1:]
        left_out[task.label] = dict(zip(LEFT_OUT, counts.tolist(), strict=True))
    valid = np.flatnonzero(reason < 0)
    if not lists_logged:
        keys = (rows[name][valid] for name in ("doc", "request", "activity"))
        valid = valid[np.lexsort(tuple(keys))]
    rows = {name: column[valid] for name, column in rows.items()}
    about = {n: events.sessions[n][session[valid]] for n in ("start", "has_both")}
    return rows | about, left_out


def _list_requests(events: UserEvents, empty_requests: Integers) -> tuple[Columns, dict[str, Mask]]:
    """Return requests as rows of `SelectedTargets`, and which of them break a rule."""
    requests, clicks = events.requests, events.clicks
    size = len(requests["user"])
    satisfied = clicks["request"][clicks["satisfied"] == 1] - 1
    relevant = np.bincount(satisfied, minlength=size)
    # The length of a list without a click is not needed, but that of an unlabeled one: its list is
    # read later.
    candidates = np.zeros(size, np.int64)
    candidates[clicks["request"] - 1] = clicks["candidates"]
    shows = np.ones(size, bool)
    shows[empty_requests - 1] = False
    names = ("user", "time", "activity", "session", "query", "given_split")
    rows = {name: requests[name] for name in names}
    labeled = ~_are_unlabeled(rows)
    rows |= {
        "task": np.where(requests["query"] > 0, Task.SEARCH, Task.RECOMMENDATION),
        "request": np.arange(1, size + 1),
        "doc": np.zeros(size, np.int64),
        "candidates": candidates,
    }
    return rows, {
        "not_satisfied": np.zeros(size, bool),
        "no_candidates": ~shows,
        "nothing_relevant": labeled & (relevant == 0),
        "no_negative": labeled & (relevant == candidates),
    }


def _list_browses(events: UserEvents) -> tuple[Columns, dict[str, Mask]]:
    """Return browses as rows of `SelectedTargets`, and which of them break a rule."""
    browses = events.browses
    zero = np.zeros_like(browses["doc"])
    rows = {name: browses[name] for name in ("user", "time", "activity", "session", "doc")}
    rows |= {"task": zero + Task.RECOMMENDATION, "query": zero, "request": zero}
    rows |= {"given_split": zero + NO_SPLIT}
    held = dict.fromkeys(("no_candidates", "nothing_relevant", "no_negative"), zero > 0)
    return rows | {"candidates": zero}, {"not_satisfied": browses["satisfied"] == 0, **held}


def _find_session_starts(rows: Columns, chosen: Mask) -> Integers:
    """Return the start of every session that holds a chosen target: int64 [sessions]."""
    # Rows are in the order of their sessions.
    return rows["start"][chosen][run_starts(rows["session"][chosen])[:-1]]


def _leave_out_history(rows: Columns, begin: int, left_out: LeftOut) -> Columns:
    """Return the rows whose session starts at `begin` or later; the others enter `left_out`.

    Unlabeled ones stay at any time: they are to be ranked.
    """
    early = (rows["start"] < begin) & ~_are_unlabeled(rows)
    for task in Task:
        left_out[task.label]["history_period"] = int((rows["task"][early] == task).sum())
    late = np.flatnonzero(~early)
    kept = {}
    for name, column in rows.items():
        kept[name] = np.asarray(column[late])
        release_pages(column)
    return kept


def _mark_firsts(rows: Columns, events: UserEvents, lists_logged: bool) -> Columns:
    """Return first_of_task and query_seen of targets, over the unfiltered log."""
    requests = events.requests
    searched = find_searches(requests)
    recommended = np.flatnonzero((requests["query"] == 0) & ~_are_unlabeled(requests))
    user, activity = requests["user"], requests["activity"]
    users = int(max(user.max(initial=0), events.browses["user"].max(initial=0))) + 1
    search = _find_first_activities(user[searched], activity[searched], users)
    other = _find_first_activities(user[recommended], activity[recommended], users)
    if not lists_logged:
        browses = events.browses
        other = _find_first_activities(browses["user"], browses["activity"], users)
    first = np.where(rows["task"] == Task.SEARCH, search[rows["user"]], other[rows["user"]])

    pairs, number = Pairs.from_columns(user[searched], requests["query"][searched])
    first_search = _find_first_activities(number, activity[searched], pairs.size + 1)
    earliest = first_search[pairs.find(rows["user"], rows["query"])]
    return {
        # An unlabeled request is the first if it precedes the first of the others.
        "first_of_task": (rows["activity"] <= first).astype(np.int64),
        "query_seen": (earliest < rows["activity"]).astype(np.int64),
    }


def _find_first_activities(owner: Integers, activity: Integers, size: int) -> Integers:
    """Return the first activity of each owner, `NEVER` without one: int64 [size].

    Args:
        owner: int64 [n], below `size`.
        activity: int64 [n], ascending for each owner.
        size: Number of owners.
    """
    first = np.full(size, NEVER)
    # Of repeated indices the value written last stays.
    first[owner[::-1]] = activity[::-1]
    return first
