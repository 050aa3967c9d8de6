"""The interface of an engine, which runs relational work.

Other rooms write Ibis expressions over the tables of an engine, independent of the engine: DuckDB
(`duckdb_engine`, the default) or Spark (`spark_engine`). Results of an engine are integers and
strings in an explicit total order, never floats, hashes or unordered rows, which would differ
between engines.
"""

import abc
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import ibis
import numpy as np
import pyarrow as pa

from data_pipeline.common.array_types import Columns
from data_pipeline.engine.shards import SHARD, ShardFunction, ShardJob, finish_rows


class Engine(abc.ABC):
    """A relational engine with limited threads and memory; a context manager.

    Strings are compared and ordered by their UTF-8 bytes, which is Python's order of code points.

    Args:
        threads: Threads it may use. Default: 2.
        memory_gib: Memory it may use before it spills to disk, in GiB. Default: 6.
        spill: Folder of its temporary files, for Spark on storage that the executors see. Default: of
            the system.

    Raises:
        ValueError: `threads` or `memory_gib` is not positive.
    """

    def __init__(
        self,
        threads: int = 2,
        memory_gib: float = 6.0,
        spill: str | os.PathLike[str] | None = None,
    ) -> None:
        if threads < 1:
            raise ValueError(
                f"`threads` must be at least 1. Got {threads}. Fix: set --threads to 1 or more."
            )
        if not memory_gib > 0:
            raise ValueError(
                f"`memory_gib` must be positive. Got {memory_gib}. "
                "Fix: set --memory_gib to a positive number."
            )
        self._kept = pathlib.Path(tempfile.mkdtemp(dir=spill)).absolute()
        self._names = 0

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
        """Return the rows of a Parquet file or folder, read when needed, in any order.

        Raises:
            FileNotFoundError: There is no such file.
        """
        if not pathlib.Path(path).exists():
            raise FileNotFoundError(
                f"`path` must be a Parquet file or folder. Got {os.fspath(path)!r}, which does not "
                "exist. Fix: write the log again with an importer or the simulator."
            )
        return self._read(pathlib.Path(path).absolute())

    def collect(self, expression: ibis.Table, order_by: Sequence[str]) -> pa.Table:
        """Return the rows of an expression as Arrow, in the order given, which must be total."""
        return self._rows(expression.order_by(list(order_by)))

    def fetch(self, expression: ibis.Table, order_by: Sequence[str]) -> Columns:
        """Return the rows of an expression of integers without nulls, as a NumPy array per column.

        Raises:
            TypeError: A column is not of integers or holds a null.
        """
        table = self.collect(expression, order_by)
        columns = {}
        for name in table.column_names:
            column = table[name]
            if not pa.types.is_integer(column.type) or column.null_count:
                raise TypeError(
                    f"`{name}` must be a column of integers without nulls. Got {column.type} with "
                    f"{column.null_count} nulls. Fix: use `collect` for other columns."
                )
            columns[name] = column.to_numpy().astype(np.int64, copy=False)
        return columns

    def count(self, expression: ibis.Table) -> int:
        """Return the number of rows of an expression."""
        counted = expression.aggregate(rows=expression.count().cast("int64"))
        return int(self.fetch(counted, ["rows"])["rows"][0])

    def map_shards(
        self,
        tables: Mapping[str, ibis.Table],
        order_by: Mapping[str, Sequence[str]],
        shards: int,
        function: ShardFunction,
        parameters: Mapping[str, Any],
        folder: pathlib.Path,
        workers: int = 1,
    ) -> list[pathlib.Path]:
        """Call a function once for each shard with the shard's rows, and write what it returns.

        Engine, workers, order of the rows and repeated runs change no byte. Shards that an earlier
        call with the same arguments finished in `folder` are not done again.

        Args:
            tables: Tables by name, with an integer column `shard`, 0 ... `shards` - 1. It should be
                computed from a key in integer arithmetic, which is the same in every engine.
            order_by: Columns of each table in whose order the function gets its rows; total.
            shards: Number of shards.
            function: A pure function of a module, `function(tables, **parameters)`: from Arrow
                tables by name (without `shard`; empty for a shard without rows) to Arrow tables by
                name. With several shards it runs in other processes, or on executors of Spark.
            parameters: Plain values of JSON.
            folder: Folder of the shards; exists, for Spark on storage that the executors see.
            workers: Worker processes, with the memory of one shard each. Spark has its executors.

        Returns:
            For each shard the folder of its results, `<name>.arrow` in the Feather format.

        Raises:
            ValueError: A row's `shard` is null or out of range.
            ChildProcessError: A worker process failed.
        """
        job = ShardJob(
            folder=str(folder.absolute()),
            shards=shards,
            function=f"{function.__module__}:{function.__qualname__}",
            parameters=dict(parameters),
            order_by={name: list(columns) for name, columns in order_by.items()},
        )
        missing = job.list_unfinished()
        if missing and not job.rows.is_dir():
            unfinished = job.rows.with_suffix(".tmp")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            for name, rows in tables.items():
                self._save_shards(rows, unfinished / name)
            schemas = {name: t.drop(SHARD).schema().to_pyarrow() for name, t in tables.items()}
            finish_rows(job, unfinished, schemas)
        if shards == 1:
            # One shard needs the memory of all rows anyway.
            for shard in missing:
                job.run(shard)
        elif missing:
            self._run_shards(job, missing, workers)
        shutil.rmtree(job.rows, ignore_errors=True)
        return [job.results(shard) for shard in range(shards)]

    def materialise(self, expression: ibis.Table) -> ibis.Table:
        """Run an expression once and keep its rows in files while the engine is open."""
        path = self._new_path()
        self.save(expression, path)
        return self._read(path)

    def close(self) -> None:
        """Release the resources of the engine; its tables are lost."""
        shutil.rmtree(self._kept, ignore_errors=True)

    def _new_path(self) -> pathlib.Path:
        """Return the absolute path of rows to keep."""
        self._names += 1
        return self._kept / f"{self._names}.parquet"

    @abc.abstractmethod
    def table(self, rows: pa.Table) -> ibis.Table:
        """Make a table of the engine from an Arrow table."""

    @abc.abstractmethod
    def number(self, table: ibis.Table, name: str, order_by: Sequence[str]) -> ibis.Table:
        """Add the int64 column `name`: the number of each row from 1 on, in a total order."""

    @abc.abstractmethod
    def save(self, expression: ibis.Table, path: pathlib.Path) -> None:
        """Write the rows of an expression for `parquet`, in any order.

        Args:
            expression: The rows.
            path: Absolute path that does not exist yet; Spark makes a folder.
        """

    @abc.abstractmethod
    def microseconds(self, time: ibis.Value) -> ibis.Value:
        """Convert a timestamp column to int64 microseconds since the epoch; null stays null."""

    @abc.abstractmethod
    def _save_shards(self, expression: ibis.Table, path: pathlib.Path) -> None:
        """Write the rows of an expression as Parquet files in folders `shard=<number>` of `path`."""

    @abc.abstractmethod
    def _run_shards(self, job: ShardJob, shards: Sequence[int], workers: int) -> None:
        """Run some shards of a job, each once."""

    @abc.abstractmethod
    def _read(self, path: pathlib.Path) -> ibis.Table:
        """Return the rows of a Parquet file or folder that exists, by its absolute path."""

    @abc.abstractmethod
    def _rows(self, expression: ibis.Table) -> pa.Table:
        """Return the rows of an ordered expression."""
