"""Files and folders that appear under their name only when complete, written by one run at a time."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO

import filelock


class FolderInUse(ValueError):
    """Another run is writing the folder."""


class FolderLock:
    """A lock on a file or folder that one run at a time writes; a context manager.

    A lock file beside it is held. The kernel frees the lock when the process ends, also when it is
    killed, so the lock file of a killed run is in nobody's way.

    Args:
        path: File or folder to write; it need not exist.
        setting: Setting that names it, for the message.
        name: Name of the lock file without ".lock". Default: that of `path`.

    Raises:
        FolderInUse: Another run is writing it; raised by `with`.
        OSError: The drive has no locks.

    Example:
        >>> import tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run"
        >>> with FolderLock(path, "run"), FolderLock(path, "run"):
        ...     pass
        Traceback (most recent call last):
        data_pipeline.common.output_folder.FolderInUse: ... must be written by one run at a time ...
    """

    def __init__(
        self, path: str | os.PathLike[str], setting: str = "output", name: str | None = None
    ) -> None:
        self._path, self._setting = pathlib.Path(os.path.abspath(path)), setting
        self._file = self._path.with_name((name or self._path.name) + ".lock")
        # A short wait, since a lock file may be removed between its opening and its lock. No
        # fallback to a marker file, which would stay after a kill.
        self._lock = filelock.FileLock(
            self._file, timeout=0.1, poll_interval=0.02, fallback_to_soft=False
        )

    def __enter__(self) -> Self:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise FolderInUse(
                f"{self._path}: a folder must be written by one run at a time. Got another run that "
                f"holds {self._file.name}. Fix: wait for its end, or set --{self._setting} to "
                "another folder."
            ) from error
        return self

    def __exit__(self, *error: object) -> None:
        # Removed while held: filelock refuses a lock on a file that lost its name.
        self._file.unlink(missing_ok=True)
        self._lock.release()


@contextlib.contextmanager
def unfinished_file(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Write a text file (UTF-8) under a temporary name; it gets its own name if there was no error.

    Args:
        path: The file, which the setting `output` names; an existing one is replaced.

    Raises:
        FileNotFoundError: Its folder does not exist.
        FolderInUse: Another process writes the file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     with unfinished_file(f"{root}/a.txt") as file:
        ...         characters = file.write("text")
        ...     os.listdir(root)
        ['a.txt']
    """
    final = pathlib.Path(path)
    if not os.fspath(path) or not final.parent.is_dir():
        raise FileNotFoundError(
            f"`output` must be a file in an existing folder. Got {os.fspath(path)!r}. Fix: make the "
            "folder, or set --output."
        )
    unfinished = final.with_name(final.name + ".unfinished")
    with FolderLock(final):
        try:
            with unfinished.open("w", encoding="utf-8", newline="") as file:
                yield file
            unfinished.replace(final)
        finally:
            unfinished.unlink(missing_ok=True)


class UnfinishedFolder:
    """A folder written under a temporary name; `rename` gives it its own name.

    A context manager: leaving it removes a folder that was not renamed, so an error leaves nothing
    behind. The folder of a killed run is replaced by the next run. While one run writes the folder,
    another is refused (`FolderLock`).

    Args:
        path: Folder to write. The caller decides whether it may exist; `rename` replaces only an
            empty one.
        name: Temporary name. Default: the name of `path` with ".tmp" at the end.

    Raises:
        FolderInUse: Another run is writing the folder.
        OSError: The temporary folder cannot be made, or the drive has no locks.

    Attributes:
        path: The folder when it is complete.
        folder: The folder to write to now.
        keep: Whether leaving the context keeps a folder that was not renamed, to be looked at or
            resumed by a later run. Default: False.

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
        self._lock = FolderLock(self.path, name=name)

    def __enter__(self) -> Self:
        self._lock.__enter__()
        try:
            self.begin()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def begin(self) -> None:
        """Make the temporary folder; a subclass checks and opens its files here.

        Called while the lock is held, so no other run changes what is found. After an error the
        context is left at once.
        """
        # A folder of this name was left by a killed run.
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
            self._lock.__exit__()

    def rename(self) -> None:
        """Give the complete folder its own name.

        Raises:
            OSError: `path` exists and is not an empty folder.
        """
        self.folder.rename(self.path)
