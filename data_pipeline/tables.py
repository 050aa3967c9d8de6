"""The behavior log, or several that follow each other in time, as tables of integers.

Users, documents and texts get dense numbers from 1 on, in the order of their strings, requests in
the order (user, time, request id): numbers that depend on the log's content alone, never on the
order of its rows. Number 0 means "none": the empty text, the pad document. Times are int64
microseconds since the epoch. Everything downstream is made of these numbers.

Where a log goes on from earlier ones, nothing of it may change what was so before it began:

* it begins after the earlier ones end, and has request ids of its own;
* a document that several logs list is as the first of them says;
* one that a later log is the first to list is not available before that log begins.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import ibis
import numpy as np
import numpy.typing as npt

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
      shown or opened, else `NEVER`), part (number of the first log that lists it, from 0 on)
    * requests: request, request_id (string), user, time, query (text; 0 = recommendation)
    * shown: request, time, position (0-based), doc, clicked (0/1), click_time (null where unknown;
      never before the request), satisfied (0/1)
    * clicks: the clicked rows of `shown`, with user and query
    * browses: user, time, doc, satisfied (0/1)
    * begins (array, not a table): int64 [logs], the time each log begins
    """

    users: ibis.Table
    texts: ibis.Table
    documents: ibis.Table
    requests: ibis.Table
    shown: ibis.Table
    clicks: ibis.Table
    browses: ibis.Table
    begins: npt.NDArray[np.int64]

    def part(self, time: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Number of the log that holds what happened at each time."""
        return np.searchsorted(self.begins[1:], time, side="right")


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
    engine: Engine,
    folder: str | os.PathLike[str],
    settings: SequenceSettings,
    earlier: Sequence[str | os.PathLike[str]] = (),
) -> LogTables:
    """Reads documents, requests and browses of a log, and of those before it, and numbers them.

    Args:
        engine: Where the tables shall live.
        folder: The log, or the latest one.
        settings: What satisfaction is.
        earlier: Folders of the logs before it, the earliest first.

    Raises:
        FileNotFoundError: A table is missing.
        ValueError: A list or browse names a document that the documents table lacks; a log does
            not begin after those before it end; two logs hold a request of the same id.
    """
    folders = [*earlier, folder]
    documents = _together(engine, folders, "documents")
    requests = _together(engine, folders, "requests")
    browses = _together(engine, folders, "browses")
    begins = _begins(engine, folders, requests, browses)
    if earlier:
        _refuse_repeated_requests(engine, requests)
        order = ibis.row_number().over(group_by="doc_id", order_by="part")
        documents = documents.mutate(order=order)
        documents = documents.filter(documents.order == 0).drop("order")

    users = requests.select("user_id").union(browses.select("user_id")).distinct()
    users = engine.materialise(_number(users, "user", ["user_id"]))

    contents = documents.select(content="title").union(requests.select(content="query")).distinct()
    contents = contents.filter(contents.content != "")
    texts = engine.materialise(_number(contents, "text", ["content"]))

    numbered = _number(documents.select("doc_id", "title", "published", "part"), "doc", ["doc_id"])
    named = numbered.left_join(texts, numbered.title == texts.content)
    named = engine.materialise(
        named.select(
            "doc",
            "doc_id",
            "part",
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

    lists = owned.select("request_id", "request", "time")
    rows = requests.select("request_id", "results").join(lists, "request_id").drop("request_id")
    # Unnesting the positions only streams; DuckDB plans `Table.unnest` as a join with itself.
    rows = rows.mutate(position=ibis.range(rows.results.length()).unnest())
    rows = rows.mutate(results=rows.results[rows.position]).unpack("results")
    rows = rows.left_join(named, "doc_id")
    click_time = engine.microseconds(rows.click_time)
    shown = engine.materialise(
        rows.select(
            "request",
            "time",
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
    clicked = shown.filter(shown.clicked == 1)
    clicks = engine.materialise(clicked.join(owned.select("request", "user", "query"), "request"))

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
        unknown = len(engine.collect(table.filter(table.doc.isnull()).limit(1), ["time"]))
        if unknown:
            raise ValueError(
                f"Every document of `{name}` must stand in documents.parquet. Received: {name} of "
                f"{os.fspath(folder)!r} with an unknown doc_id. Import the log again."
            )

    seen = shown.select("doc", "time").union(read.select("doc", "time"))
    seen = seen.group_by("doc").aggregate(first=seen.time.min())
    found = named.left_join(seen, "doc")
    available = ibis.coalesce(found.published, found.first, NEVER)
    for part, begin in enumerate(begins[1:].tolist(), 1):
        available = ibis.ifelse(found.part == part, ibis.greatest(available, begin), available)
    dated = engine.materialise(found.select("doc", "doc_id", "text", "part", available=available))
    return LogTables(
        users=users,
        texts=texts,
        documents=dated,
        requests=owned,
        shown=shown,
        clicks=clicks,
        browses=read,
        begins=begins,
    )


def _together(engine: Engine, folders: Sequence[str | os.PathLike[str]], name: str) -> ibis.Table:
    """The rows of a table in all logs, with the number of their log."""
    tables = [
        engine.parquet(pathlib.Path(folder) / f"{name}.parquet").mutate(
            part=ibis.literal(part, "int64")
        )
        for part, folder in enumerate(folders)
    ]
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _begins(
    engine: Engine,
    folders: Sequence[str | os.PathLike[str]],
    requests: ibis.Table,
    browses: ibis.Table,
) -> npt.NDArray[np.int64]:
    """int64 [logs]: the time each log begins; one without rows begins where those before it end."""
    if len(folders) == 1:
        return np.zeros(1, np.int64)
    times = [t.select("part", time=engine.microseconds(t.time)) for t in (requests, browses)]
    moments = times[0].union(times[1])
    spans = moments.group_by("part").aggregate(begin=moments.time.min(), end=moments.time.max())
    found = engine.fetch(spans, ["part"])
    begins, last = np.zeros(len(folders), np.int64), -NEVER
    for part, folder in enumerate(folders):
        row = np.flatnonzero(found["part"] == part)
        begin, end = (
            (int(found[name][row[0]]) for name in ("begin", "end"))
            if len(row)
            else (last + 1, last)
        )
        if begin <= last:
            first, before = (
                np.datetime64(time, "us").astype(str).replace("T", " ") for time in (begin, last)
            )
            raise ValueError(
                "A log must begin after those before it end. Received: "
                f"{os.fspath(folder)!r} beginning at {first}, while an earlier one ends at "
                f"{before}. Give --earlier_logs oldest first, and leave out of a log what an "
                "earlier one holds."
            )
        begins[part], last = begin, end
    return begins


def _refuse_repeated_requests(engine: Engine, requests: ibis.Table) -> None:
    counted = requests.group_by("request_id").aggregate(logs=requests.count())
    repeated = engine.collect(counted.filter(counted.logs > 1), ["request_id"])
    if len(repeated):
        raise ValueError(
            "A request id must stand in one log only. Received: "
            f"{repeated['request_id'][0].as_py()!r} in several, as {len(repeated) - 1} others. "
            "Leave out of a log what an earlier one holds, or make ids that differ by day."
        )
