"""Judgement of a written log: named warnings about data that no later step can learn from."""

import dataclasses
import pathlib

import duckdb

from data_pipeline.common.data_warnings import DataWarning, share_text

MANY = 0.1
"""Share of empty titles, or of queries without a word, that is worth a warning."""
NEARLY_ALL = 0.95
FEW_LISTS = 10
"""Fewer lists than these say nothing about the position of clicks."""
SHORT_SECONDS = 30 * 60
"""The default gap that ends a session: in a shorter time every user has one session."""

_COUNTS = """
SELECT
    (SELECT count(*) FROM documents) AS documents,
    (SELECT count(*) FROM documents WHERE trim(title) = '') AS empty_titles,
    count(*) FILTER (query <> '') AS searches,
    count(*) FILTER (query = '') AS recommendations,
    count(*) FILTER (query <> '' AND trim(query) = '') AS blank_queries,
    count(*) FILTER (candidates = 1) AS lists_of_one,
    count(*) FILTER (first_click IS NOT NULL) AS clicked_lists,
    count(*) FILTER (candidates > 1 AND first_click IS NOT NULL) AS ranked_lists,
    count(*) FILTER (candidates > 1 AND first_click = 1) AS first_clicked,
    (SELECT count(*) FROM browses) AS browses,
    coalesce(
        date_diff('second', min(time), max(time)),
        (SELECT date_diff('second', min(time), max(time)) FROM browses), 0
    ) AS seconds
FROM (
    SELECT time, query, len(results) AS candidates,
        -- 0 in DuckDB's words: not found.
        nullif(list_position(list_transform(results, lambda item: item.clicked), true), 0)
            AS first_click
    FROM requests
)
"""

_USERS = """
SELECT count(*), count(*) FILTER (events = 1) FROM (
    SELECT user_id, count(*) AS events
    FROM (SELECT user_id FROM requests UNION ALL SELECT user_id FROM browses) GROUP BY user_id
)
"""


@dataclasses.dataclass(frozen=True)
class LogCounts:
    """Counts that the judgement rests on; `_COUNTS` defines them."""

    documents: int
    empty_titles: int
    searches: int
    recommendations: int
    blank_queries: int
    lists_of_one: int
    clicked_lists: int
    ranked_lists: int
    first_clicked: int
    browses: int
    seconds: int
    users: int
    users_of_one_event: int


def judge_log(folder: pathlib.Path) -> list[DataWarning]:
    """Return the warnings about the tables of a log folder."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for name in ("documents", "requests", "browses"):
            path = folder / f"{name}.parquet"
            engine.execute(f"CREATE VIEW {name} AS FROM read_parquet($${path}$$)")
        counts = (*engine.sql(_COUNTS).fetchall()[0], *engine.sql(_USERS).fetchall()[0])
    return judge_counts(LogCounts(*counts))


def judge_counts(counts: LogCounts) -> list[DataWarning]:
    """Return the warnings about a log with these counts, in a fixed order.

    Example:
        >>> kept = LogCounts(100, 100, 50, 50, 0, 0, 80, 80, 20, 0, 86_400, 9, 1)
        >>> [warning.name for warning in judge_counts(kept)]
        ['empty_titles']
    """
    requests = counts.searches + counts.recommendations
    findings = {
        "empty_titles": (
            counts.empty_titles > MANY * counts.documents,
            f"{share_text(counts.empty_titles, counts.documents)} documents have no title: all of "
            "them look the same to a model. Fix: name the column that holds titles, or take ids as "
            "titles with --columns=documents.title=doc_id and prepare with --text.tokenizer=ids.",
        ),
        "empty_queries": (
            counts.blank_queries > MANY * counts.searches
            or 0 < counts.recommendations <= MANY * counts.searches,
            f"{share_text(counts.recommendations, requests)} requests have an empty query and "
            f"count as recommendations, {counts.blank_queries:,} have a query of spaces. Fix: if "
            "these were searches, name the column of queries (--columns=requests.query=...), or "
            "leave these rows out.",
        ),
        "one_task": (
            not counts.searches or not counts.recommendations + counts.browses,
            f"The log has {counts.searches:,} searches, {counts.recommendations:,} recommendations "
            f"and {counts.browses:,} browses: one task only. Fix: {one_task_fix(counts.searches)}",
        ),
        "short_time_span": (
            counts.seconds < SHORT_SECONDS,
            f"The {'requests' if requests else 'browses'} span {counts.seconds:,} seconds: too "
            "short for several sessions of a user and for a split by time. Fix: name the column of "
            "true times (--columns=requests.time=...), or import a longer log.",
        ),
        "no_clicks": (
            bool(requests) and not counts.clicked_lists,
            f"None of {requests:,} lists has a click: no request can be a target. Fix: check the "
            "column of clicks, or import the documents that users opened as browses.",
        ),
        "one_candidate_lists": (
            counts.lists_of_one > requests / 2,
            f"{share_text(counts.lists_of_one, requests)} lists have one document, so that nothing "
            "is ranked. Fix: log the complete lists shown, or import the documents that users "
            "opened as browses, which prepare with --pseudo_negatives.count negatives.",
        ),
        "no_repeat_users": (
            counts.users_of_one_event > NEARLY_ALL * counts.users,
            f"{share_text(counts.users_of_one_event, counts.users)} users have one event only, "
            "without any history. Fix: name the column of users, not of events or sessions "
            "(--columns=requests.user_id=...).",
        ),
        "clicks_at_first_rank": (
            counts.ranked_lists >= FEW_LISTS
            and counts.first_clicked > NEARLY_ALL * counts.ranked_lists,
            f"In {share_text(counts.first_clicked, counts.ranked_lists)} clicked lists the first "
            "document is clicked, as if lists were written clicks first: a model learns the "
            "position. Fix: write lists in the order shown, or train with --nodata.batch.features.",
        ),
    }
    return [DataWarning(name, message) for name, (holds, message) in findings.items() if holds]


def one_task_fix(searches: int) -> str:
    """Return the flags for a log or dataset of one task."""
    task = "search" if searches else "recommendation"
    return (
        f"prepare with --scenarios={task} and train with --train.phases={task} "
        f"--data.scenario={task}, or import the other task's table too."
    )
