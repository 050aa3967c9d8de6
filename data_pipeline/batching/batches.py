"""THE contract between data and models: the Batch, and the tf.data that builds it.

A Batch is a flat dictionary of tensors: four tables that point at each other, so that each
distinct text, behavior and past session is encoded once. Row 0 of texts, behaviors and sessions
is the empty one; a pointer of 0 means none. All int32 unless said.

| table | field | shape | meaning |
|---|---|---|---|
| texts | text_tokens | [X, L] | token ids of each distinct text, 0 beyond its end |
| behaviors | behavior_type | [N] | 0 padding, 1 browse, 2 search |
| | behavior_text | [N] -> texts | title of the browsed document, or the query |
| | behavior_clicked | [N, 3] -> texts | titles of a search's visible satisfied clicks, earliest first |
| | behavior_doc | [N] | document browsed, 0 for a search |
| | behavior_clicked_docs | [N, 3] | documents clicked |
| sessions | session_behaviors | [S, 5] -> behaviors | one complete past session, oldest first, from slot 0 |
| targets | target_id | int64 [T] | -1 for padding |
| | target_weight | float32 [T] | 1 for a real group, 0 for padding |
| | task | [T] | 0 padding, 1 recommendation, 2 search |
| | user | [T] | row of the user table, 0 the unknown user |
| | query_text | [T] -> texts | 0 for a recommendation |
| | next_query_text | [T] -> texts | the user's next query in the session (a label; 0 none) |
| | current_behaviors | [T, 5] -> behaviors | of the current session before the target, oldest first |
| | past_sessions | [T, 20] -> sessions | oldest first, from slot 0 |
| | candidate_text | [T, C] -> texts | |
| | candidate_doc | [T, C] | |
| | candidate_rank | [T, C] | 1-based original rank, 0 for padding |
| | candidate_mask | bool [T, C] | real candidates |
| | labels | float32 [T, C] | 1 relevant, 0 not |
| | features | float32 [T, C, n] | F, standardised; 0 for recommendations (setting) |

`data_pipeline.batching.row_subsets` lists further fields that only save work.

Position ids are not stored: within a session they restart at 1 from slot 0, and over the history
they number the real behaviors (`user_tf.models.ranker` derives both).

Training: C = 1 + K, the group's positive and its negatives drawn anew each epoch, in original
order. Evaluation: C = the longest list, whole lists in original order.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from data_pipeline.batching import keyed_draws, packing, row_subsets
from data_pipeline.batching.parsing import Batch, Tables, parse, select
from data_pipeline.common.codes import Task
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.settings import BatchSettings

__all__ = [
    "MOST_RUNGS",
    "Batch",
    "evaluation_batches",
    "tables_of",
    "training_batches",
    "windows_in_epoch",
]

MOST_RUNGS = 4
_SHUFFLED_WINDOWS = 20_000
_LADDER_SAMPLE = 24
_LADDER_QUANTILES = (0.5, 0.85)
_SAMPLE_MARGIN = 1.1
_PREFETCHED = 2
_LIMIT_DRAW = 20_210_000


def tables_of(dataset: Dataset) -> Tables:
    """The constant tables and caps of an opened dataset."""
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


def windows_in_epoch(dataset: Dataset, scenario: str) -> int:
    """Training windows of a scenario; a checkpoint counts the windows consumed up to this."""
    return len(dataset.window_sizes(scenario, "train"))


def training_batches(
    dataset: Dataset,
    scenario: str,
    settings: BatchSettings,
    seed: int,
    epoch: int,
    tasks: Sequence[str] = ("search", "recommendation"),
    skip_windows: int = 0,
    worker: int = 0,
    workers: int = 1,
) -> tf.data.Dataset:
    """One epoch of training batches, a pure function of (seed, epoch) and the dataset.

    Args:
        dataset: Opened dataset.
        scenario: `unified`, `search` or `recommendation`.
        settings: How windows are laid together.
        seed: Seed of window order and draws.
        epoch: Number of the epoch, from 0.
        tasks: Tasks whose groups are kept.
        skip_windows: Windows of this epoch already consumed; resuming skips them unparsed.
        worker, workers: This worker's share: every `workers`-th window after skipping.

    Returns:
        Batches with C = 1 + K candidates.
    """
    tables = tables_of(dataset)

    def batch(records: tf.Tensor) -> Batch:
        parsed = parse(records, tables)
        parsed = select(parsed, _of_tasks(parsed, tasks))
        parsed = packing.draw_group(parsed, settings, seed, epoch)
        parsed = packing.standardise(parsed, tables, settings)
        return packing.collect(parsed, tables, settings)

    order = int(keyed_draws.keyed(seed, epoch).numpy()) % 2**31
    windows = tf.data.TFRecordDataset(dataset.window_files(scenario, "train"))
    windows = windows.shuffle(_SHUFFLED_WINDOWS, order, reshuffle_each_iteration=False)
    windows = windows.skip(skip_windows).shard(workers, worker)
    windows = windows.batch(settings.windows_per_batch)
    # The ladder must not change with the epoch, or XLA would compile anew: it is made on epoch 0.
    sample = tf.data.TFRecordDataset(dataset.window_files(scenario, "train"))
    sample = sample.shuffle(_SHUFFLED_WINDOWS, seed, reshuffle_each_iteration=False)
    sample = sample.batch(settings.windows_per_batch).map(batch)
    bound = _largest(
        dataset.window_sizes(scenario, "train"),
        settings.windows_per_batch,
        tables,
        settings,
        1 + settings.negatives,
    )
    return _padded(windows.map(batch, tf.data.AUTOTUNE), _ladder(sample, bound, settings), settings)


def evaluation_batches(
    dataset: Dataset,
    scenario: str,
    split: str,
    settings: BatchSettings,
    tasks: Sequence[str] = ("search", "recommendation"),
    limit: int = 0,
) -> tf.data.Dataset:
    """Whole candidate lists of a split, each target once, in the order of the files.

    Args:
        dataset: Opened dataset.
        scenario: The view of the behaviors the model was trained on.
        split: `train`, `validation` or `test`; of `train` every group is one row.
        settings: How windows are laid together.
        tasks: Tasks whose targets are kept.
        limit: Targets of each task at most, drawn once by a fixed seed; 0: all.

    Returns:
        Batches with C = the longest list; a batch may be all padding where `limit` left none.
    """
    tables = tables_of(dataset)
    chosen = tf.constant(_chosen_targets(dataset, split, limit))

    def batch(records: tf.Tensor) -> Batch:
        parsed = parse(records, tables)
        keep = _of_tasks(parsed, tasks) & tf.gather(chosen, parsed["target_id"])
        parsed = packing.whole_lists(select(parsed, keep))
        parsed = packing.standardise(parsed, tables, settings)
        return packing.collect(parsed, tables, settings)

    per_batch = settings.evaluation_windows_per_batch
    windows = tf.data.TFRecordDataset(dataset.window_files(scenario, split)).batch(per_batch)
    sizes = dataset.window_sizes(scenario, split)
    bound = _largest(sizes, per_batch, tables, settings)
    batches = windows.map(batch, tf.data.AUTOTUNE)
    return _padded(batches, _ladder(batches, bound, settings), settings)


def _of_tasks(parsed: Batch, tasks: Sequence[str]) -> tf.Tensor:
    wanted = tf.constant([Task.from_label(task) for task in tasks], tf.int64)
    return tf.reduce_any(parsed["task"][:, tf.newaxis] == wanted, axis=1)


def _chosen_targets(dataset: Dataset, split: str, limit: int) -> np.ndarray:
    """bool [targets of the dataset]: the targets of `split` that `limit` keeps."""
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


def _largest(
    window_sizes: np.ndarray,
    per_batch: int,
    tables: Tables,
    settings: BatchSettings,
    group: int | None = None,
) -> np.ndarray:
    """Sizes no batch of `per_batch` windows can exceed: its largest windows together.

    Args:
        window_sizes: int [windows, 5]: history texts, behaviors, sessions, targets, candidates.
        per_batch: Windows in a batch.
        tables: Caps of the dataset.
        settings: How windows are laid together.
        group: Candidates of a training group; None: whole lists.
    """
    texts, behaviors, sessions, targets, candidates = window_sizes.astype(np.int64).T
    if not settings.share_texts:
        texts = behaviors * (1 + tables.clicked_titles) + targets
    texts = texts + targets + (candidates if group is None else targets * group)
    tables_rows = [texts, behaviors, sessions, targets]
    if settings.length_buckets:
        lengths = row_subsets.group_lengths(tables.text_tokens.shape[1], settings.length_buckets)
        tables_rows += [texts] * len(lengths) + [behaviors, targets]
    rows = np.stack(tables_rows, 1)
    return np.sort(rows, axis=0)[-per_batch:].sum(0) + 1


def _ladder(sample: tf.data.Dataset, bound: np.ndarray, settings: BatchSettings) -> np.ndarray:
    """Joint sizes of the tables: quantiles of a sample of batches, then the bound.

    Args:
        sample: Batches before padding.
        bound: int [tables], sizes no batch exceeds.
        settings: Number of rungs; one: the bound alone; none: an empty ladder.
    """
    rungs = settings.rungs
    if rungs < 0:
        rungs = MOST_RUNGS if tf.config.list_logical_devices("GPU") else 0
    if rungs == 0:
        return np.zeros([0, len(bound)], np.int32)
    seen = np.array([packing.sizes(batch).numpy() for batch in sample.take(_LADDER_SAMPLE)])
    ladder = [np.quantile(seen, q, axis=0) for q in _LADDER_QUANTILES]
    ladder.append(seen.max(0) * _SAMPLE_MARGIN)
    ladder = [np.minimum(np.ceil(rung), bound) for rung in ladder]
    return np.array([*ladder[: rungs - 1], bound], np.int32)


def _padded(
    batches: tf.data.Dataset, ladder: np.ndarray, settings: BatchSettings
) -> tf.data.Dataset:
    constant = tf.constant(ladder, tf.int32)
    options = tf.data.Options()
    # A finished iterator waits for the thread that tunes it, at times for most of a minute: that
    # thread sleeps ever longer and can miss the call to stop. Untuned, a map uses all cores.
    options.autotune.enabled = False
    batches = batches.map(lambda batch: packing.pad(batch, constant), tf.data.AUTOTUNE)
    return batches.prefetch(_PREFETCHED).with_options(options)
