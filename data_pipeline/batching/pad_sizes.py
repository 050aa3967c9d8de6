"""Pad the tables of a Batch to one of a few fixed sizes, so that XLA and TPUs compile rarely.

The sizes are joint: one number of rows for every table and row subset. They are computed from the
dataset, the tasks and the settings alone, never from the epoch or the seed of a run.
"""

import numpy as np
import tensorflow as tf

from data_pipeline.batching import row_subsets, spec
from data_pipeline.batching.parsing import Batch, Tables
from data_pipeline.settings import BatchSettings

SAMPLE_BATCHES = 24
_QUANTILES = (0.5, 0.85)
_SAMPLE_MARGIN = 1.1


def are_fixed(settings: BatchSettings) -> bool:
    """Return whether batches are padded; `auto` means on GPUs, for XLA and TPUs training asks."""
    if settings.fixed_sizes == "auto":
        return bool(tf.config.list_logical_devices("GPU"))
    return settings.fixed_sizes == "on"


def table_sizes(batch: Batch) -> tf.Tensor:
    """Return the sizes of a Batch, int32: rows of the tables and row subsets, longest history."""
    names = [*spec.TABLE_SIZE_FIELDS.values(), *row_subsets.names(batch)]
    sizes = [tf.shape(batch[name])[0] for name in names]
    if spec.HISTORY_SLOTS in batch:
        sizes.append(tf.shape(batch[spec.HISTORY_SLOTS])[1])
    return tf.stack(sizes)


def largest_sizes(
    window_sizes: np.ndarray,
    per_batch: int,
    tables: Tables,
    settings: BatchSettings,
    group: int | None = None,
) -> np.ndarray:
    """Return sizes no batch of `per_batch` windows can exceed: its largest windows together.

    Args:
        window_sizes: int [windows, 5]: history texts, behaviors, sessions, targets, candidates.
        per_batch: Windows in a batch.
        tables: Caps of the dataset.
        settings: Sharing of texts and their buckets.
        group: Candidates of a training group; None: complete lists.

    Returns:
        int64 in the order of `table_sizes`.
    """
    texts, behaviors, sessions, targets, candidates = window_sizes.astype(np.int64).T
    if not settings.share_texts:
        texts = behaviors * (1 + tables.clicked_titles) + targets
    texts = texts + targets + (candidates if group is None else targets * group)
    rows = [texts, behaviors, sessions, targets]
    if settings.length_buckets:
        longest = tables.text_tokens.shape[1]
        buckets = row_subsets.halved_lengths(longest, settings.length_buckets)
        rows += [texts] * len(buckets) + [behaviors, targets]
    largest = np.sort(np.stack(rows, 1), axis=0)[-per_batch:].sum(0) + 1
    if settings.length_buckets:
        largest = np.append(largest, tables.past_sessions * tables.session_behaviors)
    return largest


def size_buckets(sample: tf.data.Dataset, largest: np.ndarray) -> np.ndarray:
    """Return four joint sizes, ascending: quantiles of a sample of batches, then the largest.

    Args:
        sample: Batches before padding; the first `SAMPLE_BATCHES` are read.
        largest: Of `largest_sizes`; the last bucket, so that every batch fits.
    """
    seen = np.array([table_sizes(batch).numpy() for batch in sample.take(SAMPLE_BATCHES)])
    buckets = [np.quantile(seen, q, axis=0) for q in _QUANTILES]
    buckets.append(seen.max(0) * _SAMPLE_MARGIN)
    return np.array(
        [*(np.minimum(np.ceil(sizes), largest) for sizes in buckets), largest], np.int32
    )


def pad(batch: Batch, buckets: tf.Tensor | None = None) -> Batch:
    """Pad the tables to the smallest bucket that holds them and cast to the dtypes of `spec`.

    Args:
        batch: Tables of `packing.collect`.
        buckets: int32 [buckets, tables], joint sizes in the order of `table_sizes`, ascending.
            Default: exact sizes.

    Raises:
        tf.errors.InvalidArgumentError: No bucket holds the batch. That of `largest_sizes` does.
    """
    wanted = tf.maximum(table_sizes(batch), 1)
    if buckets is not None:
        wanted = _smallest_bucket(wanted, buckets)
    subsets = row_subsets.names(batch)
    names = [*spec.TABLE_SIZE_FIELDS, *subsets, *([spec.HISTORY_SLOTS] if subsets else [])]
    rows = dict(zip(names, tf.unstack(wanted), strict=True))

    def padded(name: str, *sizes: tf.Tensor, dtype: str = "int32") -> tf.Tensor:
        value = tf.cast(batch[name], dtype)
        widths = [[0, size - tf.shape(value)[axis]] for axis, size in enumerate(sizes)]
        widths += [[0, 0]] * (value.shape.rank - len(sizes))
        return tf.pad(value, widths, constant_values=tf.cast(spec.padding(name), dtype))

    result = {
        field.name: padded(field.name, rows[field.letters[0]], dtype=field.dtype)
        for field in spec.FIELDS
    }
    if subsets:
        result |= {name: padded(name, rows[name]) for name in subsets}
        result |= row_subsets.place(result)
        longest = rows[spec.HISTORY_SLOTS]
        result[spec.HISTORY_SLOTS] = padded(spec.HISTORY_SLOTS, rows["T"], longest)
    return result


def _smallest_bucket(sizes: tf.Tensor, buckets: tf.Tensor) -> tf.Tensor:
    fits = tf.reduce_all(buckets >= sizes, axis=1)
    fitting = tf.debugging.Assert(
        tf.reduce_any(fits), ["no size bucket holds the batch", sizes, buckets]
    )
    # Otherwise a graph may reach the padding first, whose error says less.
    with tf.control_dependencies([fitting] if fitting is not None else []):
        return buckets[tf.argmax(tf.cast(fits, tf.int32))]
