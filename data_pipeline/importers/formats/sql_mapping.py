"""A source of several raw text files, mapped to the canonical tables by the importer's SQL.

`map_files` loads each file into a DuckDB table of text with the number of each row, and runs the
importer's statements. They make the canonical tables that the source has, with two more columns:
`source`, the raw table of a row, and `number`, its row there. They also make

* faults (source, number, fault, value): rows that cannot be mapped, with the name of the broken
  rule; of the value, text or null, only the form is kept
* outcomes (source, outcome, rows): counts of the other rows of each raw table

Work that does not fit into memory spills to a temporary folder.
"""

import dataclasses
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import (
    COLUMNS,
    TextRows,
    check_file,
    csv_header,
    open_bytes,
    read_csv,
)
from data_pipeline.importers.formats.rejected_rows import make_batch, reject_lines, split_rows
from data_pipeline.log.quarantine import Rule
from data_pipeline.log.raw_rows import RawBatch, Rejected, Source
from data_pipeline.log.schema import RAW_SCHEMAS, LogError

ROWS_AT_ONCE = 1 << 16
ORDER = {
    "documents": "number, doc_id",
    "requests": "number, time, request_id",
    "browses": "number, time, doc_id",
}
"""Total order of the rows of each raw table in the canonical tables."""


@dataclasses.dataclass(frozen=True)
class RawFile:
    """A file of a source.

    Attributes:
        table: Its table in the importer's SQL, and in the counts of the log.
        names: Names it may have, the usual one first; each may also end in .gz.
        columns: Columns that are read; the file may have others. For a file without header: all
            its columns, in its order; a first line of these names is a header all the same.
        delimiter: Character between columns. Default: a comma.
        header: Whether its first line names the columns.
        quoted: Whether its values may be in quotes.
        types: SQL types of the columns. Default: all are text.
        load: Reads a file of another kind than delimited text: path, name in messages -> rows of
            these types. Default: delimited text.
        optional: Whether it may be missing; its table is empty then.
    """

    table: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    delimiter: str = ","
    header: bool = True
    quoted: bool = True
    types: tuple[str, ...] = ()
    load: Callable[[pathlib.Path, str], Iterator[TextRows]] | None = None
    optional: bool = False


def words_sql(text: str) -> str:
    """Return SQL of the numbers in a text, separated by spaces: "[20, 34]" becomes "20 34"."""
    return f"array_to_string(regexp_extract_all({text}, '[0-9]+'), ' ')"


def map_files(
    name: str,
    folder: pathlib.Path,
    files: Sequence[RawFile],
    statements: Sequence[str],
    rules: Sequence[Rule],
    description: Mapping[str, Any],
    measures: Mapping[str, str],
) -> Source:
    """Map the files of a folder.

    Args:
        name: Name of the source.
        folder: Folder of its files.
        files: The files needed.
        statements: SQL that makes the tables named above from the raw tables.
        rules: Rules that rows may break in `faults`.
        description: More values for log.json.
        measures: SQL of single values for log.json, by their names.

    Returns:
        The source; "read" in its description counts the outcomes of the rows of each file.

    Raises:
        LogError: A file is missing, not UTF-8, or lacks a column.
    """
    found = {raw.table: _find(name, folder, raw) for raw in files}
    paths = {table: path for table, path in found.items() if path}
    shown = {table: path.relative_to(folder).as_posix() for table, path in paths.items()}
    described = {"name": name, "files": list(shown.values()), **description}
    return Source(_batches(files, paths, shown, statements, rules, described, measures), described)


def _find(source: str, folder: pathlib.Path, raw: RawFile) -> pathlib.Path | None:
    """Return the first file found under its names, after checking its text and columns.

    Returns:
        None if an optional file is missing.
    """
    if not folder.is_dir():
        raise LogError(str(folder), "the input must be a folder", "none", "check --input.")
    names = [name for usual in raw.names for name in (usual, f"{usual}.gz")]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        if raw.optional:
            return None
        raise LogError(
            os.fspath(folder),
            f"a {source} folder must hold {raw.names[0]}",
            ", ".join(sorted(file.name for file in folder.iterdir())) or "an empty folder",
            f"name the folder of its files; this file may be named {' or '.join(names)}.",
        )
    check_file(path, text=raw.load is None)
    if raw.header and raw.load is None:
        header = csv_header(path, raw.delimiter, raw.quoted)
        fix = "use the file as it was published."
        check_needed(path.name, f"a {source} file", header, raw.columns, fix)
    return path


