"""What could be a target: every request, every browse of a log without lists, and why some are none.

A search is a target of task 2, a recommendation one of task 1. Relevant = satisfied click. What
DESIGN leaves open is settled in `data_pipeline.targets.CHOICES`.
"""

import dataclasses

import ibis
import numpy as np
import numpy.typing as npt

from data_pipeline.engine import Columns, Engine
from data_pipeline.sessions import Sequence
from data_pipeline.tables import LogTables

Integers = npt.NDArray[np.int64]

RECOMMENDATION_TASK, SEARCH_TASK = 1, 2
TASKS = {RECOMMENDATION_TASK: "recommendation", SEARCH_TASK: "search"}

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


def find_possible(engine: Engine, log: LogTables, sequence: Sequence) -> Possible:
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
    return rows.select(
        "user",
        "time",
        "session",
        "request",
        "query",
        task=_task(rows),
        doc=zero,
        satisfied=one,
        listed=ibis.coalesce(rows.listed, 0).cast("int64"),
        candidates=ibis.coalesce(rows.candidates, 0).cast("int64"),
        relevant=ibis.coalesce(rows.relevant, 0).cast("int64"),
    )


def _task(requests: ibis.Table) -> ibis.Value:
    """Task of each request, by its query."""
    return ibis.ifelse(requests.query > 0, SEARCH_TASK, RECOMMENDATION_TASK).cast("int64")


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
    moments = log.requests.select("user", "time", task=_task(log.requests))
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
        possible: `find_possible`.
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
