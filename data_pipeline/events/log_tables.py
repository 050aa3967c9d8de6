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

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import SECOND
from data_pipeline.engine.base import Engine
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.impressions import ShownLists, check_documents, satisfied
from data_pipeline.settings import SequenceSettings


@dataclasses.dataclass(frozen=True)
class LogTables:
    """One log in numbers: Ibis tables of what has strings or is long, arrays of the rest.

    * users: user, user_id (string, masked)
    * texts: text, content (string): every distinct title and query but the empty one
    * documents: doc, doc_id (string), text, published (`NEVER` where unknown), part (number of the
      first log that lists it, from 0 on)
    * requests: request, request_id (string), user, time, query (text; 0 = recommendation)
    * clicks (arrays): `ShownLists.clicks`
    * bare (array): int64 [n], requests that show nothing, ascending
    * browses (arrays): user, time, doc, satisfied (0/1), in this order
    * begins (array): int64 [logs], the time each log begins
    """

    users: ibis.Table
    texts: ibis.Table
    documents: ibis.Table
    requests: ibis.Table
    clicks: Columns
    bare: Integers
    browses: Columns
    begins: Integers

    def part(self, time: Integers) -> Integers:
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
        ValueError: A click or browse names a document that the documents table lacks; a log does
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
            published=ibis.coalesce(engine.microseconds(named.published), NEVER),
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

    clicks, bare = ShownLists(requests, owned, named, settings).clicks(engine)
    read = browses.join(users, "user_id").left_join(named, "doc_id")
    read = engine.fetch(
        read.select(
            "user",
            time=engine.microseconds(read.time),
            doc=ibis.coalesce(read.doc, 0),
            satisfied=satisfied(read.dwell_seconds, settings).cast("int64"),
        ),
        ["user", "time", "doc", "satisfied"],
    )
    check_documents("browses", read["doc"])
    return LogTables(
        users=users,
        texts=texts,
        documents=named,
        requests=owned,
        clicks=clicks,
        bare=bare,
        browses=read,
        begins=begins,
    )


def open_lists(
    engine: Engine,
    log: LogTables,
    folders: Sequence[str | os.PathLike[str]],
    settings: SequenceSettings,
) -> ShownLists:
    """The lists of the logs that `log` was read from.

    Args:
        engine: Where the tables live.
        log: `read_tables`.
        folders: All logs, the earliest first.
        settings: As for `read_tables`.
    """
    lists = _together(engine, folders, "requests")
    return ShownLists(lists, log.requests, log.documents, settings)


def availability(engine: Engine, log: LogTables, shown: ShownLists) -> Integers:
    """From when on each document may be drawn as a negative.

    Returns:
        int64 [documents]: the time it was published, else the time it was first shown or opened,
        else `NEVER`; number 0 is the pad document.
    """
    about = engine.fetch(log.documents.select("doc", "part", "published"), ["doc"])
    first = np.full(len(about["doc"]) + 1, NEVER)
    sights = shown.first_sights(engine)
    first[sights["doc"]] = sights["time"]
    np.minimum.at(first, log.browses["doc"], log.browses["time"])
    published = np.append(NEVER, about["published"])
    available = np.where(published < NEVER, published, first)
    # The log that an earlier one does not know must not be seen through its documents.
    later = np.append(0, about["part"])
    return np.where(later > 0, np.maximum(available, log.begins[later]), available)


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
