"""Delimited text files, read as columns of strings with the number of every data row."""

import codecs
import collections
import contextlib
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
    "A line must have as many columns as the header. Fix: quote values that hold the delimiter.",
)
BLOCK = 1 << 23


@dataclasses.dataclass(frozen=True)
class TextRows:
    """Some rows of a text file.

    Attributes:
        rows: Columns of strings; an empty value is "".
        numbers: int64 [rows], 1-based data row of each row; blank lines are not counted.
        broken: Data rows with too few or too many columns, which are not in `rows`.
    """

    rows: pa.Table
    numbers: npt.NDArray[np.int64]
    broken: list[int]


def open_bytes(path: pathlib.Path) -> IO[bytes]:
    """Open a file for reading, unpacked if its name ends in .gz."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


def check_file(path: pathlib.Path, text: bool = True) -> None:
    """Raise an error if a file is missing, or a text file is damaged or not UTF-8.

    Args:
        path: The file; may be gzip (.gz).
        text: Whether it is a text file.

    Raises:
        LogError: It cannot be read; for wrong UTF-8 with the line and the byte.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise LogError(os.fspath(path), "the input must be a file", found, "check the path.")
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
        # A character cut by the end of a block is decoded with the next block.
        line = lines + error.object[: error.start].count(b"\n")
        raise LogError(
            path.name,
            f"the file must be UTF-8, and line {line} (the header is line 1) is not",
            f"byte 0x{error.object[error.start]:02x}",
            f"convert it: iconv -f LATIN1 -t UTF-8 {path.name}, with the encoding it has.",
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise LogError(
            path.name, "the file must be a complete gzip file", error, "download it again."
        ) from error
    except OSError as error:
        raise LogError(
            path.name, "the file must be readable", error.strerror, "check its permissions."
        ) from error


def csv_header(path: pathlib.Path, delimiter: str = ",", quoted: bool = True) -> list[str]:
    """Return the column names of a CSV file; if not `quoted`, a quote is an ordinary character.

    Raises:
        LogError: The file is empty, or its first line is not a header.
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
                "write the header into the first line, and close its quotes.",
            ) from error
    if not header:
        raise LogError(
            path.name,
            "the first line must name the columns",
            "an empty line",
            "write the header into the first line.",
        )
    return header


def read_csv(
    path: pathlib.Path,
    delimiter: str = ",",
    block: int = BLOCK,
    names: Sequence[str] = (),
    quoted: bool = True,
) -> Iterator[TextRows]:
    """Read a CSV file block by block, all columns as strings.

    Args:
        path: UTF-8 file; may be gzip (.gz).
        delimiter: Character between columns.
        block: Bytes read at once.
        names: Columns of a file without a header, which may be empty. Default: the first line names
            them.
        quoted: Whether values may be in quotes, and then hold line ends; otherwise a quote is an
            ordinary character.

    Raises:
        LogError: A row is longer than a block; a quote is never closed, so that everything after it
            would be one value; or a gzip file has other bytes after its end.
    """
    columns = list(names) or csv_header(path, delimiter, quoted)
    empty = pa.schema([(name, pa.string()) for name in columns]).empty_table()
    if not _has_rows(path, has_header=not names):
        if not names:
            yield TextRows(empty, np.zeros(0, np.int64), [])
        return
    rows = _RowNumbers(has_header=not names)
    with _name_errors(path, block):
        reader = pc.open_csv(
            os.fspath(path),
            read_options=pc.ReadOptions(
                use_threads=False, block_size=block, column_names=list(names) or None
            ),
            parse_options=pc.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                invalid_row_handler=rows.skip,
            ),
            convert_options=pc.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
        )
        for batch in reader:
            numbers = rows.number(batch)
            yield TextRows(pa.Table.from_batches([batch]), numbers, rows.take_broken())
    if broken := rows.take_broken():
        yield TextRows(empty, np.zeros(0, np.int64), broken)
    if quoted and "\n" in rows.last and _ends_in_quotes(path, delimiter):
        raise LogError(
            path.name,
            f"every quote must be closed, and one of row {rows.last_number} is not",
            "the end of the file",
            "close it, or leave it out.",
        )


def _has_rows(path: pathlib.Path, has_header: bool) -> bool:
    """Return whether a file has data rows; Arrow fails on a header without a line end."""
    with open_bytes(path) as file:
        more_lines = has_header and b"\r" in file.readline().rstrip(b"\r\n")
        return more_lines or bool(file.read(1))


class _RowNumbers:
    """Numbers of the data rows of a CSV file while Arrow reads it.

    Args:
        has_header: Whether Arrow counts a header as row 1.

    Attributes:
        last: Text at the end of the last row read.
    """

    def __init__(self, has_header: bool) -> None:
        self.last = ""
        self._header = int(has_header)
        self._broken: list[int] = []
        self._reported, self._next = 0, 1

    @property
    def last_number(self) -> int:
        """1-based data row of the last row read."""
        return max([self._next - 1, *self._broken])

    def skip(self, row: pc.InvalidRow) -> str:
        """Note a row with a wrong number of columns; called by Arrow, which leaves the row out."""
        # The text goes into no message: it may hold a user id.
        self._broken.append(row.number - self._header)
        self.last = row.text
        return "skip"

    def number(self, batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
        """Return the 1-based data row of every row of the next batch, int64 [rows]."""
        end = self._next + batch.num_rows + len(self._broken)
        numbers = np.arange(self._next, end, dtype=np.int64)
        numbers = numbers[~np.isin(numbers, self._broken)][: batch.num_rows]
        if len(numbers):
            self._next = int(numbers[-1]) + 1
            if self._next > max(self._broken, default=0):
                self.last = batch.column(batch.num_columns - 1)[-1].as_py()
        return numbers

    def take_broken(self) -> list[int]:
        """Return the data rows noted by `skip` since the last call."""
        new = self._broken[self._reported :]
        self._reported = len(self._broken)
        return new


@contextlib.contextmanager
def _name_errors(path: pathlib.Path, block: int) -> Iterator[None]:
    """Turn errors of Arrow's reader into errors that name the file."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise LogError(
            path.name,
            f"a row must be CSV of no more than {block:,} bytes",
            "one that is not",
            "close its quotes, or shorten it.",
        ) from error
    except OSError as error:
        # Zeros after the end of a gzip file: Python ignores them, Arrow does not.
        raise LogError(
            path.name,
            "the file must be readable to its end",
            error.strerror or "bytes that are not gzip",
            "download it again, or pack it again.",
        ) from error


def _ends_in_quotes(path: pathlib.Path, delimiter: str) -> bool:
    """Return whether a line appended to the file would be part of its last value."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        with open_bytes(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            lines = itertools.chain(text, ["\n", "end"])
            rows = csv.reader(lines, delimiter=delimiter)
            return collections.deque(rows, maxlen=1).pop() != ["end"]
    finally:
        csv.field_size_limit(limit)
