"""The tables of a dataset folder: users, documents, targets."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split, Task
from data_pipeline.common.sorted_arrays import sorted_unique
from data_pipeline.dataset.dataset_folder import TARGETS
from data_pipeline.dataset.windows import WindowInputs
from data_pipeline.events.as_of import EventTimes
from data_pipeline.events.prepared_log import PreparedLog
from data_pipeline.events.user_events import UserEvents
from data_pipeline.features.relevance_features import CandidateFeatures
from data_pipeline.targets.candidate_lists import CandidateLists, find_next_queries, list_groups


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
    behaviors, rows = events.behaviors, dict(lists.rows)
    rows["next_query"] = find_next_queries(rows, events.searches)
    times = EventTimes(behaviors["user"], behaviors["known_at"])
    rows["past_behaviors"] = times.before(rows["user"], rows["time"])
    user_row = write_users(folder, log.users, rows)
    document_ids = log.read_document_ids()
    write_documents(folder, document_ids, log.document_text)
    write_targets(
        folder,
        dataclasses.replace(lists, rows=rows),
        log.users,
        document_ids,
        log.read_texts(),
        log.read_request_ids(),
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
    texts: Sequence[str],
    request_ids: pa.ChunkedArray,
    user_row: Integers,
    popularity: Integers,
    last_touch: Integers,
) -> None:
    """Write targets.parquet.

    Args:
        folder: Folder of the dataset.
        lists: With the column past_behaviors added to the rows.
        users, documents, texts: Strings of each number, number 0 being "".
        request_ids: string [requests], of request 1, 2, ...
        user_row: `write_users`.
        popularity, last_touch: int64 [candidates].
    """
    rows = lists.rows

    def taken(strings: Sequence[str], numbers: Integers) -> pa.Array:
        return pa.array(strings, pa.string()).take(pa.array(numbers))

    def as_lists(values: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(pa.array(lists.offsets, pa.int32()), values)

    browse = rows["request"] == 0
    requests = request_ids.combine_chunks() if len(request_ids) else pa.array([], pa.string())
    columns = {
        "target_id": rows["target_id"],
        "split": taken(tuple(Split), rows["split"]),
        "task": rows["task"].astype(np.int8),
        "user_id": taken(users, rows["user"]),
        "time": rows["time"],
        "session": rows["session"],
        "request_id": pc.take(requests, pa.array(rows["request"] - 1, mask=browse)),
        "query": taken(texts, rows["query"]),
        "candidates": as_lists(taken(documents, lists.candidates["doc"])),
        "labels": as_lists(pa.array(lists.candidates["label"].astype(np.int8))),
        "popularity": as_lists(pa.array(popularity)),
        "last_touch": as_lists(pa.array(last_touch)),
        "first_of_task": rows["first_of_task"] == 1,
        "session_has_both": rows["has_both"] == 1,
        "known_user": user_row[rows["user"]] > 0,
        "query_seen": rows["query_seen"] == 1,
        "past_behaviors": rows["past_behaviors"].astype(np.int32),
        "pseudo": rows["pseudo"] == 1,
    }
    pq.write_table(pa.table(columns, schema=TARGETS), folder / "targets.parquet")
