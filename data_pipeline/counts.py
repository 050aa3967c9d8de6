"""The integers behind the relevance features: what was known of openings and queries.

All counts are over the whole unfiltered log and as of each target (`data_pipeline.asof`). The
engine gives integers only; `data_pipeline.features` makes floats of them.
"""

import ibis
import numpy as np
import pyarrow as pa

from data_pipeline.asof import Measure, as_of
from data_pipeline.engine import Engine
from data_pipeline.tables import NEVER

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24

_OF_ALL = (
    Measure("clicks", ("doc",), "opened"),
    Measure("satisfied", ("doc",), "satisfied"),
    Measure("query_clicks", ("query", "doc"), "opened"),
)
_OF_USER = (
    Measure("user_clicks", ("user", "doc"), "opened"),
    Measure("last_rank", ("user", "doc"), "rank", "max"),
    Measure("last_touch", ("user", "doc"), "touched", "max"),
    Measure("user_query_clicks", ("user", "query", "doc"), "opened"),
    Measure("session_clicks", ("user", "session", "doc"), "opened"),
)


def candidate_counts(
    openings: ibis.Table, targets: ibis.Table, candidates: ibis.Table
) -> ibis.Table:
    """What is known of each candidate document at its target's time.

    Args:
        openings: One row an opened document: user, doc, query (0 for none), session, satisfied
            (0/1), time (when it was opened), known_after (from when on it counts), visible_after
            (from when on it is part of the user's visible history); `NEVER` where it never is.
        targets: target_id, user, session, query (0 for a recommendation), time.
        candidates: target_id, position, doc.

    Returns:
        target_id, position, doc and the int64 columns: clicks (openings of the document),
        satisfied (satisfied ones), query_clicks (under the same query), user_clicks (by the user),
        user_query_clicks, session_clicks (by the user in the target's session), last_rank (rank of
        the user's last opening of it among the user's openings, -1 for none), last_touch (time of
        the user's last visible opening of it, -1 for none).
    """
    nothing = ibis.null("int64")
    # Openings known at the same moment share the last rank: they are equally recent.
    peers = ibis.range_window(
        preceding=None, following=0, group_by=["user"], order_by=["known_after"]
    )
    ranked = openings.mutate(rank=openings.count().over(peers))
    once = ranked.known_after == ranked.visible_after
    known = ranked.select(
        "user",
        "doc",
        "query",
        "session",
        "satisfied",
        "rank",
        time="known_after",
        opened=ibis.literal(1, "int64"),
        touched=ibis.ifelse(once, ranked.time, nothing),
    )
    visible = ranked.filter(~once).select(
        "user",
        "doc",
        "query",
        "session",
        satisfied=nothing,
        rank=nothing,
        time="visible_after",
        opened=nothing,
        touched="time",
    )
    visible = visible.select(*known.columns)
    columns = {name: known[name].cast("int64") for name in known.columns}
    others = {name: visible[name].cast("int64") for name in known.columns}
    events = known.select(**columns).union(visible.select(**others))
    events = events.filter(events.time < NEVER)

    owners = targets.select("target_id", "user", "session", "query", "time")
    probes = candidates.select("target_id", "position", "doc").join(owners, "target_id")
    probes = probes.select("target_id", "position", "doc", "user", "session", "query", "time")
    # Most candidates were never opened by their user: they need two windows out of five.
    own = events.select("user", "doc").distinct()
    near = as_of(events, probes.semi_join(own, ["user", "doc"]), [*_OF_ALL, *_OF_USER])
    far = as_of(events, probes.anti_join(own, ["user", "doc"]), _OF_ALL)
    far = far.mutate(
        **{m.name: ibis.literal(0 if m.how == "sum" else -1, "int64") for m in _OF_USER}
    )
    return near.union(far.select(*near.columns)).drop("user", "session", "query", "time")


def target_counts(
    engine: Engine, openings: ibis.Table, queries: ibis.Table, targets: ibis.Table
) -> ibis.Table:
    """What is known of each target's user and query at its time.

    Args:
        engine: Where the tables live.
        openings: As for `candidate_counts`.
        queries: One row a search: user, query (1 and above), time.
        targets: As for `candidate_counts`.

    Returns:
        target_id, user, query and the int64 columns: query_clicks (openings under the query),
        spread (their sum of n * log2(n) over documents, in steps of 2**-24), user_query_clicks,
        frequency (searches with the query), repeated (the user's ones), user_clicks (openings by
        the user), last_query (number of the user's last search in `ordered_queries`, -1 for none).
    """
    nothing = ibis.null("int64")
    same = ibis.window(group_by=["query", "doc"], order_by=["known_after"])
    opened = openings.filter(openings.known_after < NEVER)
    opened = opened.mutate(nth=(ibis.row_number().over(same) + 1).cast("int64"))
    # A recommendation has no query, so nothing spreads over it.
    most = opened.filter(opened.query > 0)
    largest = engine.fetch(most.aggregate(n=most.nth.max().fill_null(0)), ["n"])["n"][0]
    steps = engine.table(_entropy_steps(int(largest)))
    opened = opened.left_join(steps, [opened.nth == steps.nth_opening, opened.query > 0])
    known = opened.select(
        "user",
        "query",
        "gain",
        time="known_after",
        opened=ibis.literal(1, "int64"),
        asked=nothing,
        number=nothing,
    )
    searches = ordered_queries(queries)
    asked = searches.select(
        "user",
        "query",
        gain=nothing,
        time="time",
        opened=nothing,
        asked=ibis.literal(1, "int64"),
        number="number",
    )
    columns = {name: known[name].cast("int64") for name in known.columns}
    others = {name: asked[name].cast("int64") for name in known.columns}
    return as_of(
        known.select(**columns).union(asked.select(**others)),
        targets.select("target_id", "user", "query", "time"),
        [
            Measure("query_clicks", ("query",), "opened"),
            Measure("spread", ("query",), "gain"),
            Measure("user_query_clicks", ("user", "query"), "opened"),
            Measure("frequency", ("query",), "asked"),
            Measure("repeated", ("user", "query"), "asked"),
            Measure("user_clicks", ("user",), "opened"),
            Measure("last_query", ("user",), "number", "max"),
        ],
    ).drop("time")


def ordered_queries(queries: ibis.Table) -> ibis.Table:
    """Searches with their 0-based `number` in the order (time, user, query)."""
    order = ["time", "user", "query"]
    return queries.select("user", "query", "time").mutate(
        number=ibis.row_number().over(order_by=order).cast("int64")
    )


def _entropy_steps(largest: int) -> pa.Table:
    """By how much the n-th opening of a document under a query raises n * log2(n)."""
    n = np.arange(1, largest + 1)
    total = np.rint(n * np.log2(n) * ENTROPY_SCALE).astype(np.int64)
    return pa.table({"nth_opening": n, "gain": np.diff(total, prepend=0)})
