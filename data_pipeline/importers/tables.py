"""Canonical files: a folder of documents, requests and browses as Parquet, CSV or JSON Lines.

A table is one file (`requests.parquet`, `requests.csv`, `requests.jsonl`; CSV and JSON Lines also
with .gz) or a folder of such files in the order of their names (`requests/2024-01-01.csv`).
`documents` is required, and `requests`, `browses` or both. Columns: `data_pipeline.log.schema`.

An id is text or an integer. In CSV and JSON Lines a time is ISO 8601 text ("2024-01-31T12:00:00Z",
"2024-01-31 12:00:00+01:00"; UTC without a zone). Integer times need their unit, in every kind of
file: `--columns=requests.time=time:ms`; times of clicks have the unit of `requests.time`. A CSV column `results` holds the list as JSON:
`[{"doc_id": "a", "clicked": true, "click_time": "2024-01-31T12:00:05Z", "dwell_seconds": 31.5}]`.
An empty CSV value of an optional column is null.

Columns with other names are mapped (`data_pipeline.importers.formats.column_names`); the results of
a list keep the names `doc_id`, `clicked`, `click_time` and `dwell_seconds`. Prepare a log without
dwell times with `--sequence.relevance=click`.
"""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from data_pipeline.importers.formats.column_names import ColumnNames, FileColumns
from data_pipeline.importers.formats.delimited_text import (
    COLUMNS,
    TextRows,
    check_file,
    csv_header,
    read_csv,
)
from data_pipeline.importers.formats.json_text import (
    good_results_sql,
    read_json_lines,
    results_sql,
    time_sql,
)
from data_pipeline.importers.formats.parquet_parts import parquet_names, read_parquet, table_files
from data_pipeline.importers.formats.rejected_rows import make_batch, reject_lines, split_rows
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import RawBatch, Rejected, Source
from data_pipeline.log.schema import OPTIONAL, RAW_SCHEMAS, SCHEMAS, LogError

ENDINGS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")

TIME = Rule(
    "time-unreadable",
    'A time must be ISO 8601 text, like "2024-01-31T12:00:00Z", or an integer whose unit --columns '
    "says. Fix: rewrite the time, or say the unit: --columns=requests.time=time:ms.",
)
NUMBER = Rule("number-unreadable", "A dwell must be a number of seconds. Fix: rewrite the dwell.")
RESULTS = Rule(
    "results-unreadable",
    "`results` must be a JSON list of objects with `doc_id` (text), `clicked` (true or false) and, "
    "if known, `click_time` (ISO 8601 text) and `dwell_seconds` (a number). Fix: rewrite the list.",
)


def read(path: pathlib.Path, columns: Sequence[str] = ()) -> Source:
    """Read a folder of canonical files.

    Args:
        path: The folder.
        columns: Canonical columns that have another name in the files, like
            "requests.user_id=uid".

    Returns:
        The source; "left_out" in its description lists the columns that were not read of mapped
        files.

    Raises:
        LogError: The folder or a table is missing, a table is repeated, or a file is of an unknown
            kind; while reading also for a file with wrong columns or encoding.
        ValueError: `columns` cannot be parsed.
    """
    names = ColumnNames(columns)
    if not path.is_dir():
        raise LogError(str(path), "the input must be a folder", "none", "check --input.")
    files = {table: table_files(path, table, ENDINGS) for table in SCHEMAS}
    if not files["documents"] or not (files["requests"] or files["browses"]):
        raise LogError(
            str(path),
            "the folder must hold documents, and requests or browses",
            ", ".join(sorted(file.name for file in path.iterdir())) or "an empty folder",
            "name the files documents.csv, requests.csv, browses.csv (or .jsonl, .parquet).",
        )
    unused = [table for table in names.mapping if not files[table]]
    if unused:
        raise LogError(
            str(path),
            f"the folder must hold {unused[0]}, whose columns --columns names",
            "none",
            "add the file, or remove its columns from --columns.",
        )
    description: dict[str, Any] = {
        "name": "tables",
        "files": [str(file.relative_to(path)) for table in files.values() for file in table],
    }
    if names.mapping:
        description |= {"columns": names.mapping, "left_out": names.left_out}
    if names.units:
        description["units"] = names.units
    return Source(_batches(path, files, names), description)


