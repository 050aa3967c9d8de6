"""Open the engine of a preparation."""

import os

from data_pipeline.engine.base import Engine
from data_pipeline.settings import PrepareSettings


def connect(settings: PrepareSettings, spill: str | os.PathLike[str]) -> Engine:
    """Open the engine that `--engine` names, with its temporary files in the folder `spill`.

    Raises:
        ValueError: There is no such engine, or as for `Engine`.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> from data_pipeline.settings import PrepareSettings
        >>> settings = PrepareSettings(threads=1, memory_gib=1)
        >>> with tempfile.TemporaryDirectory() as spill, connect(settings, spill) as engine:
        ...     table = engine.table(pa.table({"a": [3, 1, 2]}))
        ...     engine.fetch(table.filter(table.a > 1), order_by=["a"])
        {'a': array([2, 3])}
    """
    if settings.engine == "spark":
        from data_pipeline.engine.spark_engine import SparkEngine

        return SparkEngine(settings.threads, settings.memory_gib, spill, settings.spark_master)
    if settings.engine != "duckdb":
        raise ValueError(
            f"`engine` must be 'duckdb' or 'spark'. Got {settings.engine!r}. "
            "Fix: set --engine to one of them."
        )
    from data_pipeline.engine.duckdb_engine import DuckDBEngine

    return DuckDBEngine(settings.threads, settings.memory_gib, spill)
