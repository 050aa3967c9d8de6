"""Look up a snapshot of the log's counts, inside the exported graph; write its files.

Three files of lines `key<TAB>numbers`, one for each table; a key is the hash of a string, so that no
query or title lies there in plain text. They are assets of the SavedModel: a newer snapshot replaces
them, and nothing else.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data_pipeline.features.count_snapshot import CountSnapshot

FILES: Mapping[str, tuple[str, ...]] = {
    "documents": ("opens", "satisfied"),
    "queries": ("query_opens", "spread", "frequency"),
    "pairs": ("query_opens",),
}
"""Numbers of each line, by the table; the file is counts_<table>.txt."""

_PRESENT = -1
_BUCKETS = 2**62
# Odd, so that the product is one-to-one modulo 2^64: the golden ratio.
_PAIR_FACTOR = 0x9E3779B97F4A7C15 - 2**64


class CountTables(tf.Module):
    """Counts of documents, queries and both, by their strings; unknown ones have 0.

    Args:
        folder: Folder of the files of `write_counts`. They become assets of the SavedModel.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__(name="counts")
        self.tables = {
            f"{table}_{name}": tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    os.fspath(pathlib.Path(folder) / file_name(table)),
                    key_dtype=tf.int64,
                    key_index=0,
                    value_dtype=tf.int64,
                    value_index=column,
                    delimiter="\t",
                ),
                default_value=0,
            )
            for table, names in FILES.items()
            for column, name in enumerate(names, start=1)
        }

    @property
    def present(self) -> Any:
        """bool []: there is a snapshot."""
        return self.tables["documents_opens"].lookup(tf.constant(_PRESENT, tf.int64)) > 0

    def of_queries(self, query: Any) -> dict[str, Any]:
        """Return query_opens, spread, frequency of queries, float64 [B], by hashes int64 [B]."""
        return self._find("queries", query)

    def of_candidates(self, query: Any, titles: Any) -> dict[str, Any]:
        """Return opens, satisfied, query_opens of titles, float64 [B, C], by hashes int64 [B, C]."""
        return self._find("documents", titles) | self._find(
            "pairs", hash_pairs(query[:, tf.newaxis], titles)
        )

    def _find(self, table: str, keys: Any) -> dict[str, Any]:
        return {
            name: tf.cast(self.tables[f"{table}_{name}"].lookup(keys), tf.float64)
            for name in FILES[table]
        }


def hash_of(strings: Any) -> Any:
    """Return the keys of strings, int64 in their shape."""
    return tf.strings.to_hash_bucket_fast(strings, _BUCKETS)


def hash_pairs(query: Any, title: Any) -> Any:
    """Return the keys of pairs of hashes, int64; sums and products are meant to wrap."""
    return query * tf.constant(_PAIR_FACTOR, tf.int64) + title


def file_name(table: str) -> str:
    """Return the name of the file of a table of `FILES`."""
    return f"counts_{table}.txt"


def write_counts(folder: str | os.PathLike[str], snapshot: CountSnapshot | None) -> None:
    """Write the files of a snapshot.

    Args:
        folder: Where to write.
        snapshot: Counts; None: files that say that there is no snapshot.
    """
    rows: dict[str, tuple[Any, Sequence[Any]]] = dict.fromkeys(FILES, ((), ()))
    if snapshot is not None:
        title, queries, pair_query, pair_title = (
            hash_of(tf.constant(strings, tf.string))
            for strings in (
                snapshot.titles,
                snapshot.queries,
                snapshot.pair_queries,
                snapshot.pair_titles,
            )
        )
        rows = {
            "documents": (title, snapshot.of_titles),
            "queries": (queries, snapshot.of_queries),
            "pairs": (hash_pairs(pair_query, pair_title), snapshot.of_pairs),
        }
    for table, names in FILES.items():
        keys, numbers = rows[table]
        first = [_PRESENT, *[int(snapshot is not None)] * len(names)]
        lines = [first, *np.column_stack([keys, *numbers]).tolist()] if len(keys) else [first]
        text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
        (pathlib.Path(folder) / file_name(table)).write_text(text, encoding="ascii")
