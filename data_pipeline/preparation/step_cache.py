"""Results of finished steps, kept on disk: a killed preparation resumes after the last of them.

A step has a folder of its own, written under a temporary name and renamed when it is complete:

result.json    plain values, lists, dicts and dataclasses, with the names of the files below
<n>.npy        an array
<n>.parquet    a table, written and read by the engine

Nothing in it runs code when it is read, so a folder on a shared disk is as safe as its numbers.
Arrays are read back as memory maps, whose pages each step gives back at its end, and tables as
Parquet files, so results that no step is using take no memory.
"""

import contextlib
import dataclasses
import json
import mmap
import os
import pathlib
import resource
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

import ibis
import numpy as np
import pyarrow as pa

from data_pipeline.engine.base import Engine

Result = TypeVar("Result")

_RESULT, _FINGERPRINT = "result.json", "fingerprint.json"
_PACKAGE = "data_pipeline."
# Keys of result.json that mark what JSON has no word for.
_ARRAY, _TABLE, _TUPLE, _CLASS, _FIELDS = "array", "table", "tuple", "dataclass", "fields"
_DICT = "dict"


class Steps:
    """Runs steps once each and keeps their results in a folder.

    Args:
        folder: Folder of the results; made if it does not exist. Results of another fingerprint are
            removed.
        engine: Reads and writes tables.
        fingerprint: Everything that results depend on; plain values.

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
        file = folder / _FINGERPRINT
        text = json.dumps(fingerprint, sort_keys=True)
        self.anew = not file.is_file() or file.read_text("utf-8") != text
        if self.anew:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            file.write_text(text, "utf-8")

    def run(self, name: str, make: Callable[[], Result]) -> Result:
        """Return the result of a step: `make()`, or what an earlier run made.

        Args:
            name: Name of the step, also of its folder.
            make: Makes the result: arrays, Ibis tables and plain values, in dataclasses of
                `data_pipeline`, tuples, lists and dicts. It may write files elsewhere; after a kill
                it is called again. An array that is mapped from a file of its own must not be
                altered afterwards.

        Returns:
            The result as read from disk; its arrays are read-only memory maps.

        Raises:
            TypeError: The result holds something else.
            ValueError: The result on disk was not written by this program.
        """
        folder = self._folder / name
        if not folder.is_dir():
            began = time.monotonic()
            unfinished = folder.with_name(name + ".tmp")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            plain = _Writer(unfinished, self._engine).to_plain(make())
            (unfinished / _RESULT).write_text(json.dumps(plain), "utf-8")
            unfinished.rename(folder)
            shutil.rmtree(self._scratch(name), ignore_errors=True)
            for pages in self._maps:
                pages.madvise(mmap.MADV_DONTNEED)
            # Arrow keeps what it no longer uses.
            pa.default_memory_pool().release_unused()
            self.seconds[name] = time.monotonic() - began
            # Of the largest process, worker processes included.
            processes = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
            peak = max(resource.getrusage(which).ru_maxrss for which in processes) / 2**20
            print(f"  {name:<30}{self.seconds[name]:9.1f} s{peak:8.2f} GiB at most", flush=True)
        plain = json.loads((folder / _RESULT).read_text("utf-8"))
        return cast(Result, _Reader(folder, self._engine, self._maps).from_plain(plain))

    def open_scratch(self, name: str) -> pathlib.Path:
        """Make a step's folder of unfinished work, and return it.

        It is kept after a kill or an error, and removed when the step is done.
        """
        folder = self._scratch(name)
        folder.mkdir(exist_ok=True)
        return folder

    def _scratch(self, name: str) -> pathlib.Path:
        return self._folder / f"{name}.unfinished"


def _save(array: np.ndarray, path: pathlib.Path) -> None:
    """Like np.save, but hard-link an array that already is a complete memory map of its file."""
    # A view (reversed, transposed) may be as large as the file, but differs from its content.
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
        file = str(array.filename)
        if os.path.getsize(file) == array.offset + array.nbytes:
            with contextlib.suppress(OSError):
                os.link(file, path)
                return
    np.save(path, array, allow_pickle=False)


class _Writer:
    """Turns a result into values of JSON; arrays and tables become files of their own."""

    def __init__(self, folder: pathlib.Path, engine: Engine) -> None:
        self._folder, self._engine, self._written = folder, engine, 0

    def to_plain(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, np.ndarray):
            name = self._new_name("npy")
            _save(value, self._folder / name)
            return {_ARRAY: name}
        if isinstance(value, ibis.Table):
            name = self._new_name("parquet")
            self._engine.save(value, (self._folder / name).absolute())
            return {_TABLE: name}
        if type(value) is list:
            return [self.to_plain(item) for item in value]
        if type(value) is tuple:
            return {_TUPLE: [self.to_plain(item) for item in value]}
        if type(value) is dict:
            return {_DICT: [[key, self.to_plain(item)] for key, item in value.items()]}
        kind = type(value)
        name = f"{kind.__module__}:{kind.__qualname__}"
        if dataclasses.is_dataclass(value) and _find_dataclass(name) is kind:
            fields = {
                field.name: self.to_plain(getattr(value, field.name))
                for field in dataclasses.fields(value)
            }
            return {_CLASS: name, _FIELDS: fields}
        raise TypeError(
            "`make` must return arrays, tables and plain values, in dataclasses of data_pipeline, "
            f"tuples, lists and dicts. Got a value of {kind}. Fix: convert it in the step."
        )

    def _new_name(self, ending: str) -> str:
        self._written += 1
        return f"{self._written - 1}.{ending}"


class _Reader:
    """Reads back what `_Writer` wrote."""

    def __init__(self, folder: pathlib.Path, engine: Engine, maps: list[mmap.mmap]) -> None:
        self._folder, self._engine, self._maps = folder, engine, maps

    def from_plain(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.from_plain(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        if _ARRAY in plain:
            array = np.load(self._folder / plain[_ARRAY], mmap_mode="r", allow_pickle=False)
            self._maps.append(array.base)
            return array
        if _TABLE in plain:
            return self._engine.parquet(self._folder / plain[_TABLE])
        if _TUPLE in plain:
            return tuple(self.from_plain(item) for item in plain[_TUPLE])
        if _DICT in plain:
            return {key: self.from_plain(item) for key, item in plain[_DICT]}
        kind = _find_dataclass(plain[_CLASS])
        if kind is None:
            raise ValueError(
                f"`{_CLASS}` must name a dataclass of data_pipeline in {self._folder / _RESULT}. "
                f"Got {plain[_CLASS]!r}. Fix: remove the folder of steps and prepare again."
            )
        return kind(**{name: self.from_plain(item) for name, item in plain[_FIELDS].items()})


def _find_dataclass(name: str) -> Any:
    """Return the dataclass of an imported module of this package, None for any other name."""
    module, _, qualified = name.partition(":")
    if not module.startswith(_PACKAGE):
        return None
    found = getattr(sys.modules.get(module), qualified, None)
    return found if isinstance(found, type) and dataclasses.is_dataclass(found) else None
