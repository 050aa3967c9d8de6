"""Checksums of files, for the manifest of a folder."""

import concurrent.futures
import hashlib
import os
import pathlib
from typing import Any


def checksum(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Return `bytes` and `sha256` of every file below a folder, by relative path, in order.

    Files are read in parallel, each by one thread.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "a").write_text("")
        >>> describe_files(folder)
        {'a': {'bytes': 0, 'sha256': 'e3b0c4...b855'}}
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sums = pool.map(checksum, files)
        return {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": found}
            for path, found in zip(files, sums, strict=True)
        }
