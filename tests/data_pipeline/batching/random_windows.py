"""Random window records and the Batch made of them, shared by the tests of this folder."""

import dataclasses

import numpy as np
import tensorflow as tf

from data_pipeline.batching import packing, pad_sizes
from data_pipeline.batching.parsing import Tables, parse, select
from data_pipeline.settings import BatchSettings

TEXTS, DOCUMENTS, FEATURES, LISTS = 60, 40, 3, 7
SETTINGS = BatchSettings(negatives=4, unknown_user_rate=0.0)


def tables() -> Tables:
    rng = np.random.default_rng(0)
    document_texts = rng.integers(1, TEXTS, DOCUMENTS).astype(np.int32)
    document_texts[0] = 0
    return Tables(
        # The token of a text is its id, so a resolved text can be recognised.
        text_tokens=np.repeat(np.arange(TEXTS, dtype=np.int32)[:, None], 2, 1),
        document_texts=document_texts,
        feature_mean=np.array([1, 2, 3], np.float32),
        feature_std=np.array([2, 2, 4], np.float32),
        query_free=np.array([True, False, True]),
        session_behaviors=5,
        past_sessions=20,
        clicked_titles=3,
        max_candidates=LISTS,
    )


def random_window(rng: np.random.Generator, first_target: int) -> dict:
    behaviors, sessions, targets = rng.integers(0, 9), rng.integers(0, 4), rng.integers(0, 6)

    def pointers(rows: int, width: int, largest: int) -> np.ndarray:
        counts = rng.integers(0, width + 1, rows) if largest else np.zeros(rows, int)
        values = rng.integers(1, max(largest, 1) + 1, [rows, width])
        return np.where(np.arange(width) < counts[:, None], values, 0)

    kinds = rng.integers(1, 3, behaviors)
    task = rng.integers(1, 3, targets)
    counts = rng.integers(2, LISTS + 1, targets)
    positive = rng.integers(0, counts) if targets else np.zeros(0, int)
    labels = [
        (np.arange(c) == p) | (rng.random(c) < 0.2) for c, p in zip(counts, positive, strict=True)
    ]
    return {
        "user": np.array([rng.integers(0, 5)]),
        "behavior_type": kinds,
        "behavior_text": rng.integers(1, TEXTS, behaviors),
        "behavior_doc": np.where(kinds == 1, rng.integers(1, DOCUMENTS, behaviors), 0),
        "behavior_clicked_docs": pointers(behaviors, 3, DOCUMENTS - 1) * (kinds == 2)[:, None],
        "session_behaviors": pointers(sessions, 5, behaviors),
        "target_id": first_target + np.arange(targets),
        "target_task": task,
        "target_positive": positive,
        "query_text": np.where(task == 2, rng.integers(1, TEXTS, targets), 0),
        "next_query_text": rng.integers(0, TEXTS, targets),
        "current_behaviors": pointers(targets, 5, behaviors),
        "past_sessions": pointers(targets, 20, sessions),
        "candidate_count": counts,
        "candidate_doc": rng.integers(1, DOCUMENTS, counts.sum()),
        "candidate_label": np.concatenate([*labels, np.zeros(0)]).astype(int),
        "candidate_features": rng.normal(size=counts.sum() * FEATURES).astype(np.float32),
    }


def serialise(window: dict) -> bytes:
    feature = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=value))
        if name == "candidate_features"
        else tf.train.Feature(int64_list=tf.train.Int64List(value=value.ravel()))
        for name, value in window.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def windows(count: int = 6, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [random_window(rng, 100 * i) for i in range(count)]


def pack(
    records: list[dict],
    settings=SETTINGS,
    epoch=0,
    training=True,
    buckets=None,
    task=None,
    text_tokens=None,
):
    """Return the Batch of window records as NumPy arrays."""
    constant = tables()
    if text_tokens is not None:
        constant = dataclasses.replace(constant, text_tokens=text_tokens)

    @tf.function
    def graph(serialised):
        parsed = parse(serialised, constant)
        if task:
            parsed = select(parsed, parsed["task"] == task)
        if training:
            parsed = packing.draw_group(parsed, settings, 1, epoch)
        else:
            parsed = packing.complete_lists(parsed)
        parsed = packing.standardise(parsed, constant, settings)
        packed = packing.collect(parsed, constant, settings)
        return pad_sizes.pad(packed, None if buckets is None else tf.constant(buckets))

    batch = graph(tf.constant([serialise(record) for record in records]))
    return {name: value.numpy() for name, value in batch.items()}