def _batches(
    files: Sequence[RawFile],
    paths: Mapping[str, pathlib.Path],
    names: Mapping[str, str],
    statements: Sequence[str],
    rules: Sequence[Rule],
    description: dict[str, Any],
    measures: Mapping[str, str],
) -> Iterator[RawBatch | Rejected]:
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config={"temp_directory": spill}) as engine,
    ):
        broken = {
            raw.table: _load(engine, raw, paths.get(raw.table), names.get(raw.table, ""))
            for raw in files
        }
        for statement in statements:
            engine.execute(statement)
        for measure, query in measures.items():
            [(description[measure],)] = engine.sql(query).fetchall()
        description["read"] = {"rows": 0, "actions": _outcomes(engine, names)}
        for table, name in names.items():
            [(read,)] = engine.sql(f"SELECT count(*) FROM {table}").fetchall()
            found = engine.sql(
                f"SELECT * EXCLUDE (source) FROM faults WHERE source = '{table}' ORDER BY number"
            )
            _, rejected = split_rows(table, name, found.to_arrow_table(), rules)
            yield dataclasses.replace(rejected, read=read)
            lines = len(broken[table])
            yield reject_lines(table, name, broken[table], COLUMNS)
            if lines:
                description["read"]["actions"][name]["unreadable line"] = lines
            description["read"]["rows"] += read + lines
        made = {name for (name,) in engine.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
        for canonical, order in ORDER.items():
            for table, name in names.items() if canonical in made else ():
                rows = engine.sql(
                    f"SELECT * EXCLUDE (source) FROM {canonical} WHERE source = '{table}' "
                    f"ORDER BY {order}"
                )
                for part in rows.to_arrow_reader(ROWS_AT_ONCE):
                    wanted = {"number", *RAW_SCHEMAS[canonical].names}.intersection(
                        part.schema.names
                    )
                    columns = pa.Table.from_batches([part]).select(sorted(wanted))
                    yield make_batch(canonical, name, columns)


def _load(
    engine: duckdb.DuckDBPyConnection, raw: RawFile, path: pathlib.Path | None, name: str
) -> list[int]:
    """Make the raw table block by block; return the rows with a wrong number of columns.

    Args:
        engine: Runs the work.
        raw: The file.
        path: Its place; None makes an empty table.
        name: Its name in messages.
    """
    columns = list(raw.columns)
    kinds = raw.types or ["VARCHAR"] * len(columns)
    types = ", ".join(f'"{name}" {kind}' for name, kind in zip(columns, kinds, strict=True))
    engine.execute(f"CREATE TABLE {raw.table} (number BIGINT, {types})")
    broken: list[int] = []
    if path is None:
        return broken
    for part in raw.load(path, name) if raw.load else _read_text(raw, path):
        rows = part.rows.select(columns) if raw.header else part.rows.rename_columns(columns)
        engine.register("part", rows.add_column(0, "number", pa.array(part.numbers, pa.int64())))
        engine.execute(f"INSERT INTO {raw.table} FROM part")
        broken += part.broken
    return broken


def _read_text(raw: RawFile, path: pathlib.Path) -> Iterator[TextRows]:
    names = () if raw.header or _begins_with_names(path, raw) else raw.columns
    return read_csv(path, raw.delimiter, names=names, quoted=raw.quoted)


def read_request_names(
    source: str, folder: pathlib.Path, raw: RawFile, letter: str, columns: Sequence[str]
) -> pa.Table:
    """Return columns of a raw file of requests, and `request_id`: a letter and the row's number.

    Raises:
        LogError: The file is missing, not UTF-8, or lacks a column.
    """
    path = _find(source, folder, raw)
    assert path is not None, "A file of requests is not optional."
    parts = []
    for part in _read_text(raw, path):
        rows = part.rows if raw.header else part.rows.rename_columns(list(raw.columns))
        ids = pa.array([f"{letter}{number}" for number in part.numbers.tolist()], pa.string())
        parts.append(rows.select(list(columns)).append_column("request_id", ids))
    return pa.concat_tables(parts)


def _begins_with_names(path: pathlib.Path, raw: RawFile) -> bool:
    """Return whether the first line of a file without header names its columns.

    It does if it has as many values as columns and more than half of them are the column's name,
    whatever the case and the signs between words: "NewsID" is news_id. A row of data may by chance
    hold a name, such as the category "title".
    """
    with open_bytes(path) as file:
        first = file.readline().decode("utf-8-sig").rstrip("\r\n").split(raw.delimiter)
    words = [re.sub("[^a-z0-9]", "", value.lower()) for value in first]
    wanted = [re.sub("[^a-z0-9]", "", column.lower()) for column in raw.columns]
    same = sum(word == name for word, name in zip(words, wanted, strict=False))
    return len(words) == len(wanted) and 2 * same > len(wanted)


def _outcomes(
    engine: duckdb.DuckDBPyConnection, names: Mapping[str, str]
) -> dict[str, dict[str, int]]:
    """Return {file: {outcome: rows}}.

    Outcomes of parts of a row, such as the results of a list, have an entry with their own name.
    """
    actions: dict[str, dict[str, int]] = {name: {} for name in names.values()}
    counted = engine.sql(
        """
        SELECT source, outcome, sum(rows)::BIGINT AS rows FROM (
            FROM outcomes
            UNION ALL
            SELECT source, 'quarantined', count(*) FROM faults GROUP BY source
        )
        GROUP BY ALL HAVING sum(rows) > 0 ORDER BY ALL
        """
    )
    for source, outcome, count in counted.fetchall():
        actions.setdefault(names.get(source, source), {})[outcome] = count
    return actions