def _batches(
    folder: pathlib.Path,
    files: dict[str, list[pathlib.Path]],
    columns: ColumnNames,
) -> Iterator[RawBatch | Rejected]:
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for table, paths in files.items():
            units = columns.units.get(table, {})
            for path in paths:
                name = str(path.relative_to(folder))
                if path.name.endswith(".parquet"):
                    found = columns.find(table, name, parquet_names(path, name))
                    yield from _parquet(table, path, name, found, units)
                    continue
                check_file(path)
                if ".jsonl" in path.suffixes:
                    parts = read_json_lines(engine, table, path, columns, name)
                else:
                    parts = _csv(table, path, name, columns.find(table, name, csv_header(path)))
                for part in parts:
                    if isinstance(part, Rejected):
                        yield part
                    else:
                        yield from _parse_columns(engine, table, name, part, units)


def _parquet(
    table: str, path: pathlib.Path, name: str, columns: FileColumns, units: Mapping[str, str]
) -> Iterator[RawBatch]:
    first = 1
    for rows in read_parquet(path, name, list(columns.sources.values())):
        rows = rows.rename_columns(list(columns.sources))
        for column, unit in units.items():
            rows = _read_integer_times(rows, column, unit)
            if column == "time" and "results" in rows.column_names:
                rows = _read_integer_times(rows, "results", unit)
        yield RawBatch(table, rows, name, first)
        first += rows.num_rows


def _read_integer_times(rows: pa.Table, column: str, unit: str) -> pa.Table:
    """Return rows with the integers of a column, or of click times in lists, as times."""
    kind = _with_times(rows.schema.field(column).type, unit)
    place = rows.column_names.index(column)
    return rows.set_column(place, column, rows[column].cast(kind))


def _with_times(kind: pa.DataType, unit: str) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.timestamp(unit, "UTC")
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return pa.list_(
            pa.struct(
                field.with_type(_with_times(field.type, unit))
                if field.name == "click_time"
                else field
                for field in kind.value_type
            )
        )
    return kind


def _csv(
    table: str, path: pathlib.Path, name: str, columns: FileColumns
) -> Iterator[TextRows | Rejected]:
    for part in read_csv(path):
        yield reject_lines(table, name, part.broken, COLUMNS)
        rows = part.rows.select(list(columns.sources.values()))
        yield TextRows(rows.rename_columns(list(columns.sources)), part.numbers, [])


def _parse_columns(
    engine: duckdb.DuckDBPyConnection,
    table: str,
    name: str,
    part: TextRows,
    units: Mapping[str, str],
) -> Iterator[RawBatch | Rejected]:
    """Parse the times, numbers and lists of text columns; reject rows that do not parse."""
    columns, broken = [], []
    for field in RAW_SCHEMAS[table]:
        if field.name not in part.rows.column_names:
            continue
        text, rule = f"nullif(text.{field.name}, '')", None
        if pa.types.is_timestamp(field.type):
            parsed, rule = time_sql(text, units.get(field.name, "")), TIME
        elif pa.types.is_floating(field.type):
            parsed, rule = f"try_cast({text} AS DOUBLE)", NUMBER
        elif pa.types.is_list(field.type):
            unit = units.get("time", "")
            parsed = results_sql(text, unit)
            broken.append((f"NOT {good_results_sql(text, unit)}", RESULTS, text))
        else:
            parsed = text if field.name in OPTIONAL else f"text.{field.name}"
        if rule:
            broken.append((f"{text} IS NOT NULL AND {parsed} IS NULL", rule, text))
        columns.append(f"{parsed} AS {field.name}")
    faults = " ".join(f"WHEN {wrong} THEN '{rule.name}'" for wrong, rule, _ in broken)
    values = " ".join(f"WHEN {wrong} THEN {text}" for wrong, _, text in broken)
    case = "CASE {} END" if broken else "NULL::VARCHAR"
    engine.register("text", part.rows.append_column("number", pa.array(part.numbers, pa.int64())))
    rows = engine.sql(
        f"""
        SELECT number, {case.format(faults)} AS fault, {case.format(values)} AS value,
            {", ".join(columns)}
        FROM text ORDER BY number
        """
    ).to_arrow_table()
    good, rejected = split_rows(table, name, rows, (TIME, NUMBER, RESULTS))
    yield rejected
    yield make_batch(table, name, good)
