"""A source of several raw text files, mapped to the canonical tables by the importer's SQL.

`map_files` loads the files into DuckDB, one table of text a file with the number of each row, and
runs the importer's statements over them. They make the canonical tables (those the source has),
with two columns more: `source`, the raw table a row comes from, and `number`, its row there. Beside
these they make

* faults (source, number, fault, value): rows that cannot be mapped, by the name of the rule they
  broke; of the value, text or null for none, the form is told
* outcomes (source, outcome, rows): what became of the other rows of each raw table

Work that does not fit into memory spills to a temporary folder.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from data_pipeline.importers.formats.column_names import check_needed
from data_pipeline.importers.formats.delimited_text import COLUMNS, check_file, csv_header, read_csv
from data_pipeline.importers.formats.rejected_rows import split_rows
from data_pipeline.importers.source import Source
from data_pipeline.log.log_folder import RawBatch, Rejected
from data_pipeline.log.quarantine import Rule, quarantine_rows
from data_pipeline.log.schema import SCHEMAS, LogError

ROWS_AT_ONCE = 1 << 16
ORDER = {
    "documents": "number, doc_id",
    "requests": "number, time, request_id",
    "browses": "number, time, doc_id",
}
"""Order of the rows of each raw table in the canonical ones; it is total."""


@dataclasses.dataclass(frozen=True)
class RawFile:
    """A file of a source.

    Attributes:
        table: Its table in the importer's SQL, and in the counts of the log.
        names: Names it may have, the usual one first; each may end in .gz too.
        columns: Columns that are read; it may have others. Of a file without header all of them, in
            its order.
        delimiter: Character between columns. Default: a comma.
        header: Whether its first line names the columns.
        quoted: Whether its values may stand in quotes.
    """

    table: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    delimiter: str = ","
    header: bool = True
    quoted: bool = True


def words_sql(text: str) -> str:
    """SQL of the numbers in a text as words with a space between them: "[20, 34]" is "20 34"."""
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
    """Maps the files of a folder.

    Args:
        name: Name of the source.
        folder: Folder of its files.
        files: The files needed.
        statements: SQL that makes the tables named above of the raw ones.
        rules: Rules that rows may break in `faults`.
        description: What log.json shall tell beside what was read.
        measures: SQL of single values to tell there too, by their names.

    Returns:
        The source; its description tells under "read" what became of the rows of each file.

    Raises:
        LogError: A file is missing, not UTF-8, or lacks a column.
    """
    paths = {raw.table: _find(name, folder, raw) for raw in files}
    told = {"name": name, "files": [path.name for path in paths.values()], **description}
    return Source(_batches(files, paths, statements, rules, told, measures), told)


def _find(source: str, folder: pathlib.Path, raw: RawFile) -> pathlib.Path:
    """The file under the first of its names that is there, after checking its text and columns."""
    if not folder.is_dir():
        raise LogError(str(folder), "the input must be a folder", "none", "Check --input.")
    names = [name for usual in raw.names for name in (usual, f"{usual}.gz")]
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    if path is None:
        raise LogError(
            os.fspath(folder),
            f"a {source} folder must hold {raw.names[0]}",
            ", ".join(sorted(file.name for file in folder.iterdir())) or "an empty folder",
            f"Name the folder of its files; this one may be called {' or '.join(names)}.",
        )
    check_file(path)
    if raw.header:
        header = csv_header(path, raw.delimiter, raw.quoted)
        mend = "Take the file as it was published."
        check_needed(path.name, f"a {source} file", header, raw.columns, mend)
    return path


def _batches(
    files: Sequence[RawFile],
    paths: Mapping[str, pathlib.Path],
    statements: Sequence[str],
    rules: Sequence[Rule],
    description: dict[str, Any],
    measures: Mapping[str, str],
) -> Iterator[RawBatch | Rejected]:
    with (
        tempfile.TemporaryDirectory() as spill,
        duckdb.connect(config={"temp_directory": spill}) as engine,
    ):
        broken = {raw.table: _load(engine, raw, paths[raw.table]) for raw in files}
        for statement in statements:
            engine.execute(statement)
        for measure, query in measures.items():
            [(description[measure],)] = engine.sql(query).fetchall()
        description["read"] = {"rows": 0, "actions": _outcomes(engine, paths)}
        for table, path in paths.items():
            [(read,)] = engine.sql(f"SELECT count(*) FROM {table}").fetchall()
            found = engine.sql(
                f"SELECT * EXCLUDE (source) FROM faults WHERE source = '{table}' ORDER BY number"
            )
            _, rejected = split_rows(table, path.name, found.to_arrow_table(), rules)
            yield dataclasses.replace(rejected, read=read)
            lines = [(number, COLUMNS, "") for number in broken[table]]
            yield Rejected(table, quarantine_rows(table, path.name, lines))
            if lines:
                description["read"]["actions"][path.name]["unreadable line"] = len(lines)
            description["read"]["rows"] += read + len(lines)
        made = {name for (name,) in engine.sql("SELECT table_name FROM duckdb_tables()").fetchall()}
        for canonical, order in ORDER.items():
            for table, path in paths.items() if canonical in made else ():
                rows = engine.sql(
                    f"SELECT * EXCLUDE (source) FROM {canonical} WHERE source = '{table}' "
                    f"ORDER BY {order}"
                )
                for part in rows.to_arrow_reader(ROWS_AT_ONCE):
                    numbers = part["number"].to_numpy()
                    columns = pa.Table.from_batches([part]).select(
                        [name for name in SCHEMAS[canonical].names if name in part.schema.names]
                    )
                    yield RawBatch(canonical, columns, path.name, numbers=numbers)


def _load(engine: duckdb.DuckDBPyConnection, raw: RawFile, path: pathlib.Path) -> list[int]:
    """Makes the raw table, block by block; returns the rows with a wrong number of columns."""
    columns = ", ".join(f'"{column}" VARCHAR' for column in raw.columns)
    engine.execute(f"CREATE TABLE {raw.table} (number BIGINT, {columns})")
    broken = []
    names = () if raw.header else raw.columns
    for part in read_csv(path, raw.delimiter, names=names, quoted=raw.quoted):
        numbers = pa.array(part.numbers, pa.int64())
        engine.register(
            "part", part.rows.select(list(raw.columns)).add_column(0, "number", numbers)
        )
        engine.execute(f"INSERT INTO {raw.table} FROM part")
        broken += part.broken
    return broken


def _outcomes(
    engine: duckdb.DuckDBPyConnection, paths: Mapping[str, pathlib.Path]
) -> dict[str, dict[str, int]]:
    """{file: {outcome: rows}}.

    Outcomes of what is no raw table, such as the many things of one row, stand under its own name.
    """
    actions: dict[str, dict[str, int]] = {path.name: {} for path in paths.values()}
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
        name = paths[source].name if source in paths else source
        actions.setdefault(name, {})[outcome] = count
    return actions
