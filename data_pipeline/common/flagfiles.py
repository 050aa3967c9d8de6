"""Flagfiles: lists of flags in files, which may name others."""

import os
import pathlib
from collections.abc import Iterator, Sequence

from data_pipeline.common.paths import local_path

_FLAG = "flagfile"
_SHIPPED = "user_tf:"


def expand(arguments: Sequence[str]) -> list[str]:
    """Return command-line arguments with the lines of a flagfile in place of every `--flagfile`.

    A line holds one flag; empty lines and comments (`#`, `//`) are skipped. A byte-order mark and
    the line ends of Windows are read. A flagfile named in another one is found relative to the file
    that names it. `user_tf:NAME` is NAME.flags of `configs/train`, `user_tf:FOLDER/NAME` that of another
    folder of `configs`, wherever the project is installed.

    Args:
        arguments: Arguments without the program; those after `--` are left alone.

    Raises:
        ValueError: A flagfile cannot be read, is not UTF-8, or names itself.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "a.flags")
        ...     _ = path.write_bytes(b"\\xef\\xbb\\xbf--seed=2\\r\\n# a comment\\r\\n")
        ...     expand(["--users=3", f"--flagfile={path}"])
        ['--users=3', '--seed=2']
    """
    return list(_expand(arguments, pathlib.Path(), ()))


def _expand(
    arguments: Sequence[str], folder: pathlib.Path, opened: tuple[pathlib.Path, ...]
) -> Iterator[str]:
    left = iter(arguments)
    for argument in left:
        name, equals, value = argument.partition("=")
        if argument == "--":
            yield argument
            yield from left
        elif name in (f"--{_FLAG}", f"-{_FLAG}"):
            path = _find(folder, value if equals else next(left, ""))
            yield from _expand(_lines(path, opened), path.parent, (*opened, path.resolve()))
        else:
            yield argument


def _find(folder: pathlib.Path, value: str) -> pathlib.Path:
    if not value.startswith(_SHIPPED):
        return folder / local_path(_FLAG, value)
    name = value.removeprefix(_SHIPPED)
    root = pathlib.Path(__file__).parents[2]
    # A wheel holds them inside the package, a checkout beside it.
    configs = next(
        place for place in (root / "user_tf" / "configs", root / "configs") if place.is_dir()
    )
    path = configs / f"{name if '/' in name else f'train/{name}'}.flags"
    if not path.is_file():
        known = sorted(
            file.relative_to(configs).with_suffix("") for file in configs.rglob("*.flags")
        )
        raise ValueError(
            f"`{_FLAG}` must name a flagfile of this project after {_SHIPPED} Got {value!r}. Fix: "
            f"choose one of {', '.join(map(str, known))}."
        )
    return path


def _lines(path: pathlib.Path, opened: Sequence[pathlib.Path]) -> list[str]:
    """Return the flags of one file."""
    by = f", named in {os.fspath(opened[-1])!r}" if opened else ""
    if path.resolve() in opened:
        raise ValueError(
            f"`{_FLAG}` must not name itself. Got {os.fspath(path)!r}{by}. Fix: remove that line."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(
            f"`{_FLAG}` must be a text file of flags. Got {os.fspath(path)!r}{by}: {why}. Fix: set "
            f"--{_FLAG} to a file, one flag a line."
        ) from error
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith(("#", "//"))]
