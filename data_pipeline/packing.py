"""From window records to the packed tables of a Batch: parse, select, draw, collect, pad.

All of it runs inside the graph on whole tensors; nothing here loops over examples. Field names,
shapes and meaning are those of `data_pipeline.batch`, the contract; this file holds the mathematics.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from data_pipeline import draws
from data_pipeline.settings import BatchSettings

RECOMMENDATION, SEARCH = 1, 2
BROWSE = RECOMMENDATION
TASKS = {"recommendation": RECOMMENDATION, "search": SEARCH}

_INTEGER_LISTS = (
    "user",
    "behavior_type",
    "behavior_text",
    "behavior_doc",
    "behavior_clicked_docs",
    "session_behaviors",
    "target_id",
    "target_task",
    "target_positive",
    "query_text",
    "next_query_text",
    "current_behaviors",
    "past_sessions",
    "candidate_count",
    "candidate_doc",
    "candidate_label",
)
_UNKNOWN_USER_DRAW = -1

Batch = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Tables:
    """What records point at, and the fixed sizes of a dataset.

    Attributes:
        text_tokens: int32 [texts, L], token ids of every text; row 0 is the empty text.
        document_texts: int32 [documents], the title's text of every document.
        feature_mean, feature_std: float32 [n], standardisation of F.
        query_free: bool [n], the features that need no query.
        session_behaviors, past_sessions, clicked_titles: the caps the records were written with.
        max_candidates: length of the longest candidate list.
    """

    text_tokens: np.ndarray
    document_texts: np.ndarray
    feature_mean: np.ndarray
    feature_std: np.ndarray
    query_free: np.ndarray
    session_behaviors: int
    past_sessions: int
    clicked_titles: int
    max_candidates: int


def _where(holds: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """`value` where `holds`, zero elsewhere."""
    return tf.where(holds, value, tf.zeros([], value.dtype))


def parse(records: tf.Tensor, tables: Tables) -> Batch:
    """Parses windows and lays them in order, with row numbers shifted to the joint tables.

    Args:
        records: string [W], serialised windows.
        tables: Caps of the dataset.

    Returns:
        Tables without padding. Behaviors and sessions are numbered from 1, 0 stands for none;
        candidates are [T, longest list] with `candidate_mask`.
    """
    spec: dict[str, tf.io.RaggedFeature] = {
        name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in _INTEGER_LISTS
    }
    spec["candidate_features"] = tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64)
    window = tf.io.parse_example(records, spec)

    def rows(name: str, width: int) -> tf.Tensor:
        return tf.reshape(window[name].values, [-1, width])

    def shifted(name: str, width: int, points_at: str, points_at_width: int = 1) -> tf.Tensor:
        """Local numbers of `name` + the rows of `points_at` in the windows before."""
        counts = window[points_at].row_lengths() // points_at_width
        before = tf.cumsum(counts, exclusive=True)
        local = rows(name, width)
        offset = tf.repeat(before, window[name].row_lengths() // width)[:, tf.newaxis]
        return _where(local > 0, local + offset)

    lists = tf.RaggedTensor.from_row_lengths(
        tf.range(tf.size(window["candidate_doc"].values, tf.int64)),
        window["candidate_count"].values,
    )
    slots = lists.to_tensor(default_value=-1, shape=[None, tables.max_candidates])
    mask = slots >= 0
    slots = tf.maximum(slots, 0)
    # A stream of empty windows has nothing to gather from: one row of zeros stands in.
    features = tf.reshape(window["candidate_features"].values, [-1, len(tables.feature_mean)])
    doc = tf.concat([window["candidate_doc"].values, [0]], 0)
    label = tf.concat([window["candidate_label"].values, [0]], 0)
    features = tf.concat([features, tf.zeros([1, len(tables.feature_mean)])], 0)
    targets = window["target_id"].row_lengths()
    return {
        "behavior_type": window["behavior_type"].values,
        "behavior_text": window["behavior_text"].values,
        "behavior_doc": window["behavior_doc"].values,
        "behavior_clicked_docs": rows("behavior_clicked_docs", tables.clicked_titles),
        "session_behaviors": shifted(
            "session_behaviors", tables.session_behaviors, "behavior_type"
        ),
        "target_id": window["target_id"].values,
        "task": window["target_task"].values,
        "positive": window["target_positive"].values,
        "user": tf.repeat(window["user"].values, targets),
        "query_text": window["query_text"].values,
        "next_query_text": window["next_query_text"].values,
        "current_behaviors": shifted(
            "current_behaviors", tables.session_behaviors, "behavior_type"
        ),
        "past_sessions": shifted(
            "past_sessions", tables.past_sessions, "session_behaviors", tables.session_behaviors
        ),
        "candidate_mask": mask,
        "candidate_doc": _where(mask, tf.gather(doc, slots)),
        "labels": _where(mask, tf.gather(label, slots)),
        "features": _where(mask[..., tf.newaxis], tf.gather(features, slots)),
    }


_TARGET_FIELDS = (
    "target_id",
    "task",
    "positive",
    "user",
    "query_text",
    "next_query_text",
    "current_behaviors",
    "past_sessions",
    "candidate_mask",
    "candidate_doc",
    "labels",
    "features",
)


def select(parsed: Batch, keep: tf.Tensor) -> Batch:
    """Keeps the targets where `keep` (bool [T]) holds; what only others needed goes in `collect`."""
    kept = {name: tf.boolean_mask(parsed[name], keep) for name in _TARGET_FIELDS}
    return parsed | kept


def draw_group(parsed: Batch, settings: BatchSettings, seed: int, epoch: tf.Tensor | int) -> Batch:
    """Draws the K negatives of every group and, for recommendations, the unknown user.

    The group keeps its candidates in original order, so that the slot of the positive says
    nothing; slots beyond the negatives that exist are masked.
    """
    slots = tf.shape(parsed["labels"])[1]
    keys = (seed, epoch, parsed["target_id"], parsed["positive"])
    eligible = parsed["candidate_mask"] & (parsed["labels"] == 0)
    count = tf.minimum(settings.negatives, slots)
    drawn = draws.draw_slots(eligible, count, *keys)
    positive = tf.cast(parsed["positive"], tf.int32)[:, tf.newaxis]
    group = tf.sort(tf.concat([positive, drawn], 1))
    group = tf.pad(group, [[0, 0], [0, settings.negatives - count]], constant_values=slots)
    group = tf.ensure_shape(group, [None, settings.negatives + 1])
    mask = group < slots
    index = _where(mask, group)

    def pick(name: str) -> tf.Tensor:
        return tf.gather(parsed[name], index, batch_dims=1)

    unknown = (parsed["task"] == RECOMMENDATION) & (
        draws.uniform(*keys, _UNKNOWN_USER_DRAW) < settings.unknown_user_rate
    )
    return parsed | {
        "user": _where(~unknown, parsed["user"]),
        "candidate_mask": mask,
        "candidate_doc": _where(mask, pick("candidate_doc")),
        "candidate_rank": _where(mask, group + 1),
        "labels": tf.cast(group == positive, tf.int64),
        "features": _where(mask[..., tf.newaxis], pick("features")),
    }


def whole_lists(parsed: Batch) -> Batch:
    """Keeps whole lists in original order, as evaluation does."""
    slots = tf.range(1, tf.shape(parsed["labels"])[1] + 1)[tf.newaxis]
    return parsed | {"candidate_rank": _where(parsed["candidate_mask"], slots)}


def standardise(parsed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Standardises F and zeroes what a task must not see; width 0 where F is off."""
    if not settings.features:
        return parsed | {"features": parsed["features"][..., :0]}
    allowed = tf.constant(
        tables.query_free if settings.recommendation_features else np.zeros_like(tables.query_free)
    )
    seen = (parsed["task"] == SEARCH)[:, tf.newaxis, tf.newaxis] | allowed
    seen &= parsed["candidate_mask"][..., tf.newaxis]
    scaled = (parsed["features"] - tables.feature_mean) / tables.feature_std
    return parsed | {"features": _where(seen, scaled)}


