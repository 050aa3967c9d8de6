"""The engine for logs that are too large for one machine: Spark (extra `spark`).

The same expressions run as Spark SQL without Python functions. Functions of shards run in Python on
the executors, which need this package for them. By default Spark runs in local mode; `master` or the
configuration of the environment selects a cluster.
"""

import os
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ibis
import pyarrow as pa

from data_pipeline.engine.base import Engine
from data_pipeline.engine.java import check_java, java
from data_pipeline.engine.shards import SHARD, ShardJob

LOCAL = "local"


def _unix_micros(time: Any) -> Any:
    """Microseconds since the epoch; Ibis has no function for it that every engine has."""


_MICROSECONDS: Any = ibis.udf.scalar.builtin(
    _unix_micros,
    name="unix_micros",
    signature=((ibis.dtype("timestamp"),), ibis.dtype("int64")),
)


class SparkEngine(Engine):
    """Spark: the running session, or a new one that ends with the engine.

    Args:
        threads, memory_gib: As for `Engine`; for local mode only.
        spill: As for `Engine`.
        master: `local`: Spark in local mode with the limits above. Anything else is a master's
            address (`spark://host:7077`, `yarn`, ...). Empty: as configured by spark-submit or
            spark-defaults.conf. Default: `local`.

    Raises:
        ModuleNotFoundError: pyspark is missing.
        FileNotFoundError: Java is missing.
    """

    def __init__(
        self,
        threads: int = 2,
        memory_gib: float = 6.0,
        spill: str | os.PathLike[str] | None = None,
        master: str = LOCAL,
    ) -> None:
        super().__init__(threads, memory_gib, spill)
        try:
            from pyspark.sql import SparkSession
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "`engine` must be 'duckdb' without pyspark. Got 'spark'. Fix: run "
                "`pip install '.[spark]'`, or set --engine=duckdb."
            ) from error
        running = SparkSession.getActiveSession()
        self._owned = None
        if running is None:
            self._owned = running = _start(SparkSession.builder, threads, memory_gib, spill, master)
        # Own names of tables and SQL settings, also if this process uses Spark elsewhere.
        self._session = running.newSession()
        self._connection = ibis.pyspark.connect(self._session)

    def close(self) -> None:
        """Stop Spark, unless it was running before."""
        if self._owned is not None:
            self._owned.stop()
        super().close()

    def table(self, rows: pa.Table) -> ibis.Table:
        """Make a temporary view from an Arrow table."""
        return self._view(self._session.createDataFrame(rows))

    def number(self, table: ibis.Table, name: str, order_by: Sequence[str]) -> ibis.Table:
        """Add the int64 column `name`: the number of each row from 1 on, in a total order.

        A window over all rows would bring them to one executor; here each executor sorts a range.
        """
        from pyspark.sql import functions

        order = [functions.col(column).asc_nulls_last() for column in order_by]
        rows = self._frame(table).orderBy(*order)
        rows = rows.withColumn("range", functions.spark_partition_id())
        # The lower 33 bits are the place in the partition.
        place = functions.monotonically_increasing_id().bitwiseAND(2**33 - 1)
        # Kept, since sorting again might cut other ranges.
        path = self._new_path().as_uri()
        rows.withColumn("place", place).write.parquet(path)
        rows = self._session.read.parquet(path)
        counts = dict(rows.groupBy("range").count().collect())
        before, starts = 0, [0] * (max(counts, default=0) + 1)
        for part in sorted(counts):
            starts[part], before = before, before + counts[part]
        start = functions.array(*map(functions.lit, starts))[functions.col("range")]
        number = (functions.col("place") + start + 1).cast("bigint")
        return self._view(rows.withColumn(name, number).drop("range", "place"))

    def save(self, expression: ibis.Table, path: pathlib.Path) -> None:
        """Write the rows of an expression as a folder of Parquet files."""
        self._frame(expression).write.parquet(path.as_uri())

    def microseconds(self, time: ibis.Value) -> ibis.Value:
        """Convert a timestamp column to int64 microseconds since the epoch; null stays null."""
        return _MICROSECONDS(time)

    def _save_shards(self, expression: ibis.Table, path: pathlib.Path) -> None:
        self._frame(expression).write.partitionBy(SHARD).parquet(path.as_uri())

    def _run_shards(self, job: ShardJob, shards: Sequence[int], workers: int) -> None:
        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for shard in batch[SHARD].to_pylist():
                    job.run(shard)
                yield batch

        given = self._session.createDataFrame(pa.table({SHARD: pa.array(shards, pa.int64())}))
        # A task for each shard.
        given.repartitionByRange(len(shards), SHARD).mapInArrow(run, given.schema).collect()

    def _read(self, path: pathlib.Path) -> ibis.Table:
        return self._view(self._session.read.parquet(path.as_uri()))

    def _rows(self, expression: ibis.Table) -> pa.Table:
        # Not through Ibis, which uses pandas and turns integers with nulls into floats.
        return self._frame(expression).toArrow()

    def _frame(self, expression: ibis.Table) -> Any:
        from ibis.backends.pyspark.datatypes import PySparkSchema

        # Row numbers have 32 bits in Spark; Ibis assumes 64 and leaves our casts out.
        schema = PySparkSchema.from_ibis(expression.schema())
        return self._session.sql(self._connection.compile(expression)).to(schema)

    def _view(self, frame: Any) -> ibis.Table:
        self._names += 1
        name = f"table_{self._names}"
        frame.createTempView(name)
        return self._connection.table(name)


def _start(
    builder: Any,
    threads: int,
    memory_gib: float,
    spill: str | os.PathLike[str] | None,
    master: str,
) -> Any:
    """Start a Spark session."""
    if master == LOCAL:
        options = {
            "spark.master": f"local[{threads}]",
            "spark.driver.memory": f"{round(memory_gib * 1024)}m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.shuffle.partitions": str(2 * threads),
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "ERROR",
        }
        if spill is not None:
            options["spark.local.dir"] = os.fspath(spill)
        # Python of the executors.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        with java():
            return builder.config(map=options).getOrCreate()
    check_java()
    return (builder.master(master) if master else builder).getOrCreate()
