"""Arrays in files: written piece by piece, and mapped, with pages that stay until they are given back."""

import contextlib
import dataclasses
import math
import mmap
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from data_pipeline.common.array_types import Columns


@contextlib.contextmanager
def array_file(
    path: str | os.PathLike[str], dtype: str, row: tuple[int, ...] = ()
) -> Iterator[BinaryIO]:
    """Open a file of `np.load` for the pieces of an array, first axis first.

    Args:
        path: The file; an existing one is replaced.
        dtype: NumPy's letters, such as `<f4`.
        row: Shape of one of its rows; their number is that of the rows written. Default: a number.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npy") as place:
        ...     with array_file(place.name, "<i8") as file:
        ...         np.arange(2).tofile(file)
        ...         np.array([7]).tofile(file)
        ...     np.load(place.name).tolist()
        [0, 1, 7]
    """

    def write_header(rows: int) -> None:
        header = {"descr": dtype, "fortran_order": False, "shape": (rows, *row)}
        np.lib.format.write_array_header_1_0(file, header)

    with open(path, "wb") as file:
        # NumPy leaves room for any number of rows, so the header keeps its length.
        write_header(0)
        begin = file.tell()
        yield file
        rows = (file.seek(0, os.SEEK_END) - begin) // (np.dtype(dtype).itemsize * math.prod(row))
        file.seek(0)
        write_header(rows)


class ColumnFiles:
    """Columns of integers written block by block, each to a file of its own, and mapped.

    Args:
        folder: Existing folder of the files.
        table: Beginning of their names.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = ColumnFiles(folder, "rows")
        ...     files.append({"a": np.arange(2)})
        ...     files.append({"a": np.array([7])})
        ...     files.finish()["a"].tolist()
        [0, 1, 7]
    """

    def __init__(self, folder: str | os.PathLike[str], table: str) -> None:
        self._prefix = f"{os.fspath(folder)}/{table}"
        self._open = contextlib.ExitStack()
        self._files: dict[str, BinaryIO] = {}

    def append(self, columns: Columns) -> None:
        """Write rows; the columns are the same in every call."""
        for name, values in columns.items():
            if name not in self._files:
                opened = array_file(self._path(name), "<i8")
                self._files[name] = self._open.enter_context(opened)
            values.astype("<i8", copy=False).tofile(self._files[name])

    def finish(self) -> Columns:
        """Return the columns, mapped from their files."""
        self._open.close()
        return {
            name: np.load(self._path(name), mmap_mode="r", allow_pickle=False)
            for name in self._files
        }

    def _path(self, name: str) -> str:
        return f"{self._prefix}-{name}.npy"


def release_pages(*values: Any) -> None:
    """Give back the memory of mapped arrays; their pages are read again when they are needed.

    Args:
        values: Arrays, and dicts and dataclasses of arrays; those in memory stay as they are.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        ...     np.save(file.name, np.arange(3))
        ...     array = np.load(file.name, mmap_mode="r")
        ...     release_pages({"a": array}, np.arange(2))
        ...     array.tolist()
        [0, 1, 2]
    """
    for value in values:
        if isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap):
            value.base.madvise(mmap.MADV_DONTNEED)
        elif isinstance(value, dict):
            release_pages(*value.values())
        elif dataclasses.is_dataclass(value):
            release_pages(*vars(value).values())
