"""Qilin: searches and recommended notes of one app, both with the shown lists.

Recommended settings of `prepare`: `--sequence.relevance=click`, since about half of the clicks of
recommendations have no dwell and would all count as satisfied.

Files: notes, search_train, search_test, dqa, recommendation_train and recommendation_test, each a
folder of Parquet files, as published, or one file (`notes.parquet`, `notes.csv`). A list in a CSV
file is JSON or the text that NumPy prints (`[{'click': 1.0, ...}\n {'click': ...}]`). Rows are
mapped one by one, so any size is possible.

* Requests: a row of search_train, search_test or dqa (searches that also got a written answer,
  which is not read) is a search; a row of the other tables is a recommendation, whose `query`
  column holds titles clicked before and is not read. The division into training and test is not
  kept: a dataset is split by time.
* Times: every result has the time at which it was shown, in seconds in searches and in milliseconds
  in recommendations, since people scroll, and lists come back hours later. The time of a request is
  the earliest of them. The time of a click is not known: the time at which its result was shown is
  used, which is too early by the time until the click.
* Lists are in the order of `position`. A note that is shown again keeps its first rank. It is
  clicked if any of its results is, with time and dwell of the first clicked one. Position 0 is an
  answer above the list, not a note, and is left out.
* The dwell of a click is its `page_time` in seconds. NaN, -1 and, in recommendations, 0 mean that no
  page was opened; such a click has no dwell. A page time without a click is left out.
* Documents: the title is the title of the note or, if empty, its content; the category is
  `taxonomy1_id`. Notes of lists must be in notes.
* There are no browses. `recent_clicked_note_idxs` has no times and repeats clicks of other rows; it
  is not read, nor are user features, counts, images and results of rankers.
"""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_pipeline.importers import qilin_sql
from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import (
    COLUMNS,
    TextRows,
    check_file,
    csv_header,
    read_csv,
)
from data_pipeline.importers.formats.parquet_parts import (
    as_text,
    parquet_names,
    read_parquet,
    table_files,
)
from data_pipeline.importers.formats.rejected_rows import make_batch, reject_lines, split_rows
from data_pipeline.importers.qilin_sql import NOTES, REQUESTS, RESULTS
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import RawBatch, Rejected, Source
from data_pipeline.log.schema import LogError

ENDINGS = (".parquet", ".csv", ".csv.gz")
ROWS_AT_ONCE = 1 << 13
"""Rows of a Parquet file mapped at once; a list holds a hundred results and more."""

Counts = collections.defaultdict[str, collections.Counter[str]]


RULES = (
    Rule("index", "`search_idx` and `request_idx` must be whole numbers. Fix: correct them."),
    Rule("query", "A search must have a `query`. Fix: fill it, or remove the row."),
    Rule(
        "results",
        "The results must be a list of at least one result with a time. Fix: correct the list, or "
        "remove the row.",
    ),
    Rule(
        "result",
        "A result must have `note_idx`, `position`, a `click` of 0 or 1, and a time in 1990 to 2099, "
        "in seconds in searches and in milliseconds in recommendations. Fix: correct it, or remove "
        "the row.",
    ),
)


def read(path: pathlib.Path) -> Source:
    """Map a folder of the tables of Qilin (Parquet, CSV or gzipped CSV) to the canonical tables.

    Args:
        path: The folder; it must hold notes and one table of lists.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each table, and of
        the results and clicks in them.

    Raises:
        LogError: A table is missing or repeated; while reading also for a file that lacks a column,
            is not UTF-8, or is damaged.
    """
    if not path.is_dir():
        raise LogError(str(path), "the input must be a folder", "none", "check --input.")
    files = {table: table_files(path, table, ENDINGS) for table in ("notes", *REQUESTS)}
    if not files["notes"] or not any(files[table] for table in REQUESTS):
        raise LogError(
            str(path),
            f"a qilin folder must hold notes, and one of {', '.join(REQUESTS)}",
            ", ".join(sorted(file.name for file in path.iterdir())) or "an empty folder",
            "name the folder of the downloaded tables.",
        )
    names = [str(file.relative_to(path)) for paths in files.values() for file in paths]
    description: dict[str, Any] = {"name": "qilin", "files": names}
    return Source(_batches(path, files, description), description)


