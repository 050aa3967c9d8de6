"""Text files as columns of strings, with the number of every data row."""

import codecs
import collections
import csv
import dataclasses
import gzip
import io
import itertools
import os
import pathlib
import sys
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc

from data_pipeline.log.quarantine import Rule
from data_pipeline.log.schema import LogError

COLUMNS = Rule(
    "columns",
    "A line must have as many columns as the header. Quote values that hold the delimiter.",
)
BLOCK = 1 << 23


@dataclasses.dataclass(frozen=True)
class TextRows:
    """Some rows of a text file.

    Attributes:
        rows: Columns of strings; an empty value is "".
        numbers: 1-based data row of each of `rows`; blank lines are no rows.
        broken: Data rows with too few or too many columns, which are not in `rows`.
    """

    rows: pa.Table
    numbers: npt.NDArray[np.int64]
    broken: list[int]


def open_bytes(path: pathlib.Path) -> IO[bytes]:
    """A file for reading, unpacked if its name ends in .gz."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


def check_file(path: pathlib.Path, text: bool = True) -> None:
    """Refuses a file that is missing, or a text file that is broken or not UTF-8.

    Args:
        path: The file; may be gzip (.gz).
        text: Whether it is text.

    Raises:
        LogError: It cannot be read, or a line and byte of it is wrong.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise LogError(os.fspath(path), "the input must be a file", found, "Check the path.")
    if not text:
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, block = 1, b""
    try:
        with open_bytes(path) as file:
            while block := file.read(BLOCK):
                decoder.decode(block)
                lines += block.count(b"\n")
            block = b""
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # A character cut by the end of a block is decoded with the next one, so count from there.
        line = lines + error.object[: error.start].count(b"\n")
        raise LogError(
            path.name,
            f"the file must be UTF-8, and line {line} (the header is line 1) is not",
            f"byte 0x{error.object[error.start]:02x}",
            f"Convert it: iconv -f LATIN1 -t UTF-8 {path.name}, naming the encoding it has.",
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LogError(
            path.name, "the file must be a whole gzip file", error, "Fetch it again."
        ) from error
    except OSError as error:
        raise LogError(
            path.name, "the file must be readable", error.strerror, "Check its permissions."
        ) from error


def csv_header(path: pathlib.Path, delimiter: str = ",", quoted: bool = True) -> list[str]:
    """Column names of a CSV file; a quote in them is a letter if they are not `quoted`.

    Raises:
        LogError: The file is empty, or its first line no header.
    """
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    with open_bytes(path) as file:
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        try:
            header = next(csv.reader(lines, delimiter=delimiter, quoting=quoting), [])
        except csv.Error as error:
            raise LogError(
                path.name,
                "the first line must name the columns",
                "a value too long for a name",
                "Write the header into the first line, and close its quotes.",
            ) from error
    if not header:
        raise LogError(
            path.name,
            "the first line must name the columns",
            "an empty line",
            "Write the header into the first line.",
        )
    return header


def read_csv(
    path: pathlib.Path,
    delimiter: str = ",",
    block: int = BLOCK,
    names: Sequence[str] = (),
    quoted: bool = True,
) -> Iterator[TextRows]:
    """Reads a CSV file block by block, all columns as strings.

    Args:
        path: UTF-8 file; may be gzip (.gz).
        delimiter: Character between columns.
        block: Bytes read at once.
        names: Columns of a file without a header, which may be empty. Default: the first line names
            them.
        quoted: Whether values may stand in quotes, and then hold line ends; else a quote is a
            character like any other.

    Raises:
        LogError: A row is longer than a block, a quote is never closed, so that all after it would
            be one value, or a gzip file has other bytes after its end.
    """
    broken: list[int] = []
    last = ""
    header = 0 if names else 1

    def note(row: pc.InvalidRow) -> str:
        # The number counts the header, if any. The text is not told: it may hold a user id.
        nonlocal last
        broken.append(row.number - header)
        last = row.text
        return "skip"

    columns = list(names) or csv_header(path, delimiter, quoted)
    none = pa.schema([(name, pa.string()) for name in columns]).empty_table()
    with open_bytes(path) as file:
        # Arrow refuses a header without a line end, after which there are no rows either.
        if header and b"\r" not in file.readline().rstrip(b"\r\n") and not file.read(1):
            yield TextRows(none, np.zeros(0, np.int64), [])
            return
        if not header and not file.read(1):
            return
    first, told = 1, 0
    try:
        reader = pc.open_csv(
            os.fspath(path),
            read_options=pc.ReadOptions(
                use_threads=False, block_size=block, column_names=list(names) or None
            ),
            parse_options=pc.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                invalid_row_handler=note,
            ),
            convert_options=pc.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
        )
        for batch in reader:
            numbers = np.arange(first, first + batch.num_rows + len(broken), dtype=np.int64)
            numbers = numbers[~np.isin(numbers, broken)][: batch.num_rows]
            if len(numbers):
                first = int(numbers[-1]) + 1
                if first > max(broken, default=0):
                    last = batch.column(batch.num_columns - 1)[-1].as_py()
            yield TextRows(pa.Table.from_batches([batch]), numbers, broken[told:])
            told = len(broken)
    except pa.ArrowInvalid as error:
        raise LogError(
            path.name,
            f"a row must be CSV of no more than {block:,} bytes",
            "one that is not",
            "Close its quotes, or shorten it.",
        ) from error
    except OSError as error:
        # Zeros after the end of a gzip file, which Python passes over, Arrow does not.
        raise LogError(
            path.name,
            "the file must be readable to its end",
            error.strerror or "bytes that are no gzip",
            "Fetch it again, or pack it anew.",
        ) from error
    if told < len(broken):
        yield TextRows(none, np.zeros(0, np.int64), broken[told:])
    if quoted and "\n" in last and _ends_in_quotes(path, delimiter):
        raise LogError(
            path.name,
            f"every quote must be closed, and one of row {max([first - 1, *broken])} is not",
            "the end of the file",
            "Close it, or leave it out.",
        )


def _ends_in_quotes(path: pathlib.Path, delimiter: str) -> bool:
    """Whether a line laid after the last one would be part of a value."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with open_bytes(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            lines = itertools.chain(text, ["\n", "end"])
            rows = csv.reader(lines, delimiter=delimiter)
            return collections.deque(rows, maxlen=1).pop() != ["end"]
    finally:
        csv.field_size_limit(limit)
