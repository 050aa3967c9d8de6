"""Impressions: the lists a log shows, read again from its files by each step that needs some.

Most rows of a log are results in lists, about ten a request, few of them clicked. Writing them out
in numbers would take longer than reading them again.
"""

import dataclasses
import pathlib

import ibis
import numpy as np
import pyarrow as pa

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split
from data_pipeline.common.mapped_arrays import ColumnFiles
from data_pipeline.engine.base import Engine
from data_pipeline.engine.shards import SHARD, count_shards, open_result, to_columns
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import SequenceSettings

LISTS_PER_SHARD = 200_000
"""Lists of a shard, unless the number of shards is set."""


def satisfied(dwell: ibis.Value, settings: SequenceSettings) -> ibis.Value:
    """Return whether an opened document satisfied: its dwell time is null or above the limit."""
    if settings.relevance == "click":
        return ibis.literal(True)
    return dwell.isnull() | (dwell > settings.satisfied_seconds)


@dataclasses.dataclass(frozen=True)
class ShownLists:
    """The lists of a log's requests.

    Attributes:
        lists: Ibis table request_id, time, results, given_split, as in the log's files.
        requests: Ibis table request, request_id, user.
        documents: Ibis table doc, doc_id.
        settings: The rule of satisfied clicks.
    """

    lists: ibis.Table
    requests: ibis.Table
    documents: ibis.Table
    settings: SequenceSettings

    def clicks(self, engine: Engine) -> tuple[ibis.Table, Integers]:
        """Return the clicks, and the requests whose list is empty.

        Returns:
            (table of int64: user, request, position (0-based), doc, satisfied (0/1), click_time
            (`NEVER` if unknown), candidates (length of its list); int64 [n], requests with an empty
            list, ascending).

        Raises:
            ValueError: A click names a document that the documents table lacks.
        """
        lists = self.lists.select("request_id", "results", candidates=self.lists.results.length())
        # An empty list has one row of nulls here, so that one read finds both.
        rows = _unnest(lists, least=1)
        rows = rows.filter((rows.candidates == 0) | rows.clicked)
        rows = rows.join(self.requests.select("request", "request_id", "user"), "request_id")
        rows = self._numbered(rows)
        found = engine.materialise(
            rows.select(
                "user",
                "request",
                "doc",
                position=rows.position.cast("int64"),
                satisfied=satisfied(rows.dwell_seconds, self.settings).cast("int64"),
                click_time=ibis.coalesce(engine.microseconds(rows.click_time), NEVER),
                candidates=rows.candidates.cast("int64"),
            )
        )
        empty = engine.fetch(found.filter(found.candidates == 0).select("request"), ["request"])
        clicks = engine.materialise(found.filter(found.candidates > 0))
        check_documents("clicks", engine.count(clicks.filter(clicks.doc == 0)))
        return clicks, empty["request"]

    def occurrences(self, engine: Engine, before: int) -> Columns:
        """Return how often each document was shown earlier than `before`: columns doc, count.

        Raises:
            ValueError: As `clicks`.
        """
        lists = self._labeled()
        early = lists.filter(engine.microseconds(lists.time) < before)
        shown = _unnest(early.select("results"))
        counted = shown.group_by("doc_id").aggregate(count=shown.count())
        return self._by_document(engine, counted)

    def first_impressions(self, engine: Engine) -> Columns:
        """Return when each document was first shown: columns doc, time.

        Raises:
            ValueError: As `clicks`.
        """
        shown = _unnest(self._labeled().select("time", "results"))
        seen = shown.group_by("doc_id").aggregate(time=engine.microseconds(shown.time).min())
        return self._by_document(engine, seen)

    def read_lists(
        self,
        engine: Engine,
        wanted: Integers,
        folder: pathlib.Path,
        shards: int = 0,
        workers: int = 1,
    ) -> Columns:
        """Read the lists of some requests, in shards, and map them from files.

        Args:
            engine: The engine of the tables.
            wanted: int64 [n], numbers of requests, ascending.
            folder: Folder of the shards and of the files.
            shards: Number of shards; 0: one for every `LISTS_PER_SHARD` lists. Default: 0.
            workers: Worker processes. Default: 1.

        Returns:
            int64 columns in the order (request, position): request, position, doc, satisfied,
            clicked (0/1).

        Raises:
            ValueError: As `clicks`.
        """
        shards = shards or count_shards(len(wanted), LISTS_PER_SHARD)
        shard = np.arange(len(wanted)) * shards // max(1, len(wanted))
        given = engine.table(pa.table({"request": wanted, SHARD: shard}))
        chosen = self.requests.select("request", "request_id").join(given, "request")
        # Materialised, its size is known, and it is the side of the join that is kept in memory.
        chosen = engine.materialise(chosen)
        lists = self.lists.select("request_id", "results").join(chosen, "request_id")
        rows = self._numbered(_unnest(lists.select("request", SHARD, "results")))
        relevant = rows.clicked & satisfied(rows.dwell_seconds, self.settings)
        lists = rows.select(
            SHARD,
            "request",
            "doc",
            position=rows.position.cast("int64"),
            satisfied=relevant.cast("int64"),
            clicked=rows.clicked.cast("int64"),
        )
        order = {"lists": ["request", "position"]}
        # Of a shard's rows nothing is wanted but their order.
        results = engine.map_shards({"lists": lists}, order, shards, dict, {}, folder, workers)
        files, unknown = ColumnFiles(folder, "lists"), 0
        for result in results:
            columns = to_columns(open_result(result, "lists"))
            unknown += int((columns["doc"] == 0).sum())
            files.append(columns)
        check_documents("requests", unknown)
        return files.finish()

    def _labeled(self) -> ibis.Table:
        """Return the lists of requests whose answers are known."""
        return self.lists.filter(self.lists.given_split != Split.UNLABELED.number)

    def _numbered(self, rows: ibis.Table) -> ibis.Table:
        """Return rows with the number `doc` in place of `doc_id`, 0 for an unknown document."""
        known = self.documents.select("doc", "doc_id")
        named = rows.left_join(known, "doc_id").drop("doc_id", "doc_id_right")
        return named.mutate(doc=ibis.coalesce(named.doc, 0))

    def _by_document(self, engine: Engine, rows: ibis.Table) -> Columns:
        """Return rows with one `doc_id` each, in the order of its number."""
        columns = engine.fetch(self._numbered(rows), ["doc"])
        check_documents("requests", int((columns["doc"] == 0).sum()))
        return columns


def check_documents(table: str, unknown: int) -> None:
    """Refuse rows of unknown documents.

    Args:
        table: Name of the table.
        unknown: Number of these rows.

    Raises:
        ValueError: There is one.
    """
    if unknown:
        raise ValueError(
            f"`{table}` must name documents of documents.parquet only. Got "
            f"{unknown} rows with an unknown doc_id. Fix: import the log again."
        )


def _unnest(lists: ibis.Table, least: int = 0) -> ibis.Table:
    """Return one row a result: the other columns, its position, and the columns of `results`.

    Args:
        lists: With the column `results`.
        least: Minimum rows of a list; rows beyond its end are nulls. Default: 0.
    """
    # Unnesting the positions only streams; DuckDB plans `Table.unnest` as a self-join.
    rows = lists.mutate(position=ibis.range(ibis.greatest(lists.results.length(), least)).unnest())
    return rows.mutate(results=rows.results[rows.position]).unpack("results")