def _batches(
    folder: pathlib.Path, files: dict[str, list[pathlib.Path]], description: dict[str, Any]
) -> Iterator[RawBatch | Rejected]:
    counts: Counts = collections.defaultdict(collections.Counter)
    with duckdb.connect() as engine:
        engine.execute(qilin_sql.MACROS)
        for table, paths in files.items():
            columns = NOTES if table == "notes" else REQUESTS[table].columns
            for path in paths:
                name = str(path.relative_to(folder))
                for part in _read_parts(path, name, columns):
                    number = pa.array(part.numbers, pa.int64())
                    engine.register("part", part.rows.append_column("number", number))
                    counts[table]["quarantined"] += len(part.broken)
                    canonical = "documents" if table == "notes" else "requests"
                    yield reject_lines(canonical, name, part.broken, COLUMNS)
                    if table == "notes":
                        notes = engine.sql(qilin_sql.DOCUMENTS).to_arrow_table()
                        yield make_batch("documents", name, notes)
                        counts[table]["document"] += part.rows.num_rows
                    else:
                        yield from _map_lists(engine, table, name, part.rows.schema, counts)
    description["read"] = {
        "rows": sum(counts[table].total() for table in files),
        "actions": {what: dict(+outcomes) for what, outcomes in counts.items() if +outcomes},
    }


def _read_parts(path: pathlib.Path, name: str, columns: tuple[str, ...]) -> Iterator[TextRows]:
    """Read columns of a file, some rows at a time; lists of a Parquet file keep their type."""
    is_parquet = path.suffix == ".parquet"
    if not is_parquet:
        check_file(path)
    found = parquet_names(path, name) if is_parquet else csv_header(path)
    check_needed(name, "the file", found, columns, "use the file as it was published.")
    if is_parquet:
        first = 1
        for rows in read_parquet(path, name, columns, ROWS_AT_ONCE):
            # Lists of results stay as they are; all other columns are read as text.
            lists = [column for column in RESULTS if _is_list(rows, column)]
            rows = as_text(rows, [column for column in columns if column not in lists], name)
            yield TextRows(rows, np.arange(first, first + rows.num_rows), [])
            first += rows.num_rows
    else:
        for part in read_csv(path):
            yield dataclasses.replace(part, rows=part.rows.select(list(columns)))


def _is_list(rows: pa.Table, column: str) -> bool:
    kind = rows[column].type if column in rows.column_names else pa.null()
    return pa.types.is_list(kind) or pa.types.is_large_list(kind)


def _map_lists(
    engine: duckdb.DuckDBPyConnection, table: str, name: str, schema: pa.Schema, counts: Counts
) -> Iterator[RawBatch | Rejected]:
    """Map the lists of the rows in `part`, whose columns have the types of `schema`."""
    kind = REQUESTS[table]
    engine.execute(qilin_sql.lists_sql(kind, pa.types.is_string(schema.field(kind.results).type)))
    engine.execute(qilin_sql.places_sql(kind))
    bad = engine.sql(qilin_sql.BAD_LISTS).to_arrow_table()
    _, rejected = split_rows("requests", name, bad, RULES)
    yield rejected
    good = engine.sql(qilin_sql.GOOD_LISTS.format(kind.letter)).to_arrow_table()
    batch = make_batch("requests", name, good)
    yield batch
    counts[table]["quarantined"] += rejected.rows.num_rows
    counts[table]["request"] += batch.rows.num_rows
    for what, outcome, count in engine.sql(qilin_sql.OUTCOMES).fetchall():
        counts[what][outcome] += count
