"""The log a preparation works on: its tables, its lists, and the strings behind its numbers."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from data_pipeline.common.array_types import Integers
from data_pipeline.engine.base import Engine
from data_pipeline.events.impressions import ShownLists
from data_pipeline.events.log_tables import LogTables, open_lists
from data_pipeline.settings import SequenceSettings


@dataclasses.dataclass(frozen=True)
class PreparedLog:
    """`LogTables`, opened: with the engine that holds them and the strings behind their numbers.

    Attributes:
        engine: The engine of the tables.
        tables: The log in numbers.
        shown: Its lists.
        documents: doc_id, text, log_index of document 1, 2, ...
        document_text: int64 [documents], text of each document; number 0 is the pad document.
        users: Masked id of each user; number 0 is "".
    """

    engine: Engine
    tables: LogTables
    shown: ShownLists
    documents: pa.Table
    document_text: Integers
    users: list[str]

    def read_request_ids(self, requests: Integers) -> pa.ChunkedArray:
        """Return the ids of some requests in the order of their numbers: string [n]."""
        given = self.engine.table(pa.table({"request": requests}))
        chosen = self.tables.requests.select("request", "request_id").semi_join(given, "request")
        return self.engine.collect(chosen, ["request"])["request_id"]

    def read_document_ids(self) -> list[str]:
        """Return the id of each document; number 0 is ""."""
        return ["", *self.documents["doc_id"].to_pylist()]

    def read_texts(self) -> pa.Array:
        """Return every text in the order of its number, string [texts]; the first is the empty one."""
        texts = self.engine.collect(self.tables.texts, ["text"])["content"].cast(pa.string())
        return pa.concat_arrays([pa.array([""]), *texts.chunks])


def open_prepared_log(
    engine: Engine,
    tables: LogTables,
    folders: Sequence[str | os.PathLike[str]],
    settings: SequenceSettings,
) -> PreparedLog:
    """Open the log behind `read_tables`.

    Args:
        engine: The engine of the tables.
        tables: What `read_tables` returned.
        folders, settings: As for `read_tables`.
    """
    documents = engine.collect(tables.documents, ["doc"])
    return PreparedLog(
        engine,
        tables,
        open_lists(engine, tables, folders, settings),
        documents,
        np.append(0, documents["text"].to_numpy()),
        ["", *engine.collect(tables.users, ["user"])["user_id"].to_pylist()],
    )
