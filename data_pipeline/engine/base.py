"""The contract of an engine, where relational work runs.

Steps elsewhere are Ibis expressions over an engine's tables and never know which engine it is:
DuckDB (`duckdb_engine`, the default) or Spark (`spark_engine`). What leaves an engine is integers
and strings in an explicit total order, never a float, a hash or an unordered row: those differ
from data_pipeline.common.array_types import Columns
from one engine to the next.
"""

import abc
import os
import pathlib
from collections.abc import Sequence
from types import TracebackType

import ibis
import numpy as np
import pyarrow as pa

from data_pipeline.common.array_types import Columns


class Engine(abc.ABC):
    """A relational engine with limited threads and memory; a context manager.

    Strings are compared and ordered by their UTF-8 bytes, which is Python's order of code points.

    Args:
        threads: Threads it may use. Default: 2.
        memory_gib: Memory it may use before it spills to disk, in GiB. Default: 6.

    Raises:
        ValueError: `threads` or `memory_gib` is not positive.
    """

    def __init__(self, threads: int = 2, memory_gib: float = 6.0) -> None:
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

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def parquet(self, path: str | os.PathLike[str]) -> ibis.Table:
        """The rows of a Parquet file or folder, read when needed, in no particular order.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if not pathlib.Path(path).exists():
            raise FileNotFoundError(
                f"A log holds documents, requests and browses as Parquet files. Missing: "
                f"{os.fspath(path)!r}. Write the log again with an importer or the simulator."
            )
        return self._read(pathlib.Path(path).absolute())

    def collect(self, expression: ibis.Table, order_by: Sequence[str]) -> pa.Table:
        """The rows of an expression as Arrow, in the order given, which must be total."""
        return self._rows(expression.order_by(list(order_by)))

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

    @abc.abstractmethod
    def close(self) -> None:
        """Gives back what the engine holds; its tables are gone."""

    @abc.abstractmethod
    def table(self, rows: pa.Table) -> ibis.Table:
        """An Arrow table as a table of the engine."""

    @abc.abstractmethod
    def materialise(self, expression: ibis.Table) -> ibis.Table:
        """Runs an expression once and keeps its rows while the engine is open."""

    @abc.abstractmethod
    def save(self, expression: ibis.Table, path: pathlib.Path) -> None:
        """Writes the rows of an expression for `parquet`, in no particular order.

        Args:
            expression: What to write.
            path: Absolute path of what does not exist yet; Spark makes a folder of it.
        """

    @abc.abstractmethod
    def microseconds(self, time: ibis.Value) -> ibis.Value:
        """A timestamp column as int64 microseconds since the epoch; null stays null."""

    @abc.abstractmethod
    def _read(self, path: pathlib.Path) -> ibis.Table:
        """The rows of a Parquet file or folder that exists, by its absolute path."""

    @abc.abstractmethod
    def _rows(self, expression: ibis.Table) -> pa.Table:
        """The rows of an ordered expression."""
