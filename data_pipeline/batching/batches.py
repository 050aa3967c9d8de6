"""Build Batches from windows with tf.data; `data_pipeline.batching.spec` describes a Batch."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from data_pipeline.batching import keyed_draws, packing, pad_sizes
from data_pipeline.batching.parsing import Batch, Tables, parse, select
from data_pipeline.common.codes import TASK_LABELS, Task
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.settings import BatchSettings

__all__ = ["Batch", "evaluation_batches", "tables_of", "training_batches", "windows_in_epoch"]

_SHUFFLED_WINDOWS = 20_000
_SIZE_SAMPLE_SEED = 0
_PREFETCHED = 2
_LIMIT_DRAW, _SHARE_DRAW = 20_210_000, 20_210_001
_TRACED = 8
"""Packing functions, and tables of datasets, that are kept for the next epoch and phase."""

Pack = Callable[..., Batch]


def tables_of(dataset: Dataset) -> Tables:
    """Return the constant tables and caps of an opened dataset."""
    return Tables(
        text_tokens=dataset.text_tokens,
        document_texts=dataset.document_texts,
        feature_mean=dataset.feature_mean,
        feature_std=dataset.feature_std,
        query_free=dataset.query_free,
        session_behaviors=dataset.session_behaviors,
        past_sessions=dataset.past_sessions,
        clicked_titles=dataset.clicked_titles,
        max_candidates=dataset.max_candidates,
    )


def windows_in_epoch(dataset: Dataset, scenario: str, share: float = 1.0) -> int:
    """Return the training windows of a scenario; a checkpoint counts those consumed up to this."""
    return math.ceil(share * len(dataset.window_sizes(scenario, "train")))


def training_batches(
    dataset: Dataset,
    scenario: str,
    settings: BatchSettings,
    seed: int,
    epoch: int,
    tasks: Sequence[str] = TASK_LABELS,
    skip_windows: int = 0,
    worker: int = 0,
    workers: int = 1,
) -> tf.data.Dataset:
    """Return one epoch of training batches, a pure function of (seed, epoch) and the dataset.

    Args:
        dataset: Opened dataset.
        scenario: `unified`, `search` or `recommendation`.
        settings: How windows are packed.
        seed: Seed of window order and draws.
        epoch: Number of the epoch, from 0.
        tasks: Tasks whose groups are kept.
        skip_windows: Windows of this epoch already consumed; resuming skips them unparsed.
        worker, workers: This worker's share: every `workers`-th window after skipping.

    Returns:
        Batches with C = 1 + K candidates, at most as many as the longest list has. Fixed sizes are
        the same for all seeds, epochs and tasks.

    Raises:
        ValueError: `multi_positive` without whole lists.
    """
    negatives = min(settings.negatives, dataset.max_candidates - 1)
    if settings.multi_positive and negatives < dataset.max_candidates - 1:
        raise ValueError(
            "`data.batch.multi_positive` must have whole lists. Got "
            f"--data.batch.negatives={settings.negatives}; the longest list has "
            f"{dataset.max_candidates} candidates. Fix: set --data.batch.negatives="
            f"{dataset.max_candidates - 1} or more."
        )
    settings = dataclasses.replace(settings, negatives=negatives)

    pack = _pack_groups(dataset, settings)

    def windows(order: int) -> tf.data.Dataset:
        files = tf.data.TFRecordDataset(dataset.window_files(scenario, "train"))
        if settings.train_share < 1:
            used = tf.constant(_choose_windows(dataset, scenario, settings.train_share))
            files = files.enumerate().filter(lambda row, _: used[row]).map(lambda _, record: record)
        return files.shuffle(_SHUFFLED_WINDOWS, order, reshuffle_each_iteration=False)

    order = int(keyed_draws.keyed(seed, epoch).numpy()) % 2**31
    share = windows(order).skip(skip_windows).shard(workers, worker)
    per_batch = settings.windows_per_batch
    batches = _map(share.batch(per_batch), pack, _codes(tasks), _int64(seed), _int64(epoch))
    buckets = None
    if pad_sizes.are_fixed(settings):
        # Not of this seed, epoch and phase: sizes must not change, or XLA compiles anew.
        sample = windows(_SIZE_SAMPLE_SEED).batch(per_batch)
        draw = _int64(_SIZE_SAMPLE_SEED), _int64(0)
        sample = _map(sample, pack, _codes(TASK_LABELS), *draw)
        sizes = dataset.window_sizes(scenario, "train")
        group = 1 + settings.negatives
        largest = pad_sizes.largest_sizes(sizes, per_batch, tables_of(dataset), settings, group)
        buckets = pad_sizes.size_buckets(sample, largest)
    return _padded(batches, buckets)


def evaluation_batches(
    dataset: Dataset,
    scenario: str,
    split: str,
    settings: BatchSettings,
    tasks: Sequence[str] = TASK_LABELS,
    limit: int = 0,
) -> tf.data.Dataset:
    """Return complete candidate lists of a split, each target once, in the order of the files.

    Args:
        dataset: Opened dataset.
        scenario: The behaviors the model was trained on.
        split: `train`, `validation` or `test`; of `train` every group is one row.
        settings: How windows are packed.
        tasks: Tasks whose targets are kept.
        limit: Targets of each task at most, drawn once by a fixed seed; 0: all.

    Returns:
        Batches with C = the longest list; a batch may be all padding where `limit` left none.
    """
    pack = _pack_lists(dataset, settings)
    chosen = tf.constant(_choose_targets(dataset, split, limit))
    per_batch = settings.evaluation_windows_per_batch
    windows = tf.data.TFRecordDataset(dataset.window_files(scenario, split)).batch(per_batch)
    batches = _map(windows, pack, _codes(tasks), chosen)
    buckets = None
    if pad_sizes.are_fixed(settings):
        sizes = dataset.window_sizes(scenario, split)
        largest = pad_sizes.largest_sizes(sizes, per_batch, tables_of(dataset), settings)
        # The sizes of all tasks: a phase of one task must not compile anew.
        buckets = pad_sizes.size_buckets(_map(windows, pack, _codes(TASK_LABELS), chosen), largest)
    return _padded(batches, buckets)


@functools.lru_cache(_TRACED)
def _pack_groups(dataset: Dataset, settings: BatchSettings) -> Pack:
    """Return the compiled `(records, tasks, seed, epoch) -> training groups`."""
    tables = _constants(dataset)

    def pack(records: tf.Tensor, tasks: tf.Tensor, seed: tf.Tensor, epoch: tf.Tensor) -> Batch:
        parsed = parse(records, tables)
        parsed = select(parsed, _are_of(parsed, tasks))
        parsed = packing.draw_group(parsed, settings, seed, epoch)
        parsed = packing.standardise(parsed, tables, settings)
        return packing.collect(parsed, tables, settings)

    return tf.function(pack, autograph=False)


@functools.lru_cache(_TRACED)
def _pack_lists(dataset: Dataset, settings: BatchSettings) -> Pack:
    """Return the compiled `(records, tasks, chosen targets) -> complete lists`."""
    tables = _constants(dataset)

    def pack(records: tf.Tensor, tasks: tf.Tensor, chosen: tf.Tensor) -> Batch:
        parsed = parse(records, tables)
        keep = _are_of(parsed, tasks) & tf.gather(chosen, parsed["target_id"])
        parsed = packing.complete_lists(select(parsed, keep))
        parsed = packing.standardise(parsed, tables, settings)
        return packing.collect(parsed, tables, settings)

    return tf.function(pack, autograph=False)


_pad = tf.function(pad_sizes.pad, autograph=False)


def _map(windows: tf.data.Dataset, pack: Pack, *arguments: tf.Tensor) -> tf.data.Dataset:
    return windows.map(lambda records: pack(records, *arguments), tf.data.AUTOTUNE)


@functools.lru_cache(_TRACED)
def _constants(dataset: Dataset) -> Tables:
    """Return the tables with the large ones as tensors: all graphs refer to the one copy."""
    tables = tables_of(dataset)
    with tf.device("CPU:0"):
        return dataclasses.replace(
            tables,
            text_tokens=tf.constant(tables.text_tokens),
            document_texts=tf.constant(tables.document_texts),
        )


def _codes(tasks: Sequence[str]) -> tf.Tensor:
    return tf.constant([Task.from_label(task) for task in tasks], tf.int64)


def _int64(number: int) -> tf.Tensor:
    return tf.constant(number, tf.int64)


def _are_of(parsed: Batch, tasks: tf.Tensor) -> tf.Tensor:
    return tf.reduce_any(parsed["task"][:, tf.newaxis] == tasks, axis=1)


def _choose_targets(dataset: Dataset, split: str, limit: int) -> np.ndarray:
    """Return bool [targets of the dataset]: the targets of `split` that `limit` keeps."""
    targets = dataset.targets(columns=["target_id", "split", "task"])
    ids = targets["target_id"].to_numpy()
    task = targets["task"].to_numpy()
    inside = np.asarray(targets["split"].to_pylist()) == split
    chosen = np.zeros(int(ids.max()) + 1 if len(ids) else 1, bool)
    for code in Task:
        rows = ids[inside & (task == code)]
        if limit and limit < len(rows):
            order = keyed_draws.uniform(_LIMIT_DRAW, tf.constant(rows, tf.int64)).numpy()
            rows = rows[np.argsort(order, kind="stable")[:limit]]
        chosen[rows] = True
    return chosen


def _choose_windows(dataset: Dataset, scenario: str, share: float) -> np.ndarray:
    """Return bool [training windows]: a share of them, part of every larger share."""
    count = len(dataset.window_sizes(scenario, "train"))
    order = keyed_draws.uniform(_SHARE_DRAW, tf.range(count, dtype=tf.int64)).numpy()
    chosen = np.zeros(count, bool)
    chosen[np.argsort(order, kind="stable")[: windows_in_epoch(dataset, scenario, share)]] = True
    return chosen


def _padded(batches: tf.data.Dataset, buckets: np.ndarray | None) -> tf.data.Dataset:
    constant = None if buckets is None else tf.constant(buckets, tf.int32)
    options = tf.data.Options()
    # A finished iterator waits for the thread that tunes it, at times for most of a minute: that
    # thread sleeps ever longer and can miss the call to stop. Untuned, a map uses all cores.
    options.autotune.enabled = False
    batches = batches.map(lambda batch: _pad(batch, constant), tf.data.AUTOTUNE)
    return batches.prefetch(_PREFETCHED).with_options(options)
