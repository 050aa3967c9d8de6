"""The files of one table: a single one or a folder of parts, and Parquet ones batch by batch."""

import pathlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.log.schema import LogError

ROWS_AT_ONCE = 1 << 18


def table_files(folder: pathlib.Path, table: str, endings: tuple[str, ...]) -> list[pathlib.Path]:
    """Files of a table in the order of their names: `table` with one of `endings`, or all in a
    folder `table`.

    Args:
        folder: Where the table lies.
        table: Name of the file, without its ending, or of the folder.
        endings: Endings of files that can be read.

    Returns:
        The files, none if there is no such table; hidden files are no part of a folder.

    Raises:
        LogError: The table is there twice, or its folder holds a file of another kind.
    """
    found = [folder / f"{table}{ending}" for ending in endings]
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
        if not file.name.endswith(endings):
            raise LogError(
                str(file),
                f"a file must end in {', '.join(endings)}",
                repr(file.name),
                "Rename or remove it.",
            )
    return files


def parquet_names(path: pathlib.Path, name: str) -> list[str]:
    """Names of the columns of a Parquet file; `name` stands for it in messages.

    Raises:
        LogError: The file is not whole Parquet.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise _broken(name, path, error) from error


def read_parquet(
    path: pathlib.Path, name: str, columns: Sequence[str], rows: int = ROWS_AT_ONCE
) -> Iterator[pa.Table]:
    """Reads columns of a Parquet file, an empty table first, then some rows at a time.

    Args:
        path: The file.
        name: Name of the file in messages.
        columns: Names of columns it has, in the order wanted.
        rows: Rows of a table at the most.

    Raises:
        LogError: The file is not whole Parquet, or holds text that is not UTF-8.
    """
    wanted = list(columns)
    try:
        with pq.ParquetFile(path) as file:
            yield file.schema_arrow.empty_table().select(wanted)
            for batch in file.iter_batches(rows, columns=wanted):
                # Arrow takes text on trust; only a full check finds bytes that are no UTF-8.
                batch.validate(full=True)
                yield pa.Table.from_batches([batch]).select(wanted)
    except (pa.ArrowException, OSError) as error:
        raise _broken(name, path, error) from error


def as_text(rows: pa.Table, columns: Sequence[str], name: str) -> pa.Table:
    """Some columns of a Parquet file as text, whatever their type; null stays null.

    Raises:
        LogError: A column is of a type that is no text, such as a list, or holds a value that has
            none, such as bytes.
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
                "Write it as text.",
            ) from error
        rows = rows.set_column(rows.column_names.index(column), column, text)
    return rows


def _broken(name: str, path: pathlib.Path, error: Exception) -> LogError:
    if path.is_dir():
        return LogError(name, "the input must be a file", "a folder", "Check the path.")
    if isinstance(error, OSError) and error.errno:
        return LogError(name, "the file must be readable", error.strerror, "Check its permissions.")
    return LogError(
        name, "the file must be whole Parquet with UTF-8 text", error, "Write it again."
    )
