"""Counts of documents and queries over all users as of each target, by shards.

What all users did with a document or query is counted where its rows are: a shard holds all opens and
searches of some documents or queries, and all targets and candidates that ask about them. Only opens
known before a target count (the rule of time: `data_pipeline.events.as_of`).
"""

import pathlib
from collections.abc import Iterable, Iterator, Mapping

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.mapped_arrays import release_pages
from data_pipeline.common.sorted_arrays import concat_ranges, cut_blocks
from data_pipeline.engine.base import Engine
from data_pipeline.engine.shards import SHARD, count_shards, open_result, to_columns
from data_pipeline.events.as_of import DenseAsOfIndex, PairAsOfIndex, TimeRanks
from data_pipeline.features.click_counts import ENTROPY_SCALE

ROWS_PER_SHARD = 4_000_000
"""Opens and candidates of a shard, unless the number of shards is set."""

BLOCK = 1_000_000
"""Rows written at a time."""

# Columns of the rows of a shard by document and by query.
_OF_DOCUMENT = {
    "opens": ["row", "doc", "known_at", "satisfied"],
    "candidates": ["row", "doc", "time"],
}
_OF_QUERY = {
    "opens": ["row", "query", "doc", "known_at"],
    "searches": ["row", "query", "time"],
    "targets": ["row", "query", "time"],
    "candidates": ["row", "query", "doc", "time"],
}


def count_shared(
    engine: Engine,
    document_opens: Columns,
    searches: Columns,
    targets: Columns,
    doc: Integers,
    offsets: Integers,
    folder: pathlib.Path,
    shards: int = 0,
    workers: int = 1,
) -> tuple[Columns, Columns]:
    """Count opens of documents, opens under queries and searches, as of each target.

    Args:
        engine: Brings the rows of a document or query together.
        document_opens: One row an opened document: doc, query (0 for none), satisfied (0/1),
            known_at (when it counts; `NEVER` for never).
        searches: One row a search: query (1 and above), time.
        targets: query (0 for a recommendation), time.
        doc: int64 [candidates], in the order of their targets.
        offsets: int64 [targets + 1], where each target's candidates begin.
        folder: Folder of the shards and of the counts, which are mapped from files there.
        shards: Number of shards; 0: one for every `ROWS_PER_SHARD` rows. Default: 0.
        workers: Worker processes. Default: 1.

    Returns:
        (int64 columns [targets], 0 for a recommendation: query_opens (opens under the query), spread
        (their sum of n * log2(n) over documents, in steps of 2**-24), frequency (searches with the
        query); int64 columns [candidates]: opens (of the document), satisfied (satisfied opens),
        query_opens (under the same query, 0 for a recommendation)).
    """
    sizes = {"targets": len(targets["time"]), "candidates": len(doc)}
    rows = {
        "opens": _cut_rows(document_opens, ("doc", "query", "known_at", "satisfied")),
        "searches": _cut_rows(searches, ("query", "time")),
        "targets": _cut_rows(targets, ("query", "time")),
        "candidates": _list_candidates(targets, doc, offsets),
    }
    tables = {
        name: engine.parquet(_write(folder / f"{name}.parquet", blocks))
        for name, blocks in rows.items()
    }
    shards = shards or count_shards(
        len(document_opens["doc"]) + sizes["candidates"], ROWS_PER_SHARD
    )
    counts: dict[str, Columns] = {name: {} for name in sizes}
    for key, columns, function in (
        ("doc", _OF_DOCUMENT, count_documents),
        ("query", _OF_QUERY, count_queries),
    ):
        chosen = {
            name: _by_shard(tables[name], key, names, shards) for name, names in columns.items()
        }
        order, place = {name: ["row"] for name in columns}, folder / key
        place.mkdir(exist_ok=True)
        results = engine.map_shards(chosen, order, shards, function, {}, place, workers)
        for name in sizes.keys() & columns.keys():
            counts[name] |= _gather(results, name, place, sizes[name])
    for name in tables:
        # F is about to be written, and these take half its room on the disk.
        (folder / f"{name}.parquet").unlink()
    return counts["targets"], counts["candidates"]


