"""User windows: the records of the TFRecord files and the unit of shuffling.

A window is up to `targets_per_window` consecutive target rows of one user, split and view, with
every behavior state and past session they need, each once. In the training split a target stands
once for each relevant document, in the others once. Fields (all int64 lists unless said; b, s, t =
behaviors, sessions, targets of the window; pointers are local numbers from 1 on, 0 pad, left
aligned, oldest first):

    user [1]                    row of users.parquet, 0 = unknown
    behavior_type [b]           1 browse, 2 search
    behavior_text [b]           title of the browsed document, or the query
    behavior_doc [b]            browsed document, 0 for a search
    behavior_clicked_docs [3b]  visible satisfied clicks of a search, earliest first
    session_behaviors [5s]      -> behaviors
    target_id [t]  target_task [t]  target_positive [t]  query_text [t]  next_query_text [t]
    current_behaviors [5t]      -> behaviors
    past_sessions [20t]         -> sessions
    candidate_count [t]
    candidate_doc [c]  candidate_label [c]  candidate_features float [c * features]
"""

import dataclasses
import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import concat_ranges, run_starts
from data_pipeline.dataset.tf_examples import examples
from data_pipeline.events.visible_history import BehaviorStates, VisibleHistory

SIZES = ("texts", "behaviors", "sessions", "targets", "candidates")
"""Columns of the `<split>-sizes.npy` files: distinct texts of behaviors, clicked titles and queries
(candidates' titles are not counted), behaviors, sessions, targets, candidates of all targets."""


@dataclasses.dataclass(frozen=True)
class WindowInputs:
    """Targets, candidates and F of a dataset, for the windows of every scenario.

    Attributes:
        targets: Columns target_id, user, time, activity, split, task, query, next_query; row =
            target id.
        user_row: int64 [targets], row of users.parquet.
        offsets: int64 [targets + 1], where candidates begin.
        candidate_doc: int64 [candidates].
        candidate_label: int64 [candidates].
        features: float32 [candidates, features].
        document_text: int64 [documents], text of each document.
        group_row: int64 [groups], target of each group, ascending.
        positive: int64 [groups], position of its positive.
    """

    targets: Columns
    user_row: Integers
    offsets: Integers
    candidate_doc: Integers
    candidate_label: Integers
    features: npt.NDArray[np.float32]
    document_text: Integers
    group_row: Integers
    positive: Integers


def starts(user: Integers, targets_per_window: int) -> Integers:
    """Where windows begin in rows ordered by user, with the number of rows at the end.

    Raises:
        ValueError: `targets_per_window` is below 1.

    Example:
        >>> starts(np.array([1, 1, 1, 4]), 2)
        array([0, 2, 3, 4])
    """
    if targets_per_window < 1:
        raise ValueError(
            "`targets_per_window` must be at least 1. Received: `targets_per_window` = "
            f"{targets_per_window}. Set --windows.targets_per_window to 1 or more."
        )
    edges = run_starts(user)
    counts = np.diff(edges)
    place = concat_ranges(np.zeros_like(counts), counts)
    return np.append(np.flatnonzero(place % targets_per_window == 0), len(user))


