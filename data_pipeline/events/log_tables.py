"""One or more behavior logs, in order of time, as tables of integers.

Users, documents and texts get dense numbers from 1 on, in the order of their strings; requests in
the order (user, time, request id). Numbers depend on the log's content alone, never on the order of
its rows. Number 0 means "none": the empty text, the pad document. Times are int64 microseconds since
the epoch. Every later step works on these numbers.

If there are several logs, a later one changes nothing of what was known before it began:

* it begins after the earlier ones end, and has request ids of its own;
* a document that several logs list has the title of the first of them;
* a document that only a later log lists is not available before that log begins.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import ibis
import numpy as np

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import LABELED_SPLITS, NO_SPLIT, Split
from data_pipeline.engine.base import Engine
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.impressions import ShownLists, check_documents, satisfied
from data_pipeline.settings import SequenceSettings

Folders = Sequence[str | os.PathLike[str]]
_REQUESTS = ("request_id", "user_id", "time", "query", "results")


@dataclasses.dataclass(frozen=True)
class LogTables:
    """The log in numbers: Ibis tables of what has strings or is long, arrays of the rest.

    Attributes:
        users: user, user_id (string, masked).
        texts: text, content (string): every distinct title and query but the empty one.
        documents: doc, doc_id (string), text, published (`NEVER` if unknown), log_index (number of
            the first log that lists it, from 0 on).
        requests: request, request_id (string), user, time, query (text; 0 = recommendation),
            given_split (number of the `Split` that the log says, otherwise `NO_SPLIT`).
        clicks: As of `ShownLists.clicks`.
        browses: user, time, doc, satisfied (0/1).
        empty_requests: int64 [n], requests with an empty list, ascending.
        begins: int64 [logs], the time each log begins.
    """

    users: ibis.Table
    texts: ibis.Table
    documents: ibis.Table
    requests: ibis.Table
    clicks: ibis.Table
    browses: ibis.Table
    empty_requests: Integers
    begins: Integers

    def find_log(self, time: Integers) -> Integers:
        """Return the index of the log that holds what happened at each time."""
        return np.searchsorted(self.begins[1:], time, side="right")


def read_tables(engine: Engine, folders: Folders, settings: SequenceSettings) -> LogTables:
    """Read documents, requests and browses of logs and number them.

    Args:
        engine: The engine that holds the tables.
        folders: Folders of the logs, the earliest first.
        settings: The rule of satisfied clicks.

    Raises:
        FileNotFoundError: A table is missing.
        ValueError: A click or browse names a document that the documents table lacks; a log does
            not begin after those before it end; two logs hold a request of the same id.
    """
    documents, browses = (_read_all(engine, folders, name) for name in ("documents", "browses"))
    requests = read_requests(engine, folders)
    begins = _find_begins(engine, folders, requests, browses)
    if len(folders) > 1:
        _refuse_repeated_requests(engine, requests)
        documents = _keep_first(documents)
    user_ids = requests.select("user_id").union(browses.select("user_id")).distinct()
    users = engine.materialise(engine.number(user_ids, "user", ["user_id"]))
    contents = documents.select(content="title").union(requests.select(content="query")).distinct()
    contents = contents.filter(contents.content != "")
    texts = engine.materialise(engine.number(contents, "text", ["content"]))
    documents = _number_documents(engine, documents, texts)
    numbered = _number_requests(engine, requests, users, texts)
    clicks, empty = ShownLists(requests, numbered, documents, settings).clicks(engine)
    return LogTables(
        users=users,
        texts=texts,
        documents=documents,
        requests=numbered,
        clicks=clicks,
        browses=_number_browses(engine, browses, users, documents, settings),
        empty_requests=empty,
        begins=begins,
    )


def open_lists(
    engine: Engine, tables: LogTables, folders: Folders, settings: SequenceSettings
) -> ShownLists:
    """Open the lists of the logs behind `read_tables`.

    Args:
        engine: The engine of the tables.
        tables: What `read_tables` returned.
        folders, settings: As for `read_tables`.
    """
    return ShownLists(read_requests(engine, folders), tables.requests, tables.documents, settings)


def find_availability(engine: Engine, tables: LogTables, shown: ShownLists) -> Integers:
    """Return the time from which each document may be drawn as a negative.

    Returns:
        int64 [documents]: the time it was published, else the time it was first shown or opened,
        else `NEVER`; number 0 is the pad document.
    """
    about = engine.fetch(tables.documents.select("doc", "log_index", "published"), ["doc"])
    first = np.full(len(about["doc"]) + 1, NEVER)
    impressions = shown.first_impressions(engine)
    first[impressions["doc"]] = impressions["time"]
    read = tables.browses.group_by("doc").aggregate(time=tables.browses.time.min())
    browsed = engine.fetch(read, ["doc"])
    first[browsed["doc"]] = np.minimum(first[browsed["doc"]], browsed["time"])
    published = np.append(NEVER, about["published"])
    available = np.where(published < NEVER, published, first)
    # Documents must not make a later log visible before it begins.
    log_index = np.append(0, about["log_index"])
    begins = tables.begins[log_index]
    return np.where(log_index > 0, np.maximum(available, begins), available)


def _read_all(engine: Engine, folders: Folders, name: str) -> ibis.Table:
    """Return the rows of a table in all logs, with the index of their log."""
    tables = [
        engine.parquet(pathlib.Path(folder) / f"{name}.parquet").mutate(
            log_index=_literal(log_index)
        )
        for log_index, folder in enumerate(folders)
    ]
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def read_requests(engine: Engine, folders: Folders) -> ibis.Table:
    """Return the requests of all logs, also unlabeled ones, with the split that their log says."""
    tables = []
    for log_index, folder in enumerate(map(pathlib.Path, folders)):
        rows = engine.parquet(folder / "requests.parquet")
        splits, unlabeled = folder / "splits.parquet", folder / "unlabeled.parquet"
        given = _literal(NO_SPLIT)
        if splits.exists():
            named = rows.left_join(engine.parquet(splits), "request_id")
            cases = [(named.split == split, split.number) for split in LABELED_SPLITS]
            given = ibis.cases(*cases, else_=NO_SPLIT).cast("int64")
            rows = named
        tables.append(rows.select(*_REQUESTS, given_split=given, log_index=_literal(log_index)))
        if unlabeled.exists():
            rows, given = engine.parquet(unlabeled), _literal(Split.UNLABELED.number)
            tables.append(rows.select(*_REQUESTS, given_split=given, log_index=_literal(log_index)))
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _literal(number: int) -> ibis.Value:
    return ibis.literal(number, "int64")


def _keep_first(documents: ibis.Table) -> ibis.Table:
    """Return each document's row in the first log that lists it."""
    order = ibis.row_number().over(group_by="doc_id", order_by="log_index")
    documents = documents.mutate(order=order)
    return documents.filter(documents.order == 0).drop("order")


