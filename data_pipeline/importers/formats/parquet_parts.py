"""The files of one table, a single file or a folder of parts; Parquet files read in batches."""

import pathlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.log.schema import LogError

ROWS_AT_ONCE = 1 << 18


def table_files(folder: pathlib.Path, table: str, endings: tuple[str, ...]) -> list[pathlib.Path]:
    """Return the files of a table: `table` with one of `endings`, or all files of a folder `table`.

    Args:
        folder: Folder of the table.
        table: Name of the file, without its ending, or of the folder.
        endings: Endings of files that can be read.

    Returns:
        The files in the order of their names, none if there is no such table; hidden files of a
        folder are ignored.

    Raises:
        LogError: There are two files or folders of the table, or its folder holds a file of another
            kind.
    """
    found = [folder / f"{table}{ending}" for ending in endings]
    found = [file for file in found if file.exists()]
    parts = folder / table
    if parts.is_dir():
        found.append(parts)
    if len(found) > 1:
        raise LogError(
            str(folder),
            f"the folder must hold the table {table} only once",
            ", ".join(file.name for file in found),
            f"keep one of them, or move all parts of the table into a folder {table}/.",
        )
    if not found or found[0] != parts:
        return found
    files = sorted(file for file in parts.iterdir() if not file.name.startswith("."))
    for file in files:
        if not file.name.endswith(endings):
            raise LogError(
                str(file),
                f"a file must end in {', '.join(endings)}",
                repr(file.name),
                "rename or remove it.",
            )
    return files


def parquet_names(path: pathlib.Path, name: str) -> list[str]:
    """Return the column names of a Parquet file; messages call the file `name`.

    Raises:
        LogError: The file is not complete Parquet.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise _broken(name, path, error) from error


def read_parquet(
    path: pathlib.Path, name: str, columns: Sequence[str], rows: int = ROWS_AT_ONCE
) -> Iterator[pa.Table]:
    """Read columns of a Parquet file: an empty table first, then some rows at a time.

    Args:
        path: The file.
        name: Name of the file in messages.
        columns: Names of its columns, in the order wanted.
        rows: Largest number of rows of a table.

    Raises:
        LogError: The file is not complete Parquet, or holds text that is not UTF-8.
    """
    wanted = list(columns)
    try:
        with pq.ParquetFile(path) as file:
            yield file.schema_arrow.empty_table().select(wanted)
            for batch in file.iter_batches(rows, columns=wanted):
                # Arrow does not check text by itself; only a full check finds wrong UTF-8.
                batch.validate(full=True)
                yield pa.Table.from_batches([batch]).select(wanted)
    except (pa.ArrowException, OSError) as error:
        raise _broken(name, path, error) from error


def as_text(rows: pa.Table, columns: Sequence[str], name: str) -> pa.Table:
    """Cast some columns of a Parquet file to text; null stays null.

    Raises:
        LogError: A column has a type that cannot be text, such as a list, or holds such a value,
            such as bytes.
    """
    for column in columns:
        kind = rows[column].type
        try:
            text = rows[column].cast(pa.string())
            text.validate(full=True)
        except pa.ArrowException as error:
            raise LogError(
                name,
                f"the column `{column}` must hold text or numbers",
                str(kind),
                "write it as text.",
            ) from error
        rows = rows.set_column(rows.column_names.index(column), column, text)
    return rows


def _broken(name: str, path: pathlib.Path, error: Exception) -> LogError:
    if path.is_dir():
        return LogError(name, "the input must be a file", "a folder", "check the path.")
    if isinstance(error, OSError) and error.errno:
        return LogError(name, "the file must be readable", error.strerror, "check its permissions.")
    return LogError(
        name, "the file must be complete Parquet with UTF-8 text", error, "write it again."
    )
