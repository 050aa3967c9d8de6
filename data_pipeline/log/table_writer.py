"""Write one canonical table of a log and remove its repeated rows."""

import bisect
import pathlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.log.log_summary import find_repeated_rows
from data_pipeline.log.quarantine import quarantine_rows
from data_pipeline.log.row_rules import TWICE
from data_pipeline.log.schema import EXTRA_SCHEMAS, SCHEMAS

_SCHEMAS = {**SCHEMAS, **EXTRA_SCHEMAS}


class TableWriter:
    """Write the kept rows of one table batch by batch, remembering where each came from.

    Args:
        folder: Folder of the table, `<table>.parquet`.
        table: Name of the table.

    Attributes:
        path: The file.
    """

    def __init__(self, folder: pathlib.Path, table: str) -> None:
        self._table, self.path = table, folder / f"{table}.parquet"
        self._writer = pq.ParquetWriter(self.path, _SCHEMAS[table])
        # Parts (file, row numbers) and the position of the first row of each.
        self._parts: list[tuple[str, npt.NDArray[np.int64]]] = []
        self._starts: list[int] = []
        self._rows = 0

    def write(self, rows: pa.RecordBatch, file: str, numbers: npt.NDArray[np.int64]) -> None:
        """Write rows of the table's schema.

        Args:
            rows: The rows.
            file: Name of the file they come from.
            numbers: int64 [rows], 1-based data row of each in `file`.
        """
        self._starts.append(self._rows)
        self._parts.append((file, numbers))
        self._rows += rows.num_rows
        self._writer.write_batch(rows)

    def close(self) -> None:
        """Finish the file; closing it again does nothing."""
        self._writer.close()

    def remove_repeated(self, others: pathlib.Path | None = None) -> list[pa.Table]:
        """Remove all but the first of rows with an equal key from the closed table.

        Args:
            others: Table whose keys count as earlier rows. Default: none.

        Returns:
            The removed rows as tables of `QUARANTINE`.
        """
        repeated = find_repeated_rows(self.path, self._table, others)
        if repeated:
            self._rewrite_without(np.array([position for position, _ in repeated]))
        rejected = []
        for position, value in repeated:
            file, number = self._find_origin(position)
            row = (number, TWICE[self._table], value)
            rejected.append(quarantine_rows(self._table, file, [row]))
        return rejected

    def _find_origin(self, position: int) -> tuple[str, int]:
        """Return file and row number of the row at a position of the table."""
        part = bisect.bisect_right(self._starts, position) - 1
        file, numbers = self._parts[part]
        return file, int(numbers[position - self._starts[part]])

    def _rewrite_without(self, dropped: npt.NDArray[np.int64]) -> None:
        """Rewrite the table without the rows at some positions, one row group at a time."""
        schema, complete = _SCHEMAS[self._table], self.path.with_suffix(".complete")
        self.path.rename(complete)
        first = 0
        with pq.ParquetFile(complete) as source, pq.ParquetWriter(self.path, schema) as target:
            for group in range(source.num_row_groups):
                rows = source.read_row_group(group)
                here = dropped[(dropped >= first) & (dropped < first + rows.num_rows)]
                kept = np.ones(rows.num_rows, bool)
                kept[here - first] = False
                first += rows.num_rows
                target.write_table(rows.filter(pa.array(kept)).cast(schema))
        complete.unlink()
