"""Arrays in files: written piece by piece, and mapped, with pages that stay until they are given back."""

import contextlib
import dataclasses
import mmap
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np


@contextlib.contextmanager
def array_file(
    path: str | os.PathLike[str], dtype: str, shape: tuple[int, ...]
) -> Iterator[BinaryIO]:
    """Open a file of `np.load` for the pieces of an array, first axis first.

    Args:
        path: The file; an existing one is replaced.
        dtype: NumPy's letters, such as `<f4`.
        shape: Of the array.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npy") as place:
        ...     with array_file(place.name, "<i8", (3,)) as file:
        ...         np.arange(2).tofile(file)
        ...         np.array([7]).tofile(file)
        ...     np.load(place.name).tolist()
        [0, 1, 7]
    """
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file


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
