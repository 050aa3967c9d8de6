"""Window records: the constant tables they point at, and their parsing inside the graph."""

import dataclasses

import numpy as np
import tensorflow as tf

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


def where(holds: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
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
        return where(local > 0, local + offset)

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
        "candidate_doc": where(mask, tf.gather(doc, slots)),
        "labels": where(mask, tf.gather(label, slots)),
        "features": where(mask[..., tf.newaxis], tf.gather(features, slots)),
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
