"""The lists a log shows, read from its files again by whoever needs some of them.

They are most of a log, ten documents a request and few of them clicked: written out in numbers they
would take longer to write than they take to be read anew.
"""

import dataclasses

import ibis
import pyarrow as pa

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.engine.base import Engine
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import SequenceSettings


def satisfied(dwell: ibis.Value, settings: SequenceSettings) -> ibis.Value:
    """Whether an opened document satisfied: its dwell is unknown or above the limit."""
    if settings.relevance == "click":
        return ibis.literal(True)
    return dwell.isnull() | (dwell > settings.satisfied_seconds)


@dataclasses.dataclass(frozen=True)
class ShownLists:
    """The lists of a log's requests.

    Attributes:
        lists: Ibis table request_id, time, results, as the log's files hold them.
        requests: Ibis table request, request_id.
        documents: Ibis table doc, doc_id.
        settings: What satisfaction is.
    """

    lists: ibis.Table
    requests: ibis.Table
    documents: ibis.Table
    settings: SequenceSettings

    def clicks(self, engine: Engine) -> tuple[Columns, Integers]:
        """What was clicked, and which requests show nothing.

        Returns:
            (int64 columns in the order (request, position): request, position (0-based), doc,
            satisfied (0/1), click_time (`NEVER` where unknown), candidates (length of its list);
            int64 [n], requests without a document, ascending).

        Raises:
            ValueError: A click names a document that the documents table lacks.
        """
        lists = self.lists.select("request_id", "results", candidates=self.lists.results.length())
        # An empty list has a row of nulls here, so that one reading finds both.
        rows = _places(lists, least=1)
        rows = rows.filter((rows.candidates == 0) | rows.clicked)
        rows = rows.join(self.requests.select("request", "request_id"), "request_id")
        rows = self._numbered(rows)
        columns = engine.fetch(
            rows.select(
                "request",
                "doc",
                position=rows.position.cast("int64"),
                satisfied=satisfied(rows.dwell_seconds, self.settings).cast("int64"),
                click_time=ibis.coalesce(engine.microseconds(rows.click_time), NEVER),
                candidates=rows.candidates.cast("int64"),
            ),
            ["request", "position"],
        )
        shows = columns["candidates"] > 0
        bare = columns["request"][~shows]
        clicks = {name: column[shows] for name, column in columns.items()}
        check_documents("clicks", clicks["doc"])
        return clicks, bare

    def occurrences(self, engine: Engine, before: int) -> Columns:
        """doc, count: how often documents were shown at a time earlier than `before`.

        Raises:
            ValueError: As `clicks`.
        """
        early = self.lists.filter(engine.microseconds(self.lists.time) < before)
        shown = _places(early.select("results"))
        counted = shown.group_by("doc_id").aggregate(count=shown.count())
        return self._by_document(engine, counted)

    def first_sights(self, engine: Engine) -> Columns:
        """doc, time: when each document was first shown.

        Raises:
            ValueError: As `clicks`.
        """
        shown = _places(self.lists.select("time", "results"))
        seen = shown.group_by("doc_id").aggregate(time=engine.microseconds(shown.time).min())
        return self._by_document(engine, seen)

    def of_requests(self, engine: Engine, wanted: Integers) -> Columns:
        """The lists of some requests.

        Args:
            engine: Where the tables live.
            wanted: int64 [n], numbers of requests.

        Returns:
            int64 columns in the order (request, position): request, position, doc, satisfied,
            clicked (0/1).

        Raises:
            ValueError: As `clicks`.
        """
        given = engine.table(pa.table({"request": wanted}))
        chosen = self.requests.select("request", "request_id").semi_join(given, "request")
        lists = self.lists.select("request_id", "results").join(chosen, "request_id")
        rows = self._numbered(_places(lists.select("request", "results")))
        liked = rows.clicked & satisfied(rows.dwell_seconds, self.settings)
        columns = engine.fetch(
            rows.select(
                "request",
                "doc",
                position=rows.position.cast("int64"),
                satisfied=liked.cast("int64"),
                clicked=rows.clicked.cast("int64"),
            ),
            ["request", "position"],
        )
        check_documents("requests", columns["doc"])
        return columns

    def _numbered(self, rows: ibis.Table) -> ibis.Table:
        """Rows with the number `doc` of their `doc_id` instead, 0 where there is none."""
        known = self.documents.select("doc", "doc_id")
        named = rows.left_join(known, "doc_id").drop("doc_id", "doc_id_right")
        return named.mutate(doc=ibis.coalesce(named.doc, 0))

    def _by_document(self, engine: Engine, rows: ibis.Table) -> Columns:
        """Rows of a `doc_id` each, in the order of its number."""
        columns = engine.fetch(self._numbered(rows), ["doc"])
        check_documents("requests", columns["doc"])
        return columns


def check_documents(table: str, doc: Integers) -> None:
    """Refuses rows of documents without a number, which is 0.

    Raises:
        ValueError: There is one.
    """
    if len(doc) and not doc.all():
        raise ValueError(
            f"Every document of `{table}` must stand in documents.parquet. Received: "
            f"{int((doc == 0).sum())} rows with an unknown doc_id. Import the log again."
        )


def _places(lists: ibis.Table, least: int = 0) -> ibis.Table:
    """One row a place of a list: its other columns, position, and the columns of `results`.

    Args:
        lists: With the column `results`.
        least: Rows that a shorter list has, those beyond its end of nulls. Default: 0.
    """
    # Unnesting the positions only streams; DuckDB plans `Table.unnest` as a join with itself.
    rows = lists.mutate(position=ibis.range(ibis.greatest(lists.results.length(), least)).unnest())
    return rows.mutate(results=rows.results[rows.position]).unpack("results")
