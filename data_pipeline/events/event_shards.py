"""Events of a log, built shard by shard, each from the requests, clicks and browses of some users.

Users are numbered, and a shard holds a range of them, so that the events of shards follow each other
in the order of events. Only their numbers are shifted. The number of shards changes no event.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from data_pipeline.common import flagtree
from data_pipeline.common.array_types import Integers
from data_pipeline.common.mapped_arrays import ColumnFiles
from data_pipeline.engine.base import Engine
from data_pipeline.engine.shards import SHARD, count_shards, open_result, to_columns
from data_pipeline.events.log_tables import LogTables
from data_pipeline.events.user_blocks import shift_numbers
from data_pipeline.events.user_events import UserEvents, connect_events
from data_pipeline.settings import SequenceSettings

ROWS_PER_SHARD = 2_000_000
"""Requests and browses of a shard, unless the number of shards is set."""

_ORDER = {
    "requests": ["request"],
    "clicks": ["request", "position"],
    "browses": ["user", "time", "doc", "satisfied"],
}
_CLICK_COLUMNS = ("request", "doc", "satisfied", "click_time", "candidates")


def build_events(
    engine: Engine,
    tables: LogTables,
    document_text: Integers,
    settings: SequenceSettings,
    folder: pathlib.Path,
    shards: int = 0,
    workers: int = 1,
) -> UserEvents:
    """Build behaviors, sessions and clicks of the unified log.

    Args:
        engine: The engine of the tables.
        tables: The log.
        document_text: int64 [documents], text of each document; number 0 is the pad document.
        settings: When a session ends, what a satisfied click is, the session filter.
        folder: Folder of the shards and of the events, which are mapped from files there.
        shards: Number of shards; 0: one for every `ROWS_PER_SHARD` rows. Default: 0.
        workers: Worker processes. Default: 1.
    """
    given = {
        "requests": tables.requests.drop("request_id"),
        "clicks": tables.clicks,
        "browses": tables.browses,
    }
    shards = shards or count_shards(
        engine.count(given["requests"]) + engine.count(given["browses"]), ROWS_PER_SHARD
    )
    users = max(1, engine.count(tables.users))
    text = folder.absolute() / "document_text.npy"
    np.save(text, document_text)
    results = engine.map_shards(
        {
            name: rows.mutate(**{SHARD: ((rows.user - 1) * shards // users).cast("int64")})
            for name, rows in given.items()
        },
        _ORDER,
        shards,
        connect_shard,
        {"settings": flagtree.to_dict(settings), "document_text": os.fspath(text)},
        folder,
        workers,
    )
    return _merge(results, folder)


def connect_shard(
    tables: Mapping[str, pa.Table], settings: Mapping[str, Any], document_text: str
) -> dict[str, pa.Table]:
    """Return the events of a shard, numbered as if there were no others.

    Args:
        tables: requests, clicks and browses of `LogTables`, in their order.
        settings: `SequenceSettings` as a dict.
        document_text: File of the text of each document.
    """
    requests, clicks, browses = (to_columns(tables[name]) for name in _ORDER)
    numbers = requests.pop("request")
    clicks = {name: clicks[name] for name in _CLICK_COLUMNS}
    if len(numbers):
        clicks["request"] = clicks["request"] - (numbers[0] - 1)
    text = np.load(document_text, mmap_mode="r", allow_pickle=False)
    events = connect_events(
        requests, clicks, browses, text, flagtree.from_dict(SequenceSettings, settings)
    )
    return {
        field.name: pa.table(getattr(events, field.name)) for field in dataclasses.fields(events)
    }


def _merge(shards: list[pathlib.Path], folder: pathlib.Path) -> UserEvents:
    """Return the events of all shards, table by table."""
    files = {
        field.name: ColumnFiles(folder, field.name) for field in dataclasses.fields(UserEvents)
    }
    before = dict.fromkeys(files, 0)
    for shard in shards:
        tables = {name: open_result(shard, name) for name in files}
        for name, table in tables.items():
            files[name].append(shift_numbers(to_columns(table), before))
        for name, table in tables.items():
            before[name] += table.num_rows
    return UserEvents(**{name: file.finish() for name, file in files.items()})
