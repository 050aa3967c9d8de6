"""The click graph of users and documents, and the nearest neighbors of both in it.

An edge joins a user and a document that the user clicked in training: a browse in the history of a
training target, history period included, or the positive of a training recommendation. Validation
and test are not read. Users are rows of users.parquet, documents are rows of documents.parquet; the
unknown user and the pad document (row 0) have no edges.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import Task
from data_pipeline.common.sorted_arrays import concat_ranges, run_starts
from data_pipeline.dataset.dataset_folder import Dataset

_WINDOWS = 1000
_PATHS = 10_000_000
_FIELDS = (
    "user",
    "behavior_doc",
    "target_task",
    "target_positive",
    "candidate_count",
    "candidate_doc",
)


@dataclasses.dataclass(frozen=True)
class ClickGraph:
    """The nearest rows of each row in the click graph, nearest first, padded with 0.

    Attributes:
        users: int64 [users, n], users who clicked the same documents.
        documents: int64 [documents, n], documents clicked by the same users.
    """

    users: Integers
    documents: Integers


def click_graph(dataset: Dataset, scenario: str, count: int) -> ClickGraph:
    """Build the graph of the training clicks of a dataset.

    Args:
        dataset: Opened dataset.
        scenario: Scenario whose training windows are read.
        count: Neighbors kept of each user and document.
    """
    users, documents = training_clicks(dataset, scenario)
    shape = (len(dataset.user_ids), len(dataset.document_texts))
    ones = np.ones(len(users), np.int64)
    clicks = scipy.sparse.csr_array((ones, (users, documents)), shape=shape)
    return ClickGraph(nearest(clicks, count), nearest(clicks.T.tocsr(), count))


def training_clicks(dataset: Dataset, scenario: str) -> tuple[Integers, Integers]:
    """Return user and document of each distinct edge, int64 [edges], ordered by both."""
    spec = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in _FIELDS}
    files = dataset.window_files(scenario, "train")
    found = [np.zeros((2, 0), np.int64)]
    for records in tf.data.TFRecordDataset(files).batch(_WINDOWS):
        window = tf.io.parse_example(records, spec)
        value = {name: field.values.numpy() for name, field in window.items()}
        length = {name: field.row_lengths().numpy() for name, field in window.items()}
        first = np.cumsum(value["candidate_count"]) - value["candidate_count"]
        positive = value["candidate_doc"][first + value["target_positive"]]
        recommended = value["target_task"] == Task.RECOMMENDATION
        users = [np.repeat(value["user"], length[name]) for name in ("behavior_doc", "target_task")]
        documents = [value["behavior_doc"], np.where(recommended, positive, 0)]
        edges = np.stack([np.concatenate(users), np.concatenate(documents)])
        found.append(np.unique(edges[:, (edges > 0).all(axis=0)], axis=1))
    users, documents = np.unique(np.concatenate(found, axis=1), axis=1)
    return users, documents


def nearest(clicks: Any, count: int) -> Integers:
    """Return for each row the `count` other rows that share the most columns, nearest first.

    Of rows that share equally many, the row with the smaller number is nearer.

    Args:
        clicks: `scipy.sparse.csr_array` [rows, columns] of ones; none in row or column 0.
        count: Neighbors of a row.

    Returns:
        int64 [rows, count], padded with 0.

    Example:
        >>> clicks = np.array([[0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 1, 1]])
        >>> nearest(scipy.sparse.csr_array(clicks), 2).tolist()
        [[0, 0], [3, 2], [1, 3], [1, 2]]
    """
    near = np.zeros((clicks.shape[0], count), np.int64)
    columns = clicks.T.tocsr()
    # A path leads from a row over a shared column to a row; blocks have about equally many paths.
    paths = np.cumsum(clicks @ np.diff(columns.indptr))
    cuts = np.searchsorted(paths, np.arange(_PATHS, paths[-1], _PATHS)) + 1
    for begin, end in itertools.pairwise(np.unique([0, *cuts, clicks.shape[0]]).tolist()):
        shared = clicks[begin:end] @ columns
        row = np.repeat(np.arange(begin, end), np.diff(shared.indptr))
        order = np.lexsort((shared.indices, -shared.data, row))
        order = order[row[order] != shared.indices[order]]
        counts = np.diff(run_starts(row[order]))
        rank = concat_ranges(np.zeros_like(counts), counts)
        order, rank = order[rank < count], rank[rank < count]
        near[row[order], rank] = shared.indices[order]
    return near
