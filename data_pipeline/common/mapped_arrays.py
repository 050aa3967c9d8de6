"""Arrays that are mapped from files: their pages stay in memory until they are given back."""

import dataclasses
import mmap
from typing import Any

import numpy as np


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
