"""Looks for words in everything a program wrote and printed."""

import json
import pathlib
from collections.abc import Iterable

import pyarrow.parquet as pq


def written_below(folder: pathlib.Path, told: str) -> dict[str, bytes]:
    """Everything below `folder`, names of files and what was printed too, packed and unpacked."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    written = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    for path in paths:
        if path.suffix == ".parquet":
            rows = json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
            written[f"{path.relative_to(folder)}, unpacked"] = rows.encode()
    return {**written, "names": "\n".join(written).encode(), "printed": told.encode()}


def found_in(written: dict[str, bytes], words: Iterable[str]) -> set[tuple[str, str]]:
    """(where, word) of the words that stand anywhere, plainly or as JSON escapes them."""
    return {
        (where, word)
        for where, content in written.items()
        for word in words
        if word.encode() in content or json.dumps(word)[1:-1].encode() in content
    }
