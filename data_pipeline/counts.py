"""The integers behind the relevance features: what was known of openings and queries.

All counts are over the whole unfiltered log and as of each target (`data_pipeline.asof`). The
engine gives integers only; `data_pipeline.features` makes floats of them.
"""

import ibis
import numpy as np
import pyarrow as pa

from data_pipeline.asof import Measure, as_of, as_of_shared
from data_pipeline.engine import Engine
from data_pipeline.tables import NEVER

# n * log2(n) in steps of 2**-24: sums of integers, exact in any order.
ENTROPY_SCALE = 2**24

_OF_DOCUMENT = (
    Measure("clicks", ("doc",), "opened"),
    Measure("satisfied", ("doc",), "satisfied"),
)
_OF_QUERY = (Measure("query_clicks", ("query", "doc"), "opened"),)
_OF_USER = (
    Measure("user_clicks", ("user", "doc"), "opened"),
    Measure("last_rank", ("user", "doc"), "rank", "max"),
    Measure("last_touch", ("user", "doc"), "touched", "max"),
    Measure("user_query_clicks", ("user", "query", "doc"), "opened"),
    Measure("session_clicks", ("user", "session", "doc"), "opened"),
)
_UNDER_QUERY = (
    Measure("query_clicks", ("query",), "opened"),
    Measure("spread", ("query",), "gain"),
    Measure("frequency", ("query",), "asked"),
)
_OF_USERS_QUERY = (
    Measure("user_query_clicks", ("user", "query"), "opened"),
    Measure("repeated", ("user", "query"), "asked"),
)
_OF_USERS_PAST = (
    Measure("user_clicks", ("user",), "opened"),
    Measure("last_query", ("user",), "number", "max"),
)


def candidate_counts(
    engine: Engine, openings: ibis.Table, targets: ibis.Table, candidates: ibis.Table
) -> ibis.Table:
    """What is known of each candidate document at its target's time.

    Args:
        engine: Where the tables live.
        openings: One row an opened document: user, doc, query (0 for none), session, satisfied
            (0/1), time (when it was opened), known_after (from when on it counts), visible_after
            (from when on it is part of the user's visible history); `NEVER` where it never is.
        targets: target_id, user, session, query (0 for a recommendation), time.
        candidates: target_id, position, doc.

    Returns:
        target_id, position, doc and the int64 columns: clicks (openings of the document),
        satisfied (satisfied ones), query_clicks (under the same query, 0 for a recommendation),
        user_clicks (by the user), user_query_clicks, session_clicks (by the user in the target's
        session), last_rank (rank of the user's last opening of it among the user's openings, -1 for
        none), last_touch (time of the user's last visible opening of it, -1 for none).
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
    known = known.select(**columns).filter(ibis._.time < NEVER)
    events = known.union(visible.select(**others).filter(ibis._.time < NEVER))

    owners = targets.select("target_id", "user", "session", "query", "time")
    probes = candidates.select("target_id", "position", "doc").join(owners, "target_id")
    probes = probes.select("target_id", "position", "doc", "user", "session", "query", "time")
    counted = engine.materialise(as_of(known, probes, _OF_DOCUMENT))
    asked = known.filter(known.query > 0)
    counted = engine.materialise(as_of_shared(asked, counted, ("query", "doc"), _OF_QUERY))
    counted = as_of_shared(events, counted, ("user", "doc"), _OF_USER)
    return counted.drop("user", "session", "query", "time")


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
        frequency (searches with the query), repeated (the user's ones), all 0 for a recommendation;
        user_clicks (openings by the user), last_query (number of the user's last search in
        `ordered_queries`, -1 for none).
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
    events = known.select(**columns).union(asked.select(**others))
    under = events.filter(events.query > 0)
    counted = targets.select("target_id", "user", "query", "time")
    # Each count is laid down before the next: a plan that held several would be run several times.
    counted = engine.materialise(as_of_shared(under, counted, ("query",), _UNDER_QUERY))
    counted = engine.materialise(as_of_shared(under, counted, ("user", "query"), _OF_USERS_QUERY))
    return as_of(events, counted, _OF_USERS_PAST).drop("time")


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
