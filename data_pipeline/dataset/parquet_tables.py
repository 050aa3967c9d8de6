"""The tables of a dataset folder: users, documents, targets."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split, Task
from data_pipeline.common.mapped_arrays import release_pages
from data_pipeline.common.sorted_arrays import sorted_unique
from data_pipeline.dataset.dataset_folder import TARGETS
from data_pipeline.dataset.windows import WindowInputs
from data_pipeline.events.as_of import EventTimes
from data_pipeline.events.prepared_log import PreparedLog
from data_pipeline.events.user_blocks import cut_behaviors
from data_pipeline.events.user_events import UserEvents
from data_pipeline.features.relevance_features import CandidateFeatures
from data_pipeline.targets.candidate_lists import CandidateLists, find_next_queries, list_groups

ROW_GROUP = 2**20
"""Rows of a row group of targets.parquet."""


def write_tables(
    folder: pathlib.Path,
    log: PreparedLog,
    events: UserEvents,
    lists: CandidateLists,
    features: CandidateFeatures,
) -> WindowInputs:
    """Write users.parquet, documents.parquet and targets.parquet.

    Args:
        folder: Folder of the dataset.
        log: The log.
        events: Its events.
        lists: Targets and candidates.
        features: F, popularity and last touch of the candidates.

    Returns:
        Inputs of the windows of every scenario.
    """
    rows = dict(lists.rows)
    rows["next_query"] = find_next_queries(rows, events.searches)
    rows["past_behaviors"] = count_past(rows, events.behaviors)
    release_pages(events, lists)
    user_row = write_users(folder, log.users, rows)
    document_ids = log.read_document_ids()
    write_documents(folder, document_ids, log.document_text)
    write_targets(
        folder,
        dataclasses.replace(lists, rows=rows),
        log.users,
        document_ids,
        log.read_texts(),
        log.read_request_ids(rows["request"][rows["request"] > 0]),
        user_row,
        features.popularity,
        features.last_touch,
    )
    group_row, positive = list_groups(lists)
    return WindowInputs(
        rows,
        user_row[rows["user"]],
        lists.offsets,
        lists.candidates["doc"],
        lists.candidates["label"],
        features.values,
        log.document_text,
        group_row,
        positive,
    )


def count_past(targets: Columns, behaviors: Columns) -> Integers:
    """Return how many behaviors of its user each target sees: int64 [targets].

    Args:
        targets: user (ascending), time.
        behaviors: user (ascending), known_at.
    """
    count = np.zeros(len(targets["time"]), np.int64)
    for own in cut_behaviors(behaviors):
        begin, after = np.searchsorted(targets["user"], own["user"][[0, -1]] + [0, 1])
        times = EventTimes(own["user"], own["known_at"])
        count[begin:after] = times.before(
            targets["user"][begin:after], targets["time"][begin:after]
        )
    return count


def write_users(folder: pathlib.Path, users: Sequence[str], targets: Columns) -> Integers:
    """Write users.parquet: the users with a recommendation target in the training split.

    Args:
        folder: Folder of the dataset.
        users: Masked id of each user number; number 0 is "".
        targets: user, task, split of the targets.

    Returns:
        int64 [users], row of each user number in users.parquet, 0 (unknown) for other users.
    """
    known = (targets["task"] == Task.RECOMMENDATION) & (targets["split"] == Split.TRAIN.number)
    numbers = sorted_unique(targets["user"][known])
    row = np.zeros(len(users), np.int64)
    row[numbers] = np.arange(1, len(numbers) + 1)
    table = pa.table({"user_id": ["", *(users[number] for number in numbers.tolist())]})
    pq.write_table(table, folder / "users.parquet")
    return row


def write_documents(folder: pathlib.Path, ids: Sequence[str], text: Integers) -> None:
    """Write documents.parquet; row 0 is the pad document."""
    table = pa.table({"doc_id": pa.array(ids, pa.string()), "text": text.astype(np.int32)})
    pq.write_table(table, folder / "documents.parquet")


def write_targets(
    folder: pathlib.Path,
    lists: CandidateLists,
    users: Sequence[str],
    documents: Sequence[str],
    texts: pa.Array,
    request_ids: pa.ChunkedArray,
    user_row: Integers,
    popularity: Integers,
    last_touch: Integers,
) -> None:
    """Write targets.parquet, a row group at a time.

    Args:
        folder: Folder of the dataset.
        lists: With the column past_behaviors added to the rows.
        users, documents, texts: Strings of each number, number 0 being "".
        request_ids: string [n], of the targets that are requests, in their order.
        user_row: `write_users`.
        popularity, last_touch: int64 [candidates].
    """
    user_id, document_id, split = (
        pa.array(strings, pa.string()) for strings in (users, documents, tuple(Split))
    )
    requests = request_ids.combine_chunks() if len(request_ids) else pa.array([], pa.string())
    browse = lists.rows["request"] == 0
    request = np.cumsum(~browse) - 1
    size = len(browse)
    with pq.ParquetWriter(folder / "targets.parquet", TARGETS) as writer:
        for begin in range(0, size, ROW_GROUP):
            block = slice(begin, begin + ROW_GROUP)
            rows = {name: column[block] for name, column in lists.rows.items()}
            offsets = lists.offsets[begin : begin + ROW_GROUP + 1]
            listed, bounds = (
                slice(offsets[0], offsets[-1]),
                pa.array(offsets - offsets[0], pa.int32()),
            )

            def as_lists(values: Any, bounds: pa.Array = bounds) -> pa.Array:
                return pa.ListArray.from_arrays(bounds, pa.array(values))

            columns = {
                "target_id": rows["target_id"],
                "split": split.take(pa.array(rows["split"])),
                "task": rows["task"].astype(np.int8),
                "user_id": user_id.take(pa.array(rows["user"])),
                "time": rows["time"],
                "session": rows["session"],
                "request_id": requests.take(pa.array(request[block], mask=browse[block])),
                "query": texts.take(pa.array(rows["query"])),
                "candidates": as_lists(document_id.take(pa.array(lists.candidates["doc"][listed]))),
                "labels": as_lists(lists.candidates["label"][listed].astype(np.int8)),
                "popularity": as_lists(popularity[listed]),
                "last_touch": as_lists(last_touch[listed]),
                "first_of_task": rows["first_of_task"] == 1,
                "session_has_both": rows["has_both"] == 1,
                "known_user": user_row[rows["user"]] > 0,
                "query_seen": rows["query_seen"] == 1,
                "past_behaviors": rows["past_behaviors"].astype(np.int32),
                "pseudo": rows["pseudo"] == 1,
            }
            writer.write_table(pa.table(columns, schema=TARGETS))
            release_pages(lists, popularity, last_touch)