def _number_documents(engine: Engine, documents: ibis.Table, texts: ibis.Table) -> ibis.Table:
    columns = documents.select("doc_id", "title", "published", "log_index")
    numbered = engine.number(columns, "doc", ["doc_id"])
    named = numbered.left_join(texts, numbered.title == texts.content)
    return engine.materialise(
        named.select(
            "doc",
            "doc_id",
            "log_index",
            text=ibis.coalesce(named.text, 0),
            published=ibis.coalesce(engine.microseconds(named.published), NEVER),
        )
    )


def _number_requests(
    engine: Engine, requests: ibis.Table, users: ibis.Table, texts: ibis.Table
) -> ibis.Table:
    columns = requests.select("request_id", "user_id", "time", "query", "given_split")
    owned = columns.join(users, "user_id")
    owned = owned.left_join(texts, owned.query == texts.content)
    owned = owned.select(
        "request_id",
        "user",
        "given_split",
        time=engine.microseconds(owned.time),
        query=ibis.coalesce(owned.text, 0),
    )
    return engine.materialise(engine.number(owned, "request", ["user", "time", "request_id"]))


def _number_browses(
    engine: Engine,
    browses: ibis.Table,
    users: ibis.Table,
    documents: ibis.Table,
    settings: SequenceSettings,
) -> ibis.Table:
    named = browses.join(users, "user_id").left_join(documents, "doc_id")
    numbered = engine.materialise(
        named.select(
            "user",
            time=engine.microseconds(named.time),
            doc=ibis.coalesce(named.doc, 0),
            satisfied=satisfied(named.dwell_seconds, settings).cast("int64"),
        )
    )
    check_documents("browses", engine.count(numbered.filter(numbered.doc == 0)))
    return numbered


def _find_begins(
    engine: Engine, folders: Folders, requests: ibis.Table, browses: ibis.Table
) -> Integers:
    """Return the time each log begins; an empty log begins where those before it end."""
    if len(folders) == 1:
        return np.zeros(1, np.int64)
    times = [t.select("log_index", time=engine.microseconds(t.time)) for t in (requests, browses)]
    both = times[0].union(times[1])
    spans = both.group_by("log_index").aggregate(begin=both.time.min(), end=both.time.max())
    found = engine.fetch(spans, ["log_index"])
    begins, last = np.zeros(len(folders), np.int64), -NEVER
    for log_index, folder in enumerate(folders):
        row = np.flatnonzero(found["log_index"] == log_index)
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
                f"`log` must begin after those before it end. Got {os.fspath(folder)!r} beginning "
                f"at {first}, while an earlier one ends at {before}. Fix: give --log oldest first, "
                "and leave out of a log what an earlier one holds."
            )
        begins[log_index], last = begin, end
    return begins


def _refuse_repeated_requests(engine: Engine, requests: ibis.Table) -> None:
    counted = requests.group_by("request_id").aggregate(logs=requests.count())
    repeated = engine.collect(counted.filter(counted.logs > 1), ["request_id"])
    if len(repeated):
        raise ValueError(
            f"`request_id` must be in one log only. Got {repeated['request_id'][0].as_py()!r} and "
            f"{len(repeated) - 1} others in several logs. Fix: leave out of a log what an earlier "
            "one holds, or make ids that differ by day."
        )
