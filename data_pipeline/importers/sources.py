"""The importers by the name of their source."""

import importlib
import pathlib
from collections.abc import Sequence

from data_pipeline.log.raw_rows import Source

SOURCES = (
    "tables",
    "diginetica",
    "ebnerd",
    "jdsearch",
    "kuaisar",
    "mind",
    "otto",
    "qilin",
    "trec_session",
    "trivago",
)
"""Names of sources. Each is a module of this room with `read(path) -> Source`; to add one, add its
name here."""


def read_source(name: str, path: pathlib.Path, columns: Sequence[str] = ()) -> Source:
    """Read a source by its importer, which is imported only now.

    Args:
        name: One of `SOURCES`.
        path: File or folder of the source.
        columns: Canonical columns that have another name in the files, for `tables` only.

    Raises:
        LogError: The input has an error.
        ValueError: There is no such source, or `columns` cannot be used.
    """
    if name not in SOURCES:
        raise ValueError(
            f"`source` must be one of {', '.join(SOURCES)}. Got {name!r}. Fix: set --source."
        )
    if columns and name != "tables":
        raise ValueError(
            "`columns` must be empty for sources other than `tables`: they have columns of their "
            f"own. Got `source` = {name!r}. Fix: remove --columns."
        )
    importer = importlib.import_module(f"{__package__}.{name}")
    return importer.read(path, columns) if columns else importer.read(path)


def describe_rows(source: Source) -> list[str]:
    """Return lines about the raw rows and columns of a source that was read to its end."""
    description = source.description
    lines = [
        f"{file}: left out the columns {', '.join(columns)}"
        for file, columns in description.get("left_out", {}).items()
    ]
    read = description.get("read", {})
    if "actions" not in read:
        return lines
    lines += [f"{', '.join(description['files'])}: {read['rows']:,} rows"]
    for action, outcomes in read["actions"].items():
        counts = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.items())
        lines.append(f"  {action:<26}{sum(outcomes.values()):>10,}  {counts}")
    return lines
