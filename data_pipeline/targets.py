"""Targets: what is ranked for, its candidate list, its labels, and what was left out and why.

A search is a target of task 2, a recommendation one of task 1. Relevant = satisfied click; every
other document of the list is a negative, so another relevant one never is. What DESIGN leaves open
is settled in `CHOICES`.
"""

import dataclasses
import hashlib
from collections.abc import Sequence as Items

import ibis
import numpy as np
import numpy.typing as npt

from data_pipeline.asof import Timeline
from data_pipeline.engine import Columns, Engine
from data_pipeline.lookup import ranges, runs
from data_pipeline.sessions import SEARCH, UNIFIED, Sequence
from data_pipeline.splitmix import keyed
from data_pipeline.splits import SPLITS
from data_pipeline.tables import LogTables

Integers = npt.NDArray[np.int64]

RECOMMENDATION_TASK, SEARCH_TASK = 1, 2
TASKS = {RECOMMENDATION_TASK: "recommendation", SEARCH_TASK: "search"}

CHOICES = (
    "A log that holds any recommendation request uses its logged lists only: its browses are "
    "history. In a log without one every satisfied browse is a recommendation target with "
    "pseudo-negatives.",
    "In training a target with r relevant documents is r groups; in validation and test it is one "
    "list.",
    "A document clicked without satisfaction is a negative of its list.",
    "A list of relevant documents only has no negative and is left out, as is a list without any "
    "relevant document, also in validation and test.",
    "Pseudo-negatives exclude what the user found relevant at any time, later than the target "
    "too: this protects the labels; no other part of a target knows its future.",
    "Pseudo-negatives and their order are drawn by (seed, masked user id, time, document), so that "
    "they depend on no other target.",
    "The first search (recommendation) of a user is the first of the unfiltered log.",
)

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
class Targets:
    """Targets in the order of their ids and their candidates in original order.

    Attributes:
        rows: int64 columns, one row a target, total order (user, time, request, doc): target_id
            (0, 1, ...), user, time, session (unified), task (1, 2), request (0 for a browse), doc
            (the browsed one, else 0), query (text), split (index in `SPLITS`), first_of_task,
            query_seen, has_both, pseudo (all 0/1).
        candidates: int64 columns, one row a candidate, order (target_id, position): target_id,
            position (0-based), doc, label (0/1), clicked (0/1).
        offsets: int64 [targets + 1], where each target's candidates begin.
        left_out: Counts by task and reason.
    """

    rows: Columns
    candidates: Columns
    offsets: Integers
    left_out: LeftOut


@dataclasses.dataclass(frozen=True)
class PseudoLists:
    """Lists of browses.

    Attributes:
        row: int64 [n], row of each browse among the valid targets.
        docs: int64 [n, 1 + drawn], `data_pipeline.negatives.shuffled_lists`: documents in their
            order, the one read among them, 0 where fewer were eligible.
    """

    row: Integers
    docs: Integers


def has_lists(engine: Engine, log: LogTables) -> bool:
    """Whether the log holds a recommendation request."""
    found = log.requests.filter(log.requests.query == 0).select("request").limit(1)
    return len(engine.collect(found, ["request"])) > 0


@dataclasses.dataclass(frozen=True)
class Possible:
    """What could be ranked for: requests, and browses of a log without lists.

    Attributes:
        rows: Ibis table of integers, those that may be a target: user, time, session, start (of the
            session), task, request, doc, query, first_of_task, query_seen, has_both, satisfied,
            candidates. Total order: user, time, request, doc, satisfied.
        left_out: The others, counted by task and reason (before splits and pseudo-negatives).
        lists: Whether recommendation lists are logged.
    """

    rows: ibis.Table
    left_out: LeftOut
    lists: bool


ORDER_OF_TARGETS = ("user", "time", "request", "doc", "satisfied")


