"""Finished steps of a preparation, kept on disk: a killed run goes on where it stood.

A step's result is written under a temporary name and renamed when it is whole. Arrays are read back
as memory maps, whose pages each step gives back at its end, and tables as Parquet files, so that what
no step is using takes no memory.
"""

import contextlib
import json
import mmap
import os
import pathlib
import pickle
import resource
import shutil
import time
from collections.abc import Callable
from typing import Any, TypeVar

import ibis
import numpy as np

from data_pipeline.engine.base import Engine

Result = TypeVar("Result")

_RESULT, _FINGERPRINT = "result.pickle", "fingerprint.json"


class Steps:
    """Runs steps once each and keeps their results in a folder.

    Args:
        folder: Where results lie; made if it does not exist. Results of another fingerprint are
            thrown away.
        engine: Reads and writes tables.
        fingerprint: Whatever results depend on; plain values.

    Attributes:
        seconds: Seconds of each step this object ran, by name.
        anew: Whether no earlier result could be used.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> from data_pipeline.engine.duckdb_engine import DuckDBEngine
        >>> with DuckDBEngine(threads=1, memory_gib=1) as engine:
        ...     first = Steps(folder, engine, {"seed": 1}).run("draw", lambda: np.arange(3))
        ...     again = Steps(folder, engine, {"seed": 1}).run("draw", lambda: 1 / 0)
          draw ... GiB at most
        >>> first.tolist() == again.tolist()
        True
    """

    def __init__(self, folder: pathlib.Path, engine: Engine, fingerprint: dict[str, Any]) -> None:
        self._folder, self._engine = folder, engine
        self._maps: list[mmap.mmap] = []
        self.seconds: dict[str, float] = {}
        mark = folder / _FINGERPRINT
        text = json.dumps(fingerprint, sort_keys=True)
        self.anew = not mark.is_file() or mark.read_text("utf-8") != text
        if self.anew:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(text, "utf-8")

    def run(self, name: str, make: Callable[[], Result]) -> Result:
        """The result of a step: `make()`, or what an earlier run made.

        Args:
            name: Name of the step, also of its folder.
            make: Makes the result: arrays, Ibis tables and plain values, in dataclasses, tuples,
                lists and dicts. It may write files elsewhere; after a kill it is called again. An
                array that is mapped from a file of its own must not be altered afterwards.

        Returns:
            The result as read from disk; its arrays are read-only memory maps.
        """
        folder = self._folder / name
        if not folder.is_dir():
            began = time.monotonic()
            fresh = folder.with_name(name + ".tmp")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            with open(fresh / _RESULT, "wb") as file:
                _Pickler(file, fresh, self._engine).dump(make())
            fresh.rename(folder)
            for pages in self._maps:
                pages.madvise(mmap.MADV_DONTNEED)
            self.seconds[name] = time.monotonic() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"  {name:<30}{self.seconds[name]:9.1f} s{peak:8.2f} GiB at most", flush=True)
        with open(folder / _RESULT, "rb") as file:
            return _Unpickler(file, folder, self._engine, self._maps).load()


def _save(array: np.ndarray, path: pathlib.Path) -> None:
    """`np.save`, but what is mapped from a file of its own is not written again: it gets a name."""
    # A view (reversed, transposed) may be as large as the file and is not what stands in it.
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
        file = str(array.filename)
        if os.path.getsize(file) == array.offset + array.nbytes:
            with contextlib.suppress(OSError):
                os.link(file, path)
                return
    np.save(path, array)


class _Pickler(pickle.Pickler):
    """Puts arrays and tables into files of their own."""

    def __init__(self, file: Any, folder: pathlib.Path, engine: Engine) -> None:
        super().__init__(file)
        self._folder, self._engine, self._written = folder, engine, 0

    def persistent_id(self, value: Any) -> tuple[str, str] | None:
        if isinstance(value, np.ndarray):
            kind, name = "array", f"{self._written}.npy"
            _save(value, self._folder / name)
        elif isinstance(value, ibis.Table):
            kind, name = "table", f"{self._written}.parquet"
            self._engine.save(value, (self._folder / name).absolute())
        else:
            return None
        self._written += 1
        return kind, name


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: Any, folder: pathlib.Path, engine: Engine, maps: list[mmap.mmap]
    ) -> None:
        super().__init__(file)
        self._folder, self._engine, self._maps = folder, engine, maps

    def persistent_load(self, place: tuple[str, str]) -> Any:
        kind, name = place
        path = os.fspath(self._folder / name)
        if kind == "table":
            return self._engine.parquet(path)
        array = np.load(path, mmap_mode="r")
        self._maps.append(array.base)
        return array