def distinct(rows: tf.Tensor, share: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
    """The distinct rows that `rows` points at, 0 first, and `rows` renumbered to them.

    Args:
        rows: int64, any shape; 0 stands for none.
        share: Off: every occurrence gets a row of its own.

    Returns:
        ids int64 [distinct], with ids[0] = 0; numbers of the shape of `rows`.

    Example:
        >>> ids, numbers = distinct(tf.constant([[7, 0], [5, 7]], tf.int64))
        >>> ids.numpy().tolist(), numbers.numpy().tolist()
        ([0, 7, 5], [[1, 0], [2, 1]])
    """
    flat = tf.concat([tf.zeros([1], tf.int64), tf.reshape(rows, [-1])], 0)
    if share:
        ids, numbers = tf.unique(flat, out_idx=tf.int64)
    else:
        ids = flat
        numbers = tf.where(flat == 0, tf.zeros_like(flat), tf.range(tf.size(flat, tf.int64)))
    return ids, tf.reshape(numbers[1:], tf.shape(rows))


def collect(parsed: Batch, tables: Tables, settings: BatchSettings) -> Batch:
    """Collects the distinct sessions, behaviors and texts the targets need; row 0 is the empty one."""

    def with_empty_row(name: str) -> tf.Tensor:
        value = parsed[name]
        empty = tf.zeros(tf.concat([[1], tf.shape(value)[1:]], 0), value.dtype)
        return tf.concat([empty, value], 0)

    session_ids, past_sessions = distinct(parsed["past_sessions"])
    session_rows = tf.gather(with_empty_row("session_behaviors"), session_ids)
    needed = tf.concat([session_rows, parsed["current_behaviors"]], 0)
    behavior_ids, needed = distinct(needed)
    sessions = tf.size(session_ids)

    def behaviors(name: str) -> tf.Tensor:
        return tf.gather(with_empty_row(name), behavior_ids)

    document_texts = tf.constant(tables.document_texts, tf.int64)
    texts = {
        "behavior_text": behaviors("behavior_text"),
        "behavior_clicked": tf.gather(document_texts, behaviors("behavior_clicked_docs")),
        "query_text": parsed["query_text"],
        "candidate_text": tf.gather(document_texts, parsed["candidate_doc"]),
        "next_query_text": parsed["next_query_text"]
        if settings.next_queries
        else tf.zeros_like(parsed["next_query_text"]),
    }
    flat = tf.concat([tf.reshape(value, [-1]) for value in texts.values()], 0)
    text_ids, numbers = distinct(flat, settings.share_texts)
    parts = tf.split(numbers, [tf.size(value) for value in texts.values()])
    texts = {
        name: tf.reshape(part, tf.shape(value))
        for (name, value), part in zip(texts.items(), parts, strict=True)
    }
    return (
        parsed
        | texts
        | {
            "text_tokens": tf.gather(tf.constant(tables.text_tokens), text_ids),
            "behavior_type": behaviors("behavior_type"),
            "behavior_doc": behaviors("behavior_doc"),
            "behavior_clicked_docs": behaviors("behavior_clicked_docs"),
            "session_behaviors": needed[:sessions],
            "current_behaviors": needed[sessions:],
            "past_sessions": past_sessions,
            "target_weight": tf.ones_like(parsed["target_id"], tf.float32),
        }
    )


AXIS_OF = {
    "text_tokens": "X",
    "behavior_type": "N",
    "behavior_text": "N",
    "behavior_clicked": "N",
    "behavior_doc": "N",
    "behavior_clicked_docs": "N",
    "session_behaviors": "S",
    "target_id": "T",
    "target_weight": "T",
    "task": "T",
    "user": "T",
    "query_text": "T",
    "next_query_text": "T",
    "current_behaviors": "T",
    "past_sessions": "T",
    "candidate_text": "T",
    "candidate_doc": "T",
    "candidate_rank": "T",
    "candidate_mask": "T",
    "labels": "T",
    "features": "T",
}
_REPRESENTATIVE = {"X": "text_tokens", "N": "behavior_type", "S": "session_behaviors", "T": "task"}
_FLOATS = ("target_weight", "labels", "features")


def sizes(batch: Batch) -> tf.Tensor:
    """Rows of the four tables, int32 [4]: texts X, behaviors N, sessions S, targets T."""
    return tf.stack([tf.shape(batch[name])[0] for name in _REPRESENTATIVE.values()])


def pad(batch: Batch, ladder: tf.Tensor) -> Batch:
    """Pads the tables to the smallest rung that holds them and casts to the contract's dtypes.

    Args:
        batch: Tables of `collect`.
        ladder: int32 [rungs, 4], joint (X, N, S, T) sizes, ascending; no rungs: exact sizes.

    Raises:
        tf.errors.InvalidArgumentError: No rung holds the batch, which the ladder's construction
            rules out.
    """
    actual = tf.maximum(sizes(batch), 1)
    rung = actual
    if ladder.shape[0]:
        fits = tf.reduce_all(ladder >= actual, axis=1)
        tf.debugging.Assert(tf.reduce_any(fits), ["no rung holds the batch", actual, ladder])
        rung = ladder[tf.argmax(tf.cast(fits, tf.int32))]
    wanted = dict(zip(_REPRESENTATIVE, tf.unstack(rung), strict=True))
    padded = {}
    for name, axis in AXIS_OF.items():
        value = batch[name]
        if value.dtype == tf.int64 and name != "target_id":
            value = tf.cast(value, tf.float32 if name in _FLOATS else tf.int32)
        widths = [[0, wanted[axis] - tf.shape(value)[0]]] + [[0, 0]] * (value.shape.rank - 1)
        empty = -1 if name == "target_id" else False if value.dtype == tf.bool else 0
        padded[name] = tf.pad(value, widths, constant_values=tf.cast(empty, value.dtype))
    return padded
