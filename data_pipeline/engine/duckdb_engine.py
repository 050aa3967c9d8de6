"""The default engine: DuckDB, in this process; data larger than memory spill to disk."""

import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import ibis
import pyarrow as pa

from data_pipeline.engine.base import Engine
from data_pipeline.engine.shards import SHARD, ShardJob, run_in_processes


def _epoch_us(time: Any) -> Any:
    """Microseconds since the epoch; Ibis has no function for it that every engine has."""


_MICROSECONDS: Any = ibis.udf.scalar.builtin(
    _epoch_us,
    name="epoch_us",
    signature=((ibis.dtype("timestamp('UTC')"),), ibis.dtype("int64")),
)


class DuckDBEngine(Engine):
    """DuckDB with limited threads and memory.

    Args:
        threads, memory_gib, spill: As for `Engine`.

    Example:
        >>> with DuckDBEngine(threads=1, memory_gib=1) as engine:
        ...     table = engine.table(pa.table({"a": [3, 1, 2]}))
        ...     engine.fetch(table.filter(table.a > 1), order_by=["a"])
        {'a': array([2, 3])}
    """

    def __init__(
        self,
        threads: int = 2,
        memory_gib: float = 6.0,
        spill: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(threads, memory_gib, spill)
        self._connection = ibis.duckdb.connect(
            threads=threads,
            memory_limit=f"{round(memory_gib * 1024)}MiB",
            temp_directory=os.fspath(self._kept),
        )
        self._connection.raw_sql("SET TimeZone = 'UTC'")
        # Readers of rows give an order; preserving the insertion order would take memory.
        self._connection.raw_sql("SET preserve_insertion_order = false")
        # Without it the peak memory of queries is kept, a third of the limit and more.
        self._connection.raw_sql("SET allocator_background_threads = true")
        self._files: dict[Any, pathlib.Path] = {}

    def close(self) -> None:
        """Close the connection and remove the materialised tables."""
        self._connection.disconnect()
        super().close()

    def table(self, rows: pa.Table) -> ibis.Table:
        """Make a temporary table from an Arrow table."""
        self._names += 1
        return self._connection.create_table(f"given_{self._names}", rows, temp=True)

    def materialise(self, expression: ibis.Table) -> ibis.Table:
        """Run an expression once and keep its rows in a file: tables of DuckDB take memory."""
        path = self._new_path()
        self._write(expression, path)
        table = self._read(path)
        self._files[table.op()] = path
        return table

    def number(self, table: ibis.Table, name: str, order_by: Sequence[str]) -> ibis.Table:
        """Add the int64 column `name`: the number of each row from 1 on, in a total order."""
        number = ibis.row_number().over(order_by=list(order_by)) + 1
        return table.mutate(**{name: number.cast("int64")})

    def save(self, expression: ibis.Table, path: pathlib.Path) -> None:
        """Write the rows of an expression as one Parquet file; link it if it is materialised."""
        written = self._files.get(expression.op())
        if written is None:
            self._write(expression, path)
            return
        try:
            os.link(written, path)
        except OSError:
            shutil.copyfile(written, path)

    def _save_shards(self, expression: ibis.Table, path: pathlib.Path) -> None:
        self._write(expression, path, f", PARTITION_BY ({SHARD})")

    def _run_shards(self, job: ShardJob, shards: Sequence[int], workers: int) -> None:
        run_in_processes(job, shards, workers)

    def _write(self, expression: ibis.Table, path: pathlib.Path, options: str = "") -> None:
        # A sum of DuckDB has 128 bits, which Parquet does not support.
        columns = ", ".join(
            f'CAST("{name}" AS BIGINT) AS "{name}"' if kind.is_int64() else f'"{name}"'
            for name, kind in expression.schema().items()
        )
        rows, file = self._connection.compile(expression), os.fspath(path).replace("'", "''")
        self._connection.raw_sql(
            f"COPY (SELECT {columns} FROM ({rows})) TO '{file}' (FORMAT parquet{options})"
        )

    def microseconds(self, time: ibis.Value) -> ibis.Value:
        """Convert a timestamp column to int64 microseconds since the epoch; null stays null."""
        return _MICROSECONDS(time)

    def _read(self, path: pathlib.Path) -> ibis.Table:
        return self._connection.read_parquet(path)

    def _rows(self, expression: ibis.Table) -> pa.Table:
        return self._connection.to_pyarrow(expression)
