"""Canonical files: a folder of documents, requests and browses as Parquet, CSV or JSON Lines.

A table is one file (`requests.parquet`, `requests.csv`, `requests.jsonl`; CSV and JSON Lines also
with .gz) or a folder of such files in the order of their names (`requests/2024-01-01.csv`).
`documents` must be there, and `requests`, `browses` or both. Columns: `data_pipeline.canonical`.

In CSV and JSON Lines a time is ISO 8601 text ("2024-01-31T12:00:00Z", "2024-01-31 12:00:00+01:00";
without a zone it is UTC), never a number. A CSV column `results` holds the list as JSON:
`[{"doc_id": "a", "clicked": true, "click_time": "2024-01-31T12:00:05Z", "dwell_seconds": 31.5}]`.
An empty CSV value of an optional column is null.
"""

import pathlib
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.canonical import OPTIONAL, SCHEMAS, LogError, check_columns
from data_pipeline.importers.json_text import (
    good_results_sql,
    read_json_lines,
    results_sql,
    time_sql,
)
from data_pipeline.importers.rejection import split_rows
from data_pipeline.importers.source import Source
from data_pipeline.importers.text_files import COLUMNS, TextRows, check_file, csv_header, read_csv
from data_pipeline.log import RawBatch, Rejected
from data_pipeline.quarantine import Rule, quarantine_rows

ENDINGS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")

TIME = Rule(
    "time-unreadable", 'A time must be ISO 8601 text, like "2024-01-31T12:00:00Z". Rewrite it.'
)
NUMBER = Rule("number-unreadable", "A dwell must be a number of seconds. Rewrite it.")
RESULTS = Rule(
    "results-unreadable",
    "`results` must be a JSON list of objects with `doc_id` (text), `clicked` (true or false) and, "
    "if known, `click_time` (ISO 8601 text) and `dwell_seconds` (a number). Rewrite it.",
)


def read(path: pathlib.Path) -> Source:
    """Reads a folder of canonical files.

    Args:
        path: The folder.

    Raises:
        LogError: The folder or a table is missing, a table is there twice, or a file is of an
            unknown kind; while reading also for a file with wrong columns or encoding.
    """
    if not path.is_dir():
        raise LogError(str(path), "the input must be a folder", "none", "Check --input.")
    files = {table: _files(path, table) for table in SCHEMAS}
    if not files["documents"] or not (files["requests"] or files["browses"]):
        raise LogError(
            str(path),
            "the folder must hold documents, and requests or browses",
            ", ".join(sorted(file.name for file in path.iterdir())) or "an empty folder",
            "Name the files documents.csv, requests.csv, browses.csv (or .jsonl, .parquet).",
        )
    names = [str(file.relative_to(path)) for table in files.values() for file in table]
    return Source(_batches(path, files), {"name": "tables", "files": names})


def _files(folder: pathlib.Path, table: str) -> list[pathlib.Path]:
    """Files of a table in the order of their names."""
    found = [folder / f"{table}{ending}" for ending in ENDINGS]
    found = [file for file in found if file.exists()]
    parts = folder / table
    if parts.is_dir():
        found.append(parts)
    if len(found) > 1:
        raise LogError(
            str(folder),
            f"the table {table} must be there once",
            ", ".join(file.name for file in found),
            f"Keep one of them, or put all parts of one table into a folder {table}/.",
        )
    if not found or found[0] != parts:
        return found
    files = sorted(file for file in parts.iterdir() if not file.name.startswith("."))
    for file in files:
        if not file.name.endswith(ENDINGS):
            raise LogError(
                str(file),
                f"a file must end in {', '.join(ENDINGS)}",
                repr(file.name),
                "Rename or remove it.",
            )
    return files


def _batches(
    folder: pathlib.Path, files: dict[str, list[pathlib.Path]]
) -> Iterator[RawBatch | Rejected]:
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for table, paths in files.items():
            for path in paths:
                name = str(path.relative_to(folder))
                if path.name.endswith(".parquet"):
                    yield from _parquet(table, path, name)
                    continue
                check_file(path)
                if ".jsonl" in path.suffixes:
                    parts = read_json_lines(engine, table, path, name)
                else:
                    parts = _csv(table, path, name)
                for part in parts:
                    if isinstance(part, Rejected):
                        yield part
                    else:
                        yield from _typed(engine, table, name, part)


def _parquet(table: str, path: pathlib.Path, name: str) -> Iterator[RawBatch]:
    try:
        with pq.ParquetFile(path) as file:
            nothing = file.schema_arrow.empty_table()
            yield RawBatch(table, nothing, name)
            first = 1
            for batch in file.iter_batches(1 << 18):
                # Arrow takes text on trust; only a full check finds bytes that are no UTF-8.
                batch.validate(full=True)
                yield RawBatch(table, pa.Table.from_batches([batch]), name, first)
                first += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise LogError(
            name, "the file must be whole Parquet with UTF-8 text", error, "Write it again."
        ) from error


def _csv(table: str, path: pathlib.Path, name: str) -> Iterator[TextRows | Rejected]:
    check_columns(table, csv_header(path), name)
    for part in read_csv(path):
        rows = [(number, COLUMNS, "") for number in part.broken]
        yield Rejected(table, quarantine_rows(table, name, rows))
        yield part


def _typed(
    engine: duckdb.DuckDBPyConnection, table: str, name: str, part: TextRows
) -> Iterator[RawBatch | Rejected]:
    """Parses the times, numbers and lists of text columns; rows that do not parse are rejected."""
    columns, broken = [], []
    for field in SCHEMAS[table]:
        if field.name not in part.rows.column_names:
            continue
        text, rule = f"nullif(text.{field.name}, '')", None
        if pa.types.is_timestamp(field.type):
            parsed, rule = time_sql(text), TIME
        elif pa.types.is_floating(field.type):
            parsed, rule = f"try_cast({text} AS DOUBLE)", NUMBER
        elif pa.types.is_list(field.type):
            parsed = results_sql(text)
            broken.append((f"NOT {good_results_sql(text)}", RESULTS, text))
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
    yield RawBatch(table, good.drop_columns(["number"]), name, numbers=good["number"].to_numpy())