def possible_targets(engine: Engine, log: LogTables, sequence: Sequence) -> Possible:
    """Finds what could be ranked for, and why some of it is not."""
    lists = has_lists(engine, log)
    rows = _requests(log, sequence)
    if not lists:
        rows = rows.union(_browses(log, sequence).select(*rows.columns))
    about = sequence.sessions.select("session", "start", "has_both", "kept")
    rows = rows.join(about, "session")
    rows = engine.materialise(rows.mutate(reason=_reason(rows).cast("int64")).drop("kept"))

    broken = rows.filter(rows.reason >= 0)
    counted = broken.group_by(["task", "reason"]).aggregate(count=broken.count())
    counts = engine.fetch(counted, ["task", "reason"])
    left_out = {task: dict.fromkeys(LEFT_OUT, 0) for task in TASKS.values()}
    for code, number, count in zip(*(counts[name].tolist() for name in counts), strict=True):
        left_out[TASKS[code]][LEFT_OUT[number]] = count

    valid = rows.filter(rows.reason < 0).drop("reason", "listed", "relevant")
    return Possible(engine.materialise(_with_firsts(log, valid, lists)), left_out, lists)


def _requests(log: LogTables, sequence: Sequence) -> ibis.Table:
    """Requests as rows of `Possible`, with what decides whether they are valid."""
    requests, shown = sequence.requests, log.shown
    clicks = log.clicks.filter(log.clicks.satisfied == 1)
    relevant = clicks.group_by("request").aggregate(relevant=clicks.count())
    answered = shown.semi_join(relevant, "request")
    sizes = answered.group_by("request").aggregate(candidates=answered.count())
    one, zero = ibis.literal(1, "int64"), ibis.literal(0, "int64")
    first = shown.filter(shown.position == 0).select("request", listed=one)
    rows = requests.left_join(first, "request").drop("request_right")
    rows = rows.left_join(relevant, "request").drop("request_right")
    rows = rows.left_join(sizes, "request")
    task = ibis.ifelse(rows.query > 0, SEARCH_TASK, RECOMMENDATION_TASK)
    return rows.select(
        "user",
        "time",
        "session",
        "request",
        "query",
        task=task.cast("int64"),
        doc=zero,
        satisfied=one,
        listed=ibis.coalesce(rows.listed, 0).cast("int64"),
        candidates=ibis.coalesce(rows.candidates, 0).cast("int64"),
        relevant=ibis.coalesce(rows.relevant, 0).cast("int64"),
    )


def _browses(log: LogTables, sequence: Sequence) -> ibis.Table:
    """Browses as rows of `Possible`."""
    zero = ibis.literal(0, "int64")
    browses = log.browses.join(sequence.visits, ["user", "time"])
    return browses.select(
        "user",
        "time",
        "session",
        request=zero,
        query=zero,
        task=ibis.literal(RECOMMENDATION_TASK, "int64"),
        doc="doc",
        satisfied="satisfied",
        listed=zero,
        candidates=zero,
        relevant="satisfied",
    )


def _with_firsts(log: LogTables, rows: ibis.Table, lists: bool) -> ibis.Table:
    """Adds `first_of_task` and `query_seen`, for which the whole log counts."""
    search = ibis.ifelse(log.requests.query > 0, SEARCH_TASK, RECOMMENDATION_TASK).cast("int64")
    moments = log.requests.select("user", "time", task=search)
    if not lists:
        browse = ibis.literal(RECOMMENDATION_TASK, "int64")
        moments = moments.union(log.browses.select("user", "time", task=browse))
    of_task = moments.group_by(["user", "task"]).aggregate(first=moments.time.min())
    asked = log.requests.filter(log.requests.query > 0)
    of_query = asked.group_by(["user", "query"]).aggregate(asked=asked.time.min())
    rows = rows.join(of_task, ["user", "task"]).left_join(of_query, ["user", "query"])
    seen = rows.asked.notnull() & (rows.time > rows.asked)
    return rows.mutate(
        first_of_task=(rows.time == rows.first).cast("int64"), query_seen=seen.cast("int64")
    ).drop("first", "asked", "user_right", "query_right")


