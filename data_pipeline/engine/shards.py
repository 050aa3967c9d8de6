"""Shards: rows of tables written apart, so that each part is worked on with the memory of one.

A folder of shards holds

rows-of-00008/<table>/shard=3/*.parquet    rows of a shard, in any order
rows-of-00008/<table>/schema.parquet       the columns of the table, without rows
00003-of-00008/<result>.arrow              results of a shard

Each gets its name when it is complete, so a killed run redoes unfinished shards only. This file is
also the command of a worker process, which ends with the process that started it.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from data_pipeline.common.array_types import Columns

SHARD = "shard"
"""Column with the number of each row's shard."""

ShardFunction = Callable[..., Mapping[str, pa.Table]]
"""`function(tables, **parameters)`: from the rows of a shard to its results, both by name."""

_SCHEMA = "schema.parquet"


def count_shards(rows: int, most: int) -> int:
    """Return how many shards hold at most `most` rows each on average; at least 1.

    Example:
        >>> count_shards(0, 10), count_shards(10, 10), count_shards(11, 10)
        (1, 1, 2)
    """
    return max(1, -(-rows // most))


@dataclasses.dataclass(frozen=True)
class ShardJob:
    """A function for every shard of a folder, in plain values.

    Attributes:
        folder: Absolute path of the folder of shards.
        shards: Number of shards.
        function: "module:name" of a `ShardFunction`.
        parameters: Its other arguments; plain values of JSON.
        order_by: Columns that give a total order of the rows, for each table by name.
    """

    folder: str
    shards: int
    function: str
    parameters: dict[str, Any]
    order_by: dict[str, list[str]]

    @property
    def rows(self) -> pathlib.Path:
        """Return the folder of the rows."""
        return pathlib.Path(self.folder, f"rows-of-{self.shards:05d}")

    def results(self, shard: int) -> pathlib.Path:
        """Return the folder of a shard's results."""
        return pathlib.Path(self.folder, f"{shard:05d}-of-{self.shards:05d}")

    def list_unfinished(self) -> list[int]:
        """Return the shards without results."""
        return [shard for shard in range(self.shards) if not self.results(shard).is_dir()]

    def run(self, shard: int) -> None:
        """Call the function with the rows of a shard and write its results.

        Two runs at a time write the same files; those of the first are kept.
        """
        module, name = self.function.split(":")
        function: ShardFunction = getattr(importlib.import_module(module), name)
        tables = {name: self._read(name, shard) for name in self.order_by}
        final = self.results(shard)
        unfinished = tempfile.mkdtemp(prefix=f"{final.name}.", dir=self.folder)
        for name, table in function(tables, **self.parameters).items():
            feather.write_feather(table, f"{unfinished}/{name}.arrow", compression="uncompressed")
        try:
            os.rename(unfinished, final)
        except OSError:
            shutil.rmtree(unfinished)
            if not final.is_dir():
                raise

    def _read(self, name: str, shard: int) -> pa.Table:
        """Return the rows of a table in a shard, in their order."""
        folder = self.rows / name
        schema = pq.read_schema(folder / _SCHEMA)
        files = sorted((folder / f"{SHARD}={shard}").glob("*.parquet"))
        parts = [pq.read_table(file, schema=schema, partitioning=None) for file in files]
        rows = pa.concat_tables([schema.empty_table(), *parts])
        return rows.sort_by([(column, "ascending") for column in self.order_by[name]])


def to_columns(table: pa.Table) -> Columns:
    """Return the columns of a table of integers without nulls, as NumPy arrays."""
    return {name: table[name].to_numpy() for name in table.column_names}


def open_result(shard: pathlib.Path, name: str) -> pa.Table:
    """Return a result of a shard by name, mapped from its file.

    Args:
        shard: Folder of the results of the shard, of `Engine.map_shards`.
        name: Name of the result.
    """
    return feather.read_table(shard / f"{name}.arrow", memory_map=True)


def finish_rows(job: ShardJob, unfinished: pathlib.Path, schemas: Mapping[str, pa.Schema]) -> None:
    """Check the rows that an engine wrote to a folder, and give it its name.

    Raises:
        ValueError: A row has no shard, or one that there is not.
    """
    expected = {f"{SHARD}={shard}" for shard in range(job.shards)}
    for name, schema in schemas.items():
        wrong = {path.name for path in (unfinished / name).glob(f"{SHARD}=*")} - expected
        if wrong:
            raise ValueError(
                f"`{SHARD}` must be a number from 0 to {job.shards - 1} in every row of `{name}`. "
                f"Got {min(wrong)} (a null is __HIVE_DEFAULT_PARTITION__). Fix: compute it from a "
                "key without nulls."
            )
        (unfinished / name).mkdir(exist_ok=True)
        pq.write_table(schema.empty_table(), unfinished / name / _SCHEMA)
    unfinished.rename(job.rows)


def run_in_processes(job: ShardJob, shards: Sequence[int], workers: int) -> None:
    """Run shards in worker processes, each with the memory of one shard at a time.

    Raises:
        ChildProcessError: A worker ended with an error, or was killed.
    """
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    options: dict[str, Any] = {"text": True, "env": {**os.environ, "PYTHONPATH": paths}}
    with contextlib.ExitStack() as stack:
        running = []
        for number in range(min(workers, len(shards))):
            errors = stack.enter_context(tempfile.TemporaryFile("w+"))
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stderr=errors,
                    **options,
                )
            )
            stack.callback(process.kill)
            assert process.stdin is not None
            work = {"job": dataclasses.asdict(job), "shards": list(shards[number::workers])}
            process.stdin.write(json.dumps(work) + "\n")
            process.stdin.flush()
            running.append((process, errors))
        for process, errors in running:
            if process.wait():
                errors.seek(0)
                last = (errors.read().strip().splitlines() or ["no message"])[-1]
                raise ChildProcessError(
                    f"`{job.function}` must end without an error for every shard. Got a worker that "
                    f"ended with {process.returncode}: {last}. Fix: give more memory or set --shards "
                    "higher, then rerun the same command, which resumes."
                )


def main() -> None:
    """Run the shards that standard input names, as a worker process."""
    work = json.loads(sys.stdin.readline())

    def wait_for_parent() -> None:
        # Its end of the pipe closes when it ends, also if it is killed.
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
    job = ShardJob(**work["job"])
    for shard in work["shards"]:
        job.run(shard)


if __name__ == "__main__":
    main()
