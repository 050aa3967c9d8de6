"""User windows: the records of the TFRecord files and the unit of shuffling.

A window is up to `targets_per_window` consecutive target rows of one user, split and scenario, with
each behavior state and past session that they need, once. In the training split a target has one
row for each relevant document, in the other splits one row. Fields (int64 lists unless noted;
b, s, t, c = behaviors, sessions, targets, candidates of the window; pointers are local numbers from
1 on, 0 is padding, left aligned, oldest first):

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
from data_pipeline.dataset.tf_examples import Rows, examples
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


@dataclasses.dataclass(frozen=True)
class TargetRows:
    """Target rows, cut into windows.

    Attributes:
        target: int64 [n], target id of each row.
        history: int64 [n], its row in the `VisibleHistory`.
        positive: int64 [n], position of its positive.
        edges: int64 [windows + 1], first row of each window, and n.
    """

    target: Integers
    history: Integers
    positive: Integers
    edges: Integers


def cut_windows(user: Integers, targets_per_window: int) -> Integers:
    """Return the first row of each window, for rows ordered by user, and the number of rows.

    Raises:
        ValueError: `targets_per_window` is below 1.

    Example:
        >>> cut_windows(np.array([1, 1, 1, 4]), 2)
        array([0, 2, 3, 4])
    """
    if targets_per_window < 1:
        raise ValueError(
            "`windows.targets_per_window` must be at least 1. Got "
            f"{targets_per_window}. Fix: set --windows.targets_per_window to 1 or more."
        )
    counts = np.diff(run_starts(user))
    position = concat_ranges(np.zeros_like(counts), counts)
    return np.append(np.flatnonzero(position % targets_per_window == 0), len(user))


class _LocalNumbers:
    """Numbers of the distinct items of each window, counted from 1 in every window.

    Args:
        window: int64 [n], window of each mention of an item, in 0 ... windows - 1.
        item: int64 [n], the item mentioned; 0 is padding.
        windows: Number of windows.

    Attributes:
        number: int64 [n], local number of each mention, 0 for padding.
        items: int64 [m], the distinct items, window after window.
        edges: int64 [windows + 1], where the items of each window begin.
    """

    def __init__(self, window: Integers, item: Integers, windows: int) -> None:
        real = item > 0
        span = int(item.max(initial=0)) + 1
        keys, inverse = np.unique(window[real] * span + item[real], return_inverse=True)
        self.items = keys % span
        self.edges = np.searchsorted(keys // span, np.arange(windows + 1))
        self.number = np.zeros(len(item), np.int64)
        self.number[real] = inverse - self.edges[window[real]] + 1


def lay_out_windows(
    inputs: WindowInputs,
    behaviors: Columns,
    states: BehaviorStates,
    past: VisibleHistory,
    rows: TargetRows,
) -> tuple[Iterator[bytes], npt.NDArray[np.int32]]:
    """Lay out target rows as windows.

    Args:
        inputs: Targets, candidates and F.
        behaviors: Columns type, text, doc of the behaviors, in their order.
        states: States of those behaviors.
        past: Visible history of the targets.
        rows: The target rows.

    Returns:
        (serialised tf.train.Example of each window in order, int32 [windows, 5] `SIZES`).
    """
    fields = _lay_out_history(behaviors, states, past, rows)
    fields |= _lay_out_targets(inputs, rows) | _lay_out_candidates(inputs, rows)
    counted = ("behavior_type", "session_behaviors", "target_id", "candidate_doc")
    edges = [_number_texts(inputs, fields).edges, *(fields[name][1] for name in counted)]
    sizes = np.stack([np.diff(part) for part in edges], axis=1).astype(np.int32)
    return examples(fields), sizes


def _repeat_windows(edges: Integers) -> Integers:
    """Return the window of each of its elements, for windows that begin at `edges`."""
    return np.repeat(np.arange(len(edges) - 1), np.diff(edges))


def _lay_out_history(
    behaviors: Columns, states: BehaviorStates, past: VisibleHistory, rows: TargetRows
) -> dict[str, Rows]:
    """Return the fields of behaviors and sessions, and the pointers of targets to them."""
    windows, window = len(rows.edges) - 1, _repeat_windows(rows.edges)
    depth, slots = past.current.shape[1], past.past.shape[1]
    past_sessions = past.past[rows.history]
    sessions = _LocalNumbers(np.repeat(window, slots), past_sessions.ravel(), windows)
    # Behaviors are mentioned by past sessions and by the current session of each target.
    contents = past.sessions[sessions.items - 1]
    mentions = np.concatenate([contents.ravel(), past.current[rows.history].ravel()])
    owners = np.concatenate([_repeat_windows(sessions.edges), window])
    local = _LocalNumbers(np.repeat(owners, depth), mentions, windows)
    pointers = local.number.reshape(-1, depth)
    state = local.items - 1
    behavior = states.behavior[state]
    return {
        "behavior_type": (behaviors["type"][behavior], local.edges),
        "behavior_text": (behaviors["text"][behavior], local.edges),
        "behavior_doc": (behaviors["doc"][behavior], local.edges),
        "behavior_clicked_docs": (states.clicked[state], local.edges),
        "session_behaviors": (pointers[: len(contents)], sessions.edges),
        "current_behaviors": (pointers[len(contents) :], rows.edges),
        "past_sessions": (sessions.number.reshape(-1, slots), rows.edges),
    }


def _lay_out_targets(inputs: WindowInputs, rows: TargetRows) -> dict[str, Rows]:
    """Return the fields of targets, and the user of each window."""
    targets, target, edges = inputs.targets, rows.target, rows.edges
    return {
        "user": (inputs.user_row[target[edges[:-1]]], np.arange(len(edges))),
        "target_id": (targets["target_id"][target], edges),
        "target_task": (targets["task"][target], edges),
        "target_positive": (rows.positive, edges),
        "query_text": (targets["query"][target], edges),
        "next_query_text": (targets["next_query"][target], edges),
    }


def _lay_out_candidates(inputs: WindowInputs, rows: TargetRows) -> dict[str, Rows]:
    """Return the fields of candidates, and their number of each target."""
    counts = np.diff(inputs.offsets)[rows.target]
    candidates = concat_ranges(inputs.offsets[rows.target], counts)
    edges = np.concatenate([[0], np.cumsum(counts)])[rows.edges]
    return {
        "candidate_count": (counts, rows.edges),
        "candidate_doc": (inputs.candidate_doc[candidates], edges),
        "candidate_label": (inputs.candidate_label[candidates], edges),
        "candidate_features": (inputs.features[candidates], edges),
    }


def _number_texts(inputs: WindowInputs, fields: dict[str, Rows]) -> _LocalNumbers:
    """Number the texts that `SIZES` counts: of behaviors, clicked titles and queries."""
    clicked, behavior_edges = fields["behavior_clicked_docs"]
    next_query, edges = fields["next_query_text"]
    behavior_window, window = _repeat_windows(behavior_edges), _repeat_windows(edges)
    owners = [behavior_window, np.repeat(behavior_window, clicked.shape[1]), window, window]
    texts = [
        fields["behavior_text"][0],
        inputs.document_text[clicked].ravel(),
        fields["query_text"][0],
        next_query,
    ]
    return _LocalNumbers(np.concatenate(owners), np.concatenate(texts), len(edges) - 1)


def write_shard(
    path: str | os.PathLike[str],
    inputs: WindowInputs,
    behaviors: Columns,
    states: BehaviorStates,
    past: VisibleHistory,
    rows: TargetRows,
) -> npt.NDArray[np.int32]:
    """Write target rows, of one window at least, as one TFRecord file.

    Args:
        path: File to write.
        inputs, behaviors, states, past, rows: As for `lay_out_windows`.

    Returns:
        int32 [windows, 5] `SIZES`, in the order of the records.
    """
    import tensorflow as tf

    records, sizes = lay_out_windows(inputs, behaviors, states, past, rows)
    with tf.io.TFRecordWriter(os.fspath(path)) as file:
        for record in records:
            file.write(record)
    return sizes