class _Local:
    """Numbers of each window's distinct things, counted from 1 in every window.

    Args:
        window: int64 [n], window of each mention, in 0 ... windows - 1.
        number: int64 [n], the thing mentioned; 0 is none and is passed over.
        windows: Number of windows.

    Attributes:
        local: int64 [n], local number of each mention, 0 for none.
        things: int64 [m], the distinct things, window after window.
        edges: int64 [windows + 1], where each window's things begin.
    """

    def __init__(self, window: Integers, number: Integers, windows: int) -> None:
        real = number > 0
        span = int(number.max(initial=0)) + 1
        keys, inverse = np.unique(window[real] * span + number[real], return_inverse=True)
        self.things = keys % span
        self.edges = np.searchsorted(keys // span, np.arange(windows + 1))
        self.local = np.zeros(len(number), np.int64)
        self.local[real] = inverse - self.edges[window[real]] + 1


def records(
    inputs: WindowInputs,
    behaviors: Columns,
    states: BehaviorStates,
    past: VisibleHistory,
    rows: Integers,
    seen: Integers,
    positive: Integers,
    edges: Integers,
) -> tuple[Iterator[bytes], npt.NDArray[np.int32]]:
    """Lays out a block of windows.

    Args:
        inputs: Targets, candidates and F.
        behaviors: Columns type, text, doc of the behaviors, in their order.
        states: States of those behaviors.
        past: What the view's targets see.
        rows: int64 [n], target of each target row.
        seen: int64 [n], its row in `past`.
        positive: int64 [n], position of its positive.
        edges: int64 [windows + 1], where each window begins among the rows.

    Returns:
        (serialised tf.train.Example of each window in order, int32 [windows, 5] `SIZES`).
    """
    windows = len(edges) - 1
    window = np.repeat(np.arange(windows), np.diff(edges))
    depth, slots = past.current.shape[1], past.past.shape[1]

    sessions = _Local(np.repeat(window, slots), past.past[seen].ravel(), windows)
    session_window = np.repeat(np.arange(windows), np.diff(sessions.edges))
    contents = past.sessions[sessions.things - 1]
    mentions = np.concatenate([contents.ravel(), past.current[seen].ravel()])
    owners = np.concatenate([np.repeat(session_window, depth), np.repeat(window, depth)])
    local_behaviors = _Local(owners, mentions, windows)
    state = local_behaviors.things - 1
    behavior = states.behavior[state]
    clicked = states.clicked[state]

    sizes = np.diff(inputs.offsets)[rows]
    candidates = concat_ranges(inputs.offsets[rows], sizes)
    candidate_edges = np.concatenate([[0], np.cumsum(sizes)])[edges]
    targets = inputs.targets
    fields = {
        "user": (inputs.user_row[rows[edges[:-1]]], np.arange(windows + 1)),
        "behavior_type": (behaviors["type"][behavior], local_behaviors.edges),
        "behavior_text": (behaviors["text"][behavior], local_behaviors.edges),
        "behavior_doc": (behaviors["doc"][behavior], local_behaviors.edges),
        "behavior_clicked_docs": (clicked, local_behaviors.edges),
        "session_behaviors": (
            local_behaviors.local[: contents.size].reshape(-1, depth),
            sessions.edges,
        ),
        "target_id": (targets["target_id"][rows], edges),
        "target_task": (targets["task"][rows], edges),
        "target_positive": (positive, edges),
        "query_text": (targets["query"][rows], edges),
        "next_query_text": (targets["next_query"][rows], edges),
        "current_behaviors": (local_behaviors.local[contents.size :].reshape(-1, depth), edges),
        "past_sessions": (sessions.local.reshape(-1, slots), edges),
        "candidate_count": (sizes, edges),
        "candidate_doc": (inputs.candidate_doc[candidates], candidate_edges),
        "candidate_label": (inputs.candidate_label[candidates], candidate_edges),
        "candidate_features": (inputs.features[candidates], candidate_edges),
    }
    behavior_window = np.repeat(np.arange(windows), np.diff(local_behaviors.edges))
    texts = _Local(
        np.concatenate(
            [behavior_window, np.repeat(behavior_window, clicked.shape[1]), window, window]
        ),
        np.concatenate(
            [
                fields["behavior_text"][0],
                inputs.document_text[clicked].ravel(),
                fields["query_text"][0],
                fields["next_query_text"][0],
            ]
        ),
        windows,
    )
    counts = [texts.edges, local_behaviors.edges, sessions.edges, edges, candidate_edges]
    table = np.stack([np.diff(count) for count in counts], axis=1).astype(np.int32)
    return examples(fields), table


def write_shard(
    path: str | os.PathLike[str],
    inputs: WindowInputs,
    behaviors: Columns,
    states: BehaviorStates,
    past: VisibleHistory,
    rows: Integers,
    seen: Integers,
    positive: Integers,
    edges: Integers,
) -> npt.NDArray[np.int32]:
    """Writes windows as one TFRecord file, which may be empty.

    Args:
        path: File to write.
        inputs, behaviors, states, past, rows, seen, positive, edges: As for `records`.

    Returns:
        int32 [windows, 5] `SIZES`, in the order of the records.
    """
    import tensorflow as tf

    with tf.io.TFRecordWriter(os.fspath(path)) as file:
        if len(edges) < 2:
            return np.zeros((0, len(SIZES)), np.int32)
        lines, table = records(inputs, behaviors, states, past, rows, seen, positive, edges)
        for line in lines:
            file.write(line)
    return table
