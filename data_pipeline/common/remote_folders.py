"""Files elsewhere: a URL is fetched to a copy on this machine, and what changed there is sent back.

Parquet, NumPy, TFRecord, HDF5 and SavedModel are read and written by libraries that each know other
stores, or none. So nothing reads a URL: commands work on the copy.

    USER_TF_CACHE/gs/bucket/run        copy of gs://bucket/run; default of USER_TF_CACHE: ~/.cache/user_tf
    USER_TF_CACHE/gs/bucket/run.files  which files it has, as they were fetched or sent
"""

import atexit
import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

CACHE = "USER_TF_CACHE"
_DEFAULT_CACHE = "~/.cache/user_tf"

_copies: dict[str, "_Copy"] = {}


def fetch(name: str, url: str) -> str:
    """Return the path of this machine's copy of a file or folder, which need not exist yet.

    Only files that are not here as they are there are fetched, and of a URL only once a process.
    The copy is what the store has: files that a killed process did not send are removed.

    Args:
        name: Setting or argument that holds the URL, for the message.
        url: `gs://bucket/folder`, or another that fsspec knows.

    Raises:
        ValueError: The store is unknown or cannot be read.
    """
    if url not in _copies:
        if not _copies:
            # What the calls of a notebook or an error left.
            atexit.register(send_changes)
        with _store_errors(name, url):
            copy = _Copy(url)
            copy.fetch()
        _copies[url] = copy
    return os.fspath(_copies[url].path)


def send_changes() -> None:
    """Send what changed in copies to their stores, in the order it was written.

    Call it where a file that others wait for is complete. Nothing is done without URLs.

    Raises:
        ValueError: A store cannot be written.
    """
    for url, copy in _copies.items():
        with _store_errors("url", url):
            copy.send()


def is_copy(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is that of a copy."""
    return any(copy.path == pathlib.Path(path) for copy in _copies.values())


@contextlib.contextmanager
def _store_errors(name: str, url: str) -> Any:
    try:
        yield
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"`{name}` must be a path of this machine or a URL that can be read and written. Got "
            f"{url!r}: {error or type(error).__name__}. Fix: install the client library of the store "
            "(gcsfs for gs://, s3fs for s3://, pyarrow with Hadoop's libhdfs for hdfs://) and check "
            "its rights, or copy the files to this machine."
        ) from error


@dataclasses.dataclass
class _Copy:
    """The copy of a URL: `known` holds, by file, its state here and there when they were equal."""

    url: str
    known: dict[str, list[Any]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def path(self) -> pathlib.Path:
        scheme, _, rest = self.url.partition("://")
        cache = pathlib.Path(os.environ.get(CACHE) or _DEFAULT_CACHE).expanduser()
        parts = [part for part in rest.split("/") if part]
        if ".." in parts or not parts:
            raise ValueError("its path is empty or has `..`")
        return pathlib.Path(os.path.abspath(cache), scheme, *parts)

    @property
    def _record(self) -> pathlib.Path:
        return self.path.with_name(self.path.name + ".files")

    @functools.cached_property
    def _store(self) -> tuple[Any, str]:
        import fsspec

        store, root = fsspec.core.url_to_fs(self.url)
        return store, root.rstrip("/")

    def fetch(self) -> None:
        store, root = self._store
        store.invalidate_cache()
        known = json.loads(self._record.read_text("utf-8")) if self._record.exists() else {}
        there = store.find(root, detail=True)
        for remote, entry in there.items():
            part, token = remote[len(root) :].lstrip("/"), _token(entry)
            local = self._local(part)
            if [_state(local), token] != known.get(part):
                local.parent.mkdir(parents=True, exist_ok=True)
                store.get_file(remote, os.fspath(local))
            self.known[part] = [_state(local), token]
        for part in set(self._files()) - set(self.known):
            self._local(part).unlink()
        if not there and self.path.is_dir():
            shutil.rmtree(self.path)
        self._write_record()

    def send(self) -> None:
        store, root = self._store
        here = {part: _state(self._local(part)) for part in self._files()}
        changed = [part for part in here if here[part] != self.known.get(part, [None])[0]]
        # A copy that is gone altogether was cleaned away, by whoever looks after the disk.
        removed = set(self.known) - set(here) if self.path.exists() else set()
        for part in sorted(changed, key=lambda part: here[part][1]):
            remote = f"{root}/{part}".rstrip("/")
            store.makedirs(remote.rpartition("/")[0], exist_ok=True)
            store.put_file(os.fspath(self._local(part)), remote)
        for part in removed:
            store.rm_file(f"{root}/{part}".rstrip("/"))
            del self.known[part]
        if changed or removed:
            store.invalidate_cache()
            there = store.find(root, detail=True)
            for part in changed:
                self.known[part] = [here[part], _token(there[f"{root}/{part}".rstrip("/")])]
            self._write_record()

    def _local(self, part: str) -> pathlib.Path:
        return self.path / part if part else self.path

    def _files(self) -> list[str]:
        """Return the files of the copy; of a single file it is the empty name."""
        if self.path.is_file():
            return [""]
        return [
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_file()
        ]

    def _write_record(self) -> None:
        self._record.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._record.with_name(self._record.name + ".tmp")
        unfinished.write_text(json.dumps(self.known), "utf-8")
        unfinished.replace(self._record)


def _state(path: pathlib.Path) -> list[int]:
    """Return size and time of change of a file; nothing without one."""
    if not path.is_file():
        return []
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _token(entry: dict[str, Any]) -> str:
    """Return what changes with a file of a store: of size, times, ETag, generation what it tells."""
    return hashlib.sha256(repr(sorted(entry.items())).encode()).hexdigest()
