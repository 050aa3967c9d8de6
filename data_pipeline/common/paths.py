"""Paths as users write them: `~` is expanded, a URL is fetched."""

import os
import re

from data_pipeline.common import remote_folders

# Two letters at least: one letter and a colon is a drive.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)")


def local_path(name: str, value: str | os.PathLike[str]) -> str:
    """Return a path of this machine; of a URL that of its copy (`remote_folders`).

    Args:
        name: Setting or argument that holds the path, for the message.
        value: The path as it was written; empty stays empty.

    Raises:
        ValueError: The value is a URL that cannot be fetched, or `~` names no user of this machine.

    Example:
        >>> local_path("output", "~/log") == os.path.expanduser("~/log")
        True
        >>> local_path("output", "s3:/bucket/log")
        Traceback (most recent call last):
        ValueError: `output` must be a path, or a URL with two slashes. Got 's3:/bucket/log'. Fix: ...
    """
    text = os.fspath(value)
    if url := _URL.match(text):
        if not url[2]:
            raise ValueError(
                f"`{name}` must be a path, or a URL with two slashes. Got {text!r}. Fix: write "
                f"{url[1]}://..."
            )
        return remote_folders.fetch(name, text)
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ValueError(
            f"`{name}` must be a path of this machine. Got {text!r}, whose user is not known. Fix: "
            "write the complete path; for a file whose name begins with ~, begin with ./~."
        )
    return path
