"""The behavior log as tables of integers.

Users, documents and texts get dense numbers from 1 on, in the order of their strings, requests in
the order (user, time, request id): numbers that depend on the log's content alone, never on the
order of its rows. Number 0 means "none": the empty text, the pad document. Times are int64
microseconds since the epoch. Everything downstream is made of these numbers.
"""

import dataclasses
import os
import pathlib

import ibis

from data_pipeline.engine import Engine
from data_pipeline.settings import SequenceSettings

SECOND = 1_000_000
NEVER = 2**62
"""A time later than any other, for what never becomes known (int64 microseconds)."""


@dataclasses.dataclass(frozen=True)
class LogTables:
    """Ibis tables of one log; integers but for the four string columns named here.

    * users: user, user_id (string, masked)
    * texts: text, content (string): every distinct title and query but the empty one
    * documents: doc, doc_id (string), text, available (published, else the time it was first
      shown or opened, else `NEVER`)
    * requests: request, request_id (string), user, time, query (text; 0 = recommendation)
    * shown: request, user, time, query, position (0-based), doc, clicked (0/1), click_time (null
      where unknown; never before the request), satisfied (0/1)
    * browses: user, time, doc, satisfied (0/1)
    """

    users: ibis.Table
    texts: ibis.Table
    documents: ibis.Table
    requests: ibis.Table
    shown: ibis.Table
    browses: ibis.Table


def click_delay(settings: SequenceSettings) -> int:
    """Microseconds from a click to the moment its satisfaction is known.

    Example:
        >>> click_delay(SequenceSettings()), click_delay(SequenceSettings(relevance="click"))
        (30000000, 0)
    """
    if settings.relevance == "click":
        return 0
    return round(settings.satisfied_seconds * SECOND)


def _satisfied(dwell: ibis.Value, settings: SequenceSettings) -> ibis.Value:
    """Whether an opened document satisfied: its dwell is unknown or above the limit."""
    if settings.relevance == "click":
        return ibis.literal(True)
    return dwell.isnull() | (dwell > settings.satisfied_seconds)


def _number(table: ibis.Table, name: str, order_by: list[str]) -> ibis.Table:
    """Adds the dense number of each row from 1 on, in a total order."""
    return table.mutate(**{name: (ibis.row_number().over(order_by=order_by) + 1).cast("int64")})


def read_tables(
    engine: Engine, folder: str | os.PathLike[str], settings: SequenceSettings
) -> LogTables:
    """Reads documents, requests and browses of a log folder and numbers them.

    Raises:
        FileNotFoundError: A table is missing.
        ValueError: A list or browse names a document that the documents table lacks.
    """
    root = pathlib.Path(folder)
    documents = engine.parquet(root / "documents.parquet")
    requests = engine.parquet(root / "requests.parquet")
    browses = engine.parquet(root / "browses.parquet")

    users = requests.select("user_id").union(browses.select("user_id")).distinct()
    users = engine.materialise(_number(users, "user", ["user_id"]))

    contents = documents.select(content="title").union(requests.select(content="query")).distinct()
    contents = contents.filter(contents.content != "")
    texts = engine.materialise(_number(contents, "text", ["content"]))

    numbered = _number(documents.select("doc_id", "title", "published"), "doc", ["doc_id"])
    named = numbered.left_join(texts, numbered.title == texts.content)
    named = engine.materialise(
        named.select(
            "doc",
            "doc_id",
            text=ibis.coalesce(named.text, 0),
            published=engine.microseconds(named.published),
        )
    )

    owned = requests.select("request_id", "user_id", "time", "query").join(users, "user_id")
    owned = owned.left_join(texts, owned.query == texts.content)
    owned = owned.select(
        "request_id",
        "user",
        time=engine.microseconds(owned.time),
        query=ibis.coalesce(owned.text, 0),
    )
    owned = engine.materialise(_number(owned, "request", ["user", "time", "request_id"]))

    rows = requests.select("request_id", "results").join(owned, "request_id").drop("request_id")
    rows = rows.unnest("results", offset="position").unpack("results")
    rows = rows.left_join(named, "doc_id")
    click_time = engine.microseconds(rows.click_time)
    shown = engine.materialise(
        rows.select(
            "request",
            "user",
            "time",
            "query",
            doc="doc",
            position=rows.position.cast("int64"),
            clicked=rows.clicked.cast("int64"),
            # A log's validation refuses earlier clicks; one that slipped through must not be
            # known before its list was shown.
            click_time=ibis.ifelse(
                rows.clicked & click_time.notnull(),
                ibis.greatest(click_time, rows.time),
                ibis.null("int64"),
            ),
            satisfied=(rows.clicked & _satisfied(rows.dwell_seconds, settings)).cast("int64"),
        )
    )

    read = browses.join(users, "user_id").left_join(named, "doc_id")
    read = engine.materialise(
        read.select(
            "user",
            doc="doc",
            time=engine.microseconds(read.time),
            satisfied=_satisfied(read.dwell_seconds, settings).cast("int64"),
        )
    )
    for name, table in (("requests", shown), ("browses", read)):
        unknown = len(engine.collect(table.filter(table.doc.isnull()).limit(1), ["user"]))
        if unknown:
            raise ValueError(
                f"Every document of `{name}` must stand in documents.parquet. Received: {name} of "
                f"{os.fspath(folder)!r} with an unknown doc_id. Import the log again."
            )

    seen = shown.select("doc", "time").union(read.select("doc", "time"))
    seen = seen.group_by("doc").aggregate(first=seen.time.min())
    found = named.left_join(seen, "doc")
    dated = engine.materialise(
        found.select(
            "doc",
            "doc_id",
            "text",
            available=ibis.coalesce(found.published, found.first, NEVER),
        )
    )
    return LogTables(
        users=users,
        texts=texts,
        documents=dated,
        requests=owned,
        shown=shown,
        browses=read,
    )
