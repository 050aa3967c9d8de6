"""A folder that appears under its name only when it is whole, written by one run at a time."""

import fcntl
import os
import pathlib
import shutil
from types import TracebackType
from typing import IO, Self


class FolderInUse(ValueError):
    """Another run is writing the folder."""


class FolderLock:
    """The right to write a folder, held by one process at a time.

    A context manager around a file beside the folder, locked while it is held. The kernel lets go
    of the lock when the process ends, however it ends, so a file that a killed run left behind is
    in nobody's way. On a network drive the lock reaches as far as the drive's own locks do.

    Args:
        path: The file; its folder must exist. It is made, and removed when the lock is released.
        folder: What the lock protects, for messages.

    Raises:
        FolderInUse: Another process, or another part of this one, holds the lock.
        OSError: The file cannot be made, or the drive has no locks.
    """

    def __init__(self, path: pathlib.Path, folder: pathlib.Path) -> None:
        self._path = path
        self._folder = folder
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        while self._file is None:
            file = open(self._path, "ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.close()
                if not isinstance(error, BlockingIOError):
                    raise
                raise FolderInUse(
                    f"{self._folder}: a folder must be written by one run at a time. Received: "
                    f"another run that is writing it and holds {self._path.name}. Wait for its "
                    "end, or set --output to another folder."
                ) from error
            if self._is(file):
                self._file = file
            else:
                # Its holder removed it after we had opened it: whoever makes it anew holds it.
                file.close()
        return self

    def _is(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self._path))
        except FileNotFoundError:
            return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            # Removed while held, so that nobody locks a file that is about to vanish.
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


class UnfinishedFolder:
    """A folder under a temporary name beside its own, which `rename` gives it.

    A context manager: leaving it removes what was not renamed, so that an error leaves nothing
    behind. What a killed run left is replaced by the next one. While one run writes the folder,
    another is refused.

    Args:
        path: Folder to write. Whether it may exist is for the caller to say; `rename` replaces
            none but an empty one.
        name: Name to write under. Default: that of `path` with ".tmp" at the end.

    Raises:
        FolderInUse: Another run is writing the folder.
        OSError: The temporary folder cannot be made.

    Attributes:
        path: The folder when it is whole.
        folder: Where to write now.
        keep: Whether leaving the context keeps what was not renamed, for a person to look at or
            for a later run to go on with. Default: False.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     with UnfinishedFolder(pathlib.Path(root) / "new") as unfinished:
        ...         before = sorted(os.listdir(root))
        ...         unfinished.rename()
        ...     before, os.listdir(root)
        (['new.lock', 'new.tmp'], ['new'])
    """

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        self.path = pathlib.Path(path)
        self.folder = self.path.with_name(name or self.path.name + ".tmp")
        self.keep = False
        lock = self.path.with_name((name or self.path.name) + ".lock")
        self._lock = FolderLock(lock, self.path)

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.__enter__()
        try:
            self.begin()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def begin(self) -> None:
        """Makes the temporary folder; what a subclass needs to be checked or opened comes here.

        Called when the lock is held, so that no other run changes what is found. After an error
        the context is left at once.
        """
        # A folder of this name is what a killed run left behind.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self.keep:
                shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            self._lock.__exit__(kind, error, trace)

    def rename(self) -> None:
        """Gives the folder its own name; call it when all is written.

        Raises:
            OSError: `path` exists and is not an empty folder.
        """
        self.folder.rename(self.path)
