"""A folder that appears under its name only when it is whole."""

import os
import pathlib
import shutil
from types import TracebackType
from typing import Self


class UnfinishedFolder:
    """A folder under a temporary name beside its own, which `rename` gives it.

    A context manager: leaving it removes what was not renamed, so that an error leaves nothing
    behind. What a killed run left is replaced by the next one.

    Args:
        path: Folder to write. Whether it may exist is for the caller to say; `rename` replaces
            none but an empty one.
        name: Name to write under. Default: that of `path` with ".tmp" at the end.

    Raises:
        OSError: The temporary folder cannot be made.

    Attributes:
        path: The folder when it is whole.
        folder: Where to write now.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     with UnfinishedFolder(pathlib.Path(root) / "new") as unfinished:
        ...         before = os.listdir(root)
        ...         unfinished.rename()
        ...     before, os.listdir(root)
        (['new.tmp'], ['new'])
    """

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        self.path = pathlib.Path(path)
        self.folder = self.path.with_name(name or self.path.name + ".tmp")

    def __enter__(self) -> Self:
        # A folder of this name is what a killed run left behind.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def rename(self) -> None:
        """Gives the folder its own name; call it when all is written.

        Raises:
            OSError: `path` exists and is not an empty folder.
        """
        self.folder.rename(self.path)
