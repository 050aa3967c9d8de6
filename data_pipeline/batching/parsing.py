"""Parse window records inside the graph, and hold the constant tables they point at."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from data_pipeline.batching import spec

Batch = dict[str, tf.Tensor]

_COUNT, _POSITIVE = "candidate_count", "target_positive"

RECORD_DTYPES = {_COUNT: tf.int64, _POSITIVE: tf.int64} | {
    field.record: tf.float32 if field.name == "features" else tf.int64
    for field in spec.FIELDS
    if field.record
}
"""Type of every field of a window record; `data_pipeline.dataset.windows` describes them."""


@dataclasses.dataclass(frozen=True)
class Tables:
    """Constant tables of a dataset and its fixed sizes.

    Attributes:
        text_tokens: int32 [texts, L], token ids of every text; row 0 is the empty text.
        document_texts: int32 [documents], the title's text of every document.
        feature_mean, feature_std: float32 [n], standardisation of F.
        query_free: bool [n], the features that need no query.
        session_behaviors, past_sessions, clicked_titles: the caps the records were written with.
        max_candidates: length of the longest candidate list.
    """

    text_tokens: np.ndarray | tf.Tensor
    document_texts: np.ndarray | tf.Tensor
    feature_mean: np.ndarray
    feature_std: np.ndarray
    query_free: np.ndarray
    session_behaviors: int
    past_sessions: int
    clicked_titles: int
    max_candidates: int

    @property
    def features(self) -> int:
        """Return n, the number of relevance features in the records."""
        return len(self.feature_mean)


def where(holds: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Return `value` where `holds`, zero elsewhere."""
    return tf.where(holds, value, tf.zeros([], value.dtype))


def parse(records: tf.Tensor, tables: Tables) -> Batch:
    """Parse windows and lay them in order, with row numbers shifted to the joint tables.

    Args:
        records: string [W], serialised windows.
        tables: Fixed sizes of the dataset.

    Returns:
        The fields of `spec.FIELDS` that records hold, `candidate_mask` and `positive` (int64 [T],
        slot of the group's positive), without padding; integers are int64. Behaviors and sessions
        are numbered from 1, 0 means none; candidates are [T, longest list].
    """
    window = tf.io.parse_example(
        records,
        {
            name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
            for name, dtype in RECORD_DTYPES.items()
        },
    )
    shapes = spec.batch_fields(tables)
    slots, mask = _candidate_slots(window, tables.max_candidates)
    parsed = {"positive": window[_POSITIVE].values, "candidate_mask": mask}

    def width(name: str) -> int:
        """Return the numbers a record holds for each row of a field."""
        return math.prod(size for size in shapes[name][0] if size is not None)

    def shifted(field: spec.Field, values: tf.Tensor) -> tf.Tensor:
        """Add the rows of the pointed table in the windows before to local numbers."""
        pointed = spec.BY_NAME[spec.names(field.points_at)[0]]
        counts = window[pointed.record].row_lengths() // width(pointed.name)
        before = tf.cumsum(counts, exclusive=True)
        rows = window[field.record].row_lengths() // width(field.name)
        return where(values > 0, values + tf.repeat(before, rows)[:, tf.newaxis])

    for field in spec.FIELDS:
        if not field.record:
            continue
        inner = shapes[field.name][0][1:]
        values = window[field.record].values
        if field.name == "user":
            values = tf.repeat(values, window["target_id"].row_lengths())
        elif "C" in field.letters:
            values = tf.reshape(values, [-1, *inner[1:]])
            # Windows without candidates have nothing to gather from: add one row of zeros.
            values = tf.pad(values, [[0, 1]] + [[0, 0]] * (values.shape.rank - 1))
            real = tf.reshape(mask, [-1, tables.max_candidates] + [1] * len(inner[1:]))
            values = where(real, tf.gather(values, slots))
        elif inner:
            values = tf.reshape(values, [-1, *inner])
        if field.points_at in ("behaviors", "sessions"):
            values = shifted(field, values)
        parsed[field.name] = values
    return parsed


def select(parsed: Batch, keep: tf.Tensor) -> Batch:
    """Keep the targets where `keep` (bool [T]) holds; `collect` drops what only others needed."""
    names = [name for name in ("positive", *spec.names("targets")) if name in parsed]
    return parsed | {name: tf.boolean_mask(parsed[name], keep) for name in names}


def _candidate_slots(window: Batch, longest: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return int64 [T, longest] places of candidates in the records, and which are real."""
    lists = tf.RaggedTensor.from_row_lengths(
        tf.range(tf.size(window["candidate_doc"].values, tf.int64)), window[_COUNT].values
    )
    slots = lists.to_tensor(default_value=-1, shape=[None, longest])
    return tf.maximum(slots, 0), slots >= 0
