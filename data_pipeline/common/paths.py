"""Paths as users write them: `~` is expanded, a URL is refused by its scheme."""

import os
import re

# Two letters at least: one letter and a colon is a drive.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def local_path(name: str, value: str | os.PathLike[str]) -> str:
    """Return a path of the file system.

    Args:
        name: Setting or argument that holds the path, for the message.
        value: The path as it was written; empty stays empty.

    Raises:
        ValueError: The value is a URL, or `~` names no user of this machine.

    Example:
        >>> local_path("output", "~/log") == os.path.expanduser("~/log")
        True
        >>> local_path("output", "s3://bucket/log")
        Traceback (most recent call last):
        ValueError: `output` must be a path of this machine. Got 's3://bucket/log', ... of s3. Fix: ...
    """
    text = os.fspath(value)
    if url := _URL.match(text):
        raise ValueError(
            f"`{name}` must be a path of this machine. Got {text!r}, a URL of {url[1]}, which is not "
            f"supported. Fix: copy or mount the files, and set {name} to the folder or file."
        )
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ValueError(
            f"`{name}` must be a path of this machine. Got {text!r}, whose user is not known. Fix: "
            "write the complete path; for a file whose name begins with ~, begin with ./~."
        )
    return path