def _reason(rows: ibis.Table) -> ibis.Value:
    """Index in `LEFT_OUT` of the first rule a row breaks, -1 where it breaks none."""
    browse = rows.request == 0
    rules = {
        "filtered_session": rows.kept == 0,
        "not_satisfied": browse & (rows.satisfied == 0),
        "no_candidates": ~browse & (rows.listed == 0),
        "nothing_relevant": rows.relevant == 0,
        "no_negative": ~browse & (rows.relevant == rows.candidates),
    }
    return ibis.cases(*((broken, LEFT_OUT.index(name)) for name, broken in rules.items()), else_=-1)


def starts_of_sessions(engine: Engine, possible: Possible) -> Integers:
    """Start of every session that holds a possible target, int64 [sessions]."""
    starts = possible.rows.select("session", "start").distinct()
    return engine.fetch(starts, ["session"])["start"]


def valid_targets(engine: Engine, possible: Possible, begin: int) -> tuple[Columns, LeftOut]:
    """The possible targets whose session starts at `begin` or later, and the others counted.

    Args:
        engine: Where the tables live.
        possible: `possible_targets`.
        begin: End of the history period.

    Returns:
        (columns of `Possible.rows` in its total order; counts by task and reason).
    """
    rows = possible.rows
    early = rows.filter(rows.start < begin)
    counts = engine.fetch(early.group_by("task").aggregate(count=early.count()), ["task"])
    left_out = {task: dict(reasons) for task, reasons in possible.left_out.items()}
    for code, count in zip(counts["task"].tolist(), counts["count"].tolist(), strict=True):
        left_out[TASKS[code]]["history_period"] = count
    return engine.fetch(rows.filter(rows.start >= begin), ORDER_OF_TARGETS), left_out


def seed_keys(rows: Columns, user_ids: Items[str]) -> Integers:
    """What the draws of each target are seeded by: a hash of its user's id, time and document.

    Args:
        rows: user (1-based number), time, doc.
        user_ids: Masked id of user 1, 2, ...

    Returns:
        int64 [rows]: unlike target ids, they do not move when another user's log changes.
    """
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in user_ids]
    users = np.frombuffer(b"".join(digests), dtype="<i8")
    return keyed(users[rows["user"] - 1], rows["time"], rows["doc"]).view(np.int64)


def build_targets(
    engine: Engine,
    log: LogTables,
    rows: Columns,
    split: Integers,
    pseudo: PseudoLists,
    left_out: LeftOut,
) -> Targets:
    """Numbers the targets and lays out their candidates.

    Args:
        engine, log: For the shown lists.
        rows: `valid_targets`.
        split: int64 [rows], index in `SPLITS`.
        pseudo: Of the browses among the rows.
        left_out: Counts of what is no target; those without a pseudo-negative are added.
    """
    empty = (pseudo.docs > 0).sum(axis=1) == 1
    left_out = {task: dict(counts) for task, counts in left_out.items()}
    left_out[TASKS[RECOMMENDATION_TASK]]["no_pseudo_negative"] = int(empty.sum())

    valid = np.ones(len(rows["time"]), bool)
    valid[pseudo.row[empty]] = False
    kept = np.flatnonzero(valid)
    names = ("user", "time", "session", "task", "request", "doc", "query")
    flags = ("first_of_task", "query_seen", "has_both")
    result = {name: rows[name][kept] for name in names + flags}
    result["target_id"] = np.arange(len(kept))
    result["split"] = split[kept]
    result["pseudo"] = (result["request"] == 0).astype(np.int64)

    sizes = rows["candidates"][kept]
    lists = pseudo.docs[~empty]
    place = np.searchsorted(kept, pseudo.row[~empty])
    sizes[place] = (lists > 0).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    candidates = {
        "target_id": np.repeat(result["target_id"], sizes),
        "position": ranges(np.zeros(len(kept), np.int64), sizes),
        "doc": np.zeros(offsets[-1], np.int64),
        "label": np.zeros(offsets[-1], np.int64),
        "clicked": np.zeros(offsets[-1], np.int64),
    }
    slots = ranges(offsets[place], sizes[place])
    candidates["doc"][slots] = lists[lists > 0]
    positive = np.repeat(result["doc"][place], sizes[place])
    candidates["label"][slots] = candidates["doc"][slots] == positive
    candidates["clicked"][slots] = candidates["label"][slots]
    _fill_lists(engine, log, result, offsets, candidates)
    return Targets(result, candidates, offsets, left_out)