def count_documents(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Count the opens of some documents: opens and satisfied of each candidate."""
    opens, asked = (to_columns(tables[name]) for name in _OF_DOCUMENT)
    time_ranks = TimeRanks(opens["known_at"])
    known = time_ranks.rank(opens["known_at"])
    index = DenseAsOfIndex(opens["doc"], known, time_ranks.size, ordered=True)
    satisfied = index.running(opens["satisfied"])
    first, after = index.known(asked["doc"], time_ranks.rank(asked["time"]))
    counted = {"opens": after - first, "satisfied": satisfied[after] - satisfied[first]}
    return {"candidates": pa.table({"row": asked["row"], **counted})}


def count_queries(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """Count opens under some queries and searches with them, for each target and candidate."""
    opens, searches, targets, asked = (to_columns(tables[name]) for name in _OF_QUERY)
    time_ranks = TimeRanks(opens["known_at"], searches["time"])
    known, size = time_ranks.rank(opens["known_at"]), time_ranks.size
    of_query = DenseAsOfIndex(opens["query"], known, size, ordered=True)
    of_pair = PairAsOfIndex(opens["query"], opens["doc"], known, size, ordered=True)
    spread = of_query.running(_entropy_gains(of_pair))
    searched = DenseAsOfIndex(searches["query"], time_ranks.rank(searches["time"]), size)
    time_rank = time_ranks.rank(targets["time"])
    first, after = of_query.known(targets["query"], time_rank)
    of_targets = {
        "query_opens": after - first,
        "spread": spread[after] - spread[first],
        "frequency": searched.count(targets["query"], time_rank),
    }
    found = of_pair.count(asked["query"], asked["doc"], time_ranks.rank(asked["time"]))
    return {
        "targets": pa.table({"row": targets["row"], **of_targets}),
        "candidates": pa.table({"row": asked["row"], "query_opens": found}),
    }


def _by_shard(table: ibis.Table, key: str, names: list[str], shards: int) -> ibis.Table:
    """Return the rows of a table that have the key, with its shard."""
    rows = table.filter(table[key] > 0)
    return rows.select(*names, **{SHARD: (rows[key] % shards).cast("int64")})


def _cut_rows(columns: Columns, names: tuple[str, ...]) -> Iterator[Columns]:
    """Yield row, and some columns, block by block."""
    size = len(columns[names[0]])
    # One block at least, which tells the types of the columns.
    for begin in range(0, max(size, 1), BLOCK):
        block = {name: np.asarray(columns[name][begin : begin + BLOCK]) for name in names}
        yield {"row": np.arange(begin, min(begin + BLOCK, size)), **block}
        release_pages(columns)


def _list_candidates(targets: Columns, doc: Integers, offsets: Integers) -> Iterator[Columns]:
    """Yield row, doc, and the target's query and time, of all candidates block by block."""
    for first, after in [*cut_blocks(offsets, BLOCK)] or [(0, 0)]:
        begin, end = offsets[[first, after]]
        target = np.repeat(np.arange(first, after), np.diff(offsets[first : after + 1]))
        asked = {name: targets[name][target] for name in ("query", "time")}
        yield {"row": np.arange(begin, end), "doc": np.asarray(doc[begin:end]), **asked}
        release_pages(doc, targets)


def _write(path: pathlib.Path, blocks: Iterable[Columns]) -> pathlib.Path:
    """Write blocks of rows as Parquet."""
    writer = None
    for block in blocks:
        table = pa.table(block)
        writer = writer or pq.ParquetWriter(
            path, table.schema, compression="none", use_dictionary=False
        )
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return path


def _gather(results: list[pathlib.Path], name: str, folder: pathlib.Path, size: int) -> Columns:
    """Return the counts of all shards in the order of their rows, 0 for a row without any."""
    counts: Columns = {}
    for result in results:
        found = to_columns(open_result(result, name))
        row = found.pop("row")
        for column, values in found.items():
            if column not in counts:
                path = folder / f"{name}-{column}.npy"
                counts[column] = np.lib.format.open_memmap(path, "w+", np.int64, (size,))
            counts[column][row] = values
            release_pages(counts)
    return counts


def _entropy_gains(of_pair: PairAsOfIndex) -> Integers:
    """Return by how much each open of a document under a query raises n * log2(n)."""
    first = of_pair.index.first(np.arange(of_pair.pairs.size + 1))
    nth = concat_ranges(np.zeros(of_pair.pairs.size, np.int64), np.diff(first))
    n = np.arange(1, int(nth.max(initial=-1)) + 2)
    total = np.rint(n * np.log2(n) * ENTROPY_SCALE).astype(np.int64)
    gains = np.empty(len(nth), np.int64)
    gains[of_pair.index.order] = np.diff(total, prepend=0)[nth]
    return gains
