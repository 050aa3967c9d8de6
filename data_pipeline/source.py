"""The log a preparation works on: its tables, its lists, and the strings behind its numbers."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_pipeline.engine import Engine
from data_pipeline.settings import PrepareSettings
from data_pipeline.shown_lists import ShownLists
from data_pipeline.tables import LogTables, open_lists

Integers = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Source:
    """The log that is prepared.

    Attributes:
        engine: Where its tables live.
        log: Its tables.
        shown: Its lists.
        documents: doc_id, text, part of document 1, 2, ...
        document_text: int64 [documents], text of each document, number 0 the pad document.
        users: Masked id of each user, number 0 being "".
    """

    engine: Engine
    log: LogTables
    shown: ShownLists
    documents: pa.Table
    document_text: Integers
    users: list[str]

    def request_ids(self) -> pa.ChunkedArray:
        """string [requests]: id of request 1, 2, ..."""
        requests = self.log.requests.select("request", "request_id")
        return self.engine.collect(requests, ["request"])["request_id"]


def open_source(settings: PrepareSettings, engine: Engine, log: LogTables) -> Source:
    """The log with its lists and names."""
    documents = engine.collect(log.documents, ["doc"])
    return Source(
        engine,
        log,
        open_lists(engine, log, [*settings.earlier_logs, settings.log], settings.sequence),
        documents,
        np.append(0, documents["text"].to_numpy()),
        ["", *engine.collect(log.users, ["user"])["user_id"].to_pylist()],
    )
