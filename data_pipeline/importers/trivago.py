"""trivago sessions (RecSys Challenge 2019): hotel search sessions with shown lists.

Recommended settings of `prepare`: `--sequence.relevance=click`: the last click of a session has no
dwell.

The sessions of the file are used only to find the query of a clickout, runs of interactions on one
item, and the dwell until the next row. The sessions of the log are cut by time. Rows are read in
the order (user, session, timestamp, step).

* Requests: a `clickout item` with a shown list, at its time. Its query is the text of the latest
  `search for destination` or `search for poi` before it in its session; without one it is a
  recommendation. The clicked item is clicked at that time; its dwell lasts to the next row of the
  session and is unknown for the last row. A clickout without reference is unlabeled: in the test part
  of the challenge the item is withheld.
* Browses: a run of consecutive `interaction item *` rows on one item, and every `search for item`,
  at the time of its first row; the dwell lasts to the first other row after it. Times are whole
  seconds, so browses of one user, item and second are one row, with their longest dwell: the data
  are not wrong if a user switches items within a second.
* Documents: the title is the city of the earliest row that names or shows the item, and its id as a
  token.
* `filter selection` and `change of sort order` are not mapped; they end a run like any other row.
* An item `unknown`, or an empty one, is an item without id in this source: it is counted, not
  quarantined. Any other reference to an item that is not a number is quarantined.
"""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from data_pipeline.importers import trivago_sql
from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import COLUMNS, check_file, csv_header, read_csv
from data_pipeline.importers.formats.parquet_parts import as_text, parquet_names, read_parquet
from data_pipeline.importers.formats.rejected_rows import make_batch, reject_lines, split_rows
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import RawBatch, Rejected, Source

NEEDED = (
    "user_id",
    "session_id",
    "timestamp",
    "step",
    "action_type",
    "reference",
    "city",
    "impressions",
)
NAMES = ("user_id", "session_id", "timestamp", "step")
"""Columns that name a row in a submission."""
SESSIONS = "sessions"
"""Name of the raw table, which counts the rows that are wrong before any mapping."""

RULES = (
    Rule(
        "user-id-empty",
        "`user_id` must not be empty. Fix: download the file again, or remove the row.",
    ),
    Rule(
        "timestamp",
        "`timestamp` must be whole seconds since 1970, in 1990 to 2099. Fix: correct it.",
    ),
    Rule("step", "`step` must be a whole number. Fix: correct it."),
    Rule("row-twice", "A row must not be repeated. Fix: remove the repeated row."),
    Rule("no-list", "A clickout must have its list in `impressions`. Fix: remove the row."),
    Rule(
        "item-id",
        "Items must be numbers. Fix: correct the reference or the list, or remove the row.",
    ),
    Rule("item-not-in-list", "The item of a clickout must be in its list. Fix: remove the row."),
)


def read(path: pathlib.Path) -> Source:
    """Map one file of the challenge (CSV, gzipped CSV or Parquet) to the canonical tables.

    Args:
        path: File with the columns in `NEEDED`; other columns are ignored.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each action type.

    Raises:
        LogError: The file is missing, not UTF-8, or lacks a column.
    """
    check_file(path, text=path.suffix != ".parquet")
    fix = "name the file of sessions (train.csv, test.csv or a slice of them)."
    check_needed(path.name, "a trivago file", _read_header(path), NEEDED, fix)
    description: dict[str, Any] = {"name": "trivago", "files": [path.name], "relevance": "click"}
    return Source(_batches(path, description), description)


def read_names(path: pathlib.Path) -> pa.Table:
    """Return what names each request in a submission: columns request_id and those of `NAMES`.

    Args:
        path: The file that was imported.

    Raises:
        LogError: The file is missing, not UTF-8, or lacks a column.
    """
    check_file(path, text=path.suffix != ".parquet")
    check_needed(path.name, "a trivago file", _read_header(path), NEEDED, "name the imported file.")
    text, _ = _read_text(path)
    ids = pa.array([f"t{number}" for number in text["number"].to_pylist()], pa.string())
    return text.select(list(NAMES)).append_column("request_id", ids)


def _read_header(path: pathlib.Path) -> list[str]:
    return parquet_names(path, path.name) if path.suffix == ".parquet" else csv_header(path)


def _read_text(path: pathlib.Path) -> tuple[pa.Table, list[int]]:
    """Return the needed columns as text with row numbers, and rows with a wrong column count."""
    if path.suffix == ".parquet":
        batches = read_parquet(path, path.name, NEEDED)
        rows = pa.concat_tables(as_text(batch, NEEDED, path.name) for batch in batches)
        columns = {name: rows[name].fill_null("") for name in NEEDED}
        return pa.table({**columns, "number": np.arange(1, rows.num_rows + 1)}), []
    none = pa.schema([*((name, pa.string()) for name in NEEDED), ("number", pa.int64())])
    parts, broken = [none.empty_table()], []
    for part in read_csv(path):
        number = pa.array(part.numbers, pa.int64())
        parts.append(part.rows.select(list(NEEDED)).append_column("number", number))
        broken += part.broken
    return pa.concat_tables(parts), broken


def _batches(path: pathlib.Path, description: dict[str, Any]) -> Iterator[RawBatch | Rejected]:
    text, broken = _read_text(path)
    with duckdb.connect() as engine:
        engine.register("text", text)
        for step in trivago_sql.STEPS:
            engine.execute(step)
        description["read"] = _count_outcomes(engine, text.num_rows + len(broken), len(broken))

        def fetch(query: str) -> pa.Table:
            return engine.sql(query).to_arrow_table()

        def batch(table: str, query: str) -> RawBatch:
            return make_batch(table, path.name, fetch(query))

        for table, read, query in (
            (SESSIONS, text.num_rows, trivago_sql.BAD_ROWS),
            ("requests", None, trivago_sql.BAD_EVENTS.format("=")),
            ("browses", None, trivago_sql.BAD_EVENTS.format("<>")),
        ):
            _, rejected = split_rows(table, path.name, fetch(query), RULES)
            yield dataclasses.replace(rejected, read=read)
        yield reject_lines(SESSIONS, path.name, broken, COLUMNS)
        yield batch("documents", trivago_sql.DOCUMENT_ROWS)
        yield batch("requests", trivago_sql.REQUEST_ROWS)
        yield batch("browses", trivago_sql.BROWSE_ROWS)


def _count_outcomes(engine: duckdb.DuckDBPyConnection, rows: int, broken: int) -> dict[str, Any]:
    """Count the raw rows: {"rows": count, "actions": {action type: {outcome: count}}}."""
    actions: dict[str, dict[str, int]] = {}
    for action, outcome, count in engine.sql(trivago_sql.OUTCOMES).fetchall():
        actions.setdefault(action, {})[outcome] = count
    if broken:
        actions["(unreadable line)"] = {"quarantined": broken}
    return {"rows": rows, "actions": actions}
