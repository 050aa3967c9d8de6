"""The log a preparation works on: its tables, its lists, and the strings behind its numbers."""

import dataclasses

import numpy as np
import pyarrow as pa

from data_pipeline.common.array_types import Integers
from data_pipeline.engine.base import Engine
from data_pipeline.events.impressions import ShownLists
from data_pipeline.events.log_tables import LogTables, open_lists
from data_pipeline.settings import PrepareSettings


@dataclasses.dataclass(frozen=True)
class PreparedLog:
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


def open_prepared_log(settings: PrepareSettings, engine: Engine, log: LogTables) -> PreparedLog:
    """The log with its lists and names."""
    documents = engine.collect(log.documents, ["doc"])
    return PreparedLog(
        engine,
        log,
        open_lists(engine, log, [*settings.earlier_logs, settings.log], settings.sequence),
        documents,
        np.append(0, documents["text"].to_numpy()),
        ["", *engine.collect(log.users, ["user"])["user_id"].to_pylist()],
    )
