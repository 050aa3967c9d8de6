"""Raw rows on their way into a log: batches of rows, rejected rows, and a source of both."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class RawBatch:
    """Rows of one table as a source gave them, with their positions in a file.

    Attributes:
        table: "documents", "requests" or "browses".
        rows: Columns of that table, with raw user ids; optional columns may be missing.
        file: Name of the file they come from, for messages and the quarantine.
        first_row: 1-based data row of the first row in `file`.
        numbers: 1-based data row of every row [rows], if they are not consecutive.
    """

    table: str
    rows: pa.Table
    file: str
    first_row: int = 1
    numbers: npt.NDArray[np.int64] | None = None

    def row_numbers(self) -> npt.NDArray[np.int64]:
        """Return the 1-based data row of every row, int64 [rows]."""
        if self.numbers is not None:
            return self.numbers
        return np.arange(self.first_row, self.first_row + self.rows.num_rows, dtype=np.int64)


@dataclasses.dataclass(frozen=True)
class Rejected:
    """Rows that an importer could not turn into canonical ones.

    Attributes:
        table: Table they count to; an importer may name a table of its own, such as its raw file.
        rows: Table of the schema `QUARANTINE`, made by `quarantine_rows`.
        read: Rows of `table` that were read and are not in a `RawBatch`, these rejected ones
            included. Default: as many as `rows`.
    """

    table: str
    rows: pa.Table
    read: int | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A source of raw rows, as every importer returns it.

    Attributes:
        batches: Raw rows, documents first, and rejected rows.
        description: For log.json: name, files (names only), and counts of the rows read; complete
            when `batches` are exhausted.
    """

    batches: Iterator[RawBatch | Rejected]
    description: dict[str, Any]
