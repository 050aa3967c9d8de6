"""Where relational work runs: DuckDB, reached through Ibis.

Only this file knows which engine it is. Steps elsewhere are Ibis expressions over its tables, so
that another Ibis engine (Spark) can take its place. What leaves an engine is integers and strings
in an explicit total order, never a float, a hash or an unordered row: those differ from one engine
to the next.
"""

import os
import pathlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import ibis
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Columns = dict[str, npt.NDArray[np.int64]]


def _epoch_us(time: Any) -> Any:
    """Microseconds since the epoch; Ibis has no word for it that every engine knows."""


_MICROSECONDS: Any = ibis.udf.scalar.builtin(
    _epoch_us,
    name="epoch_us",
    signature=((ibis.dtype("timestamp('UTC')"),), ibis.dtype("int64")),
)


class Engine:
    """A relational engine with limited threads and memory; a context manager.

    Args:
        threads: Threads it may use. Default: 2.
        memory_gib: Memory it may use before it spills to disk, in GiB. Default: 6.
        spill: Folder of its temporary files. Default: the engine's own choice.

    Raises:
        ValueError: `threads` or `memory_gib` is not positive.

    Example:
        >>> with Engine(threads=1, memory_gib=1) as engine:
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
        if threads < 1:
            raise ValueError(
                f"`threads` must be at least 1. Received: `threads` = {threads}. "
                "Set --threads to 1 or more."
            )
        if not memory_gib > 0:
            raise ValueError(
                f"`memory_gib` must be positive. Received: `memory_gib` = {memory_gib}. "
                "Set --memory_gib to a positive number."
            )
        options: dict[str, Any] = {"temp_directory": os.fspath(spill)} if spill else {}
        self._connection = ibis.duckdb.connect(
            threads=threads, memory_limit=f"{round(memory_gib * 1024)}MiB", **options
        )
        self._connection.raw_sql("SET TimeZone = 'UTC'")
        self._names = 0

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.disconnect()

    def parquet(self, path: str | os.PathLike[str]) -> ibis.Table:
        """The rows of a Parquet file, read when a step needs them, in no particular order.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if not pathlib.Path(path).is_file():
            raise FileNotFoundError(
                f"A log holds documents, requests and browses as Parquet files. Missing: "
                f"{os.fspath(path)!r}. Write the log again with an importer or the simulator."
            )
        return self._connection.read_parquet(os.fspath(path))

    def table(self, rows: pa.Table) -> ibis.Table:
        """An Arrow table as a table of the engine."""
        self._names += 1
        return self._connection.create_table(f"given_{self._names}", rows, temp=True)

    def materialise(self, expression: ibis.Table) -> ibis.Table:
        """Runs an expression once and keeps its rows as a temporary table."""
        self._names += 1
        return self._connection.create_table(f"step_{self._names}", expression, temp=True)

    def collect(self, expression: ibis.Table, order_by: Sequence[str]) -> pa.Table:
        """The rows of an expression as Arrow, in the order given, which must be total."""
        return self._connection.to_pyarrow(expression.order_by(list(order_by)))

    def fetch(self, expression: ibis.Table, order_by: Sequence[str]) -> Columns:
        """The rows of an expression of integers, without nulls, as one NumPy array a column.

        Raises:
            TypeError: A column is not of integers or holds a null.
        """
        table = self.collect(expression, order_by)
        columns = {}
        for name in table.column_names:
            column = table[name]
            if not pa.types.is_integer(column.type) or column.null_count:
                raise TypeError(
                    f"Column `{name}` should hold integers without nulls. Received: {column.type} "
                    f"with {column.null_count} nulls. Use `collect` for other columns."
                )
            columns[name] = column.to_numpy().astype(np.int64, copy=False)
        return columns


def microseconds(time: ibis.Value) -> ibis.Value:
    """A timestamp column as int64 microseconds since the epoch; null stays null."""
    return _MICROSECONDS(time)