def _fill_lists(
    engine: Engine, log: LogTables, rows: Columns, offsets: Integers, candidates: Columns
) -> None:
    """Writes the logged lists of the targets into `candidates`."""
    import pyarrow as pa

    listed = np.flatnonzero(rows["request"] > 0)
    wanted = engine.table(pa.table({"request": rows["request"][listed]}))
    shown = log.shown.select("request", "position", "doc", "satisfied", "clicked")
    shown = shown.semi_join(wanted, "request")
    found = engine.fetch(shown, ["request", "position"])
    # Request numbers run in the order (user, time, request id), so among targets with a list the
    # order of requests is the order of target ids.
    slots = ranges(offsets[listed], np.diff(offsets)[listed])
    candidates["doc"][slots] = found["doc"]
    candidates["label"][slots] = found["satisfied"]
    candidates["clicked"][slots] = found["clicked"]


def next_queries(rows: Columns, searches: Columns) -> Integers:
    """Text of the user's first query after each target in the same unified session, 0 for none.

    Args:
        rows: user, time, session of the targets.
        searches: user, time, query, session, in the order (user, time, request).
    """
    if not len(searches["query"]):
        return np.zeros(len(rows["time"]), np.int64)
    timeline = Timeline(searches["user"], searches["time"])
    place = timeline.position(rows["user"], rows["time"] + 1)
    inside = np.minimum(place, len(searches["query"]) - 1)
    same = (place < len(searches["query"])) & (searches["session"][inside] == rows["session"])
    return np.where(same, searches["query"][inside], 0)


def groups(targets: Targets) -> tuple[Integers, Integers]:
    """The groups (target rows): a training target once for each relevant document.

    Returns:
        (row of the target, position of the positive), int64 [groups], order (target_id,
        position). In validation and test only the first relevant document's group.
    """
    relevant = np.flatnonzero(targets.candidates["label"])
    row = targets.candidates["target_id"][relevant]
    first = np.zeros(len(row), bool)
    first[runs(row)[:-1]] = True
    stays = first | (targets.rows["split"][row] == SPLITS.index("train"))
    return row[stays], targets.candidates["position"][relevant][stays]


def of_view(rows: Columns, view: str) -> Integers:
    """Target ids of a view: all of them, or those of its task."""
    if view == UNIFIED:
        return rows["target_id"]
    task = SEARCH_TASK if view == SEARCH else RECOMMENDATION_TASK
    return np.flatnonzero(rows["task"] == task)


def view_sessions(engine: Engine, visits: ibis.Table, rows: Columns, mine: Integers) -> Integers:
    """Session of a view in which each of its targets lies.

    Args:
        engine: Where `visits` lives.
        visits: user, time, session of the view.
        rows: Columns of the targets.
        mine: int64 [n], the view's targets.
    """
    import pyarrow as pa

    moments = engine.table(
        pa.table({"target_id": mine, "user": rows["user"][mine], "time": rows["time"][mine]})
    )
    placed = moments.join(visits, ["user", "time"]).select("target_id", "session")
    return engine.fetch(placed, ["target_id"])["session"]
