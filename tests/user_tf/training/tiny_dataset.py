"""A dataset of random windows, written in a moment, for tests of training alone."""

import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from data_pipeline.dataset.dataset_folder import TARGETS, Dataset, open_dataset
from data_pipeline.dataset.dataset_writer import DatasetWriter

WORDS, BUCKETS, WIDTH, LENGTH = 30, 4, 8, 4
TEXTS, DOCUMENTS, USERS, FEATURES, CANDIDATES = 50, 40, 6, 2, 6
SPLITS = {"train": 12, "validation": 5, "test": 4}
SIZES = (40, 8, 3, 4, 4 * CANDIDATES)
SMALL_MODEL = (
    "--model.width=8",
    "--model.num_heads=2",
    "--model.key_dim=4",
    "--model.intermediate_dim=8",
)
"""Flags of a model that is traced and trained in a moment."""


def write(path: pathlib.Path, seed: int = 0) -> Dataset:
    """Write a dataset whose first feature tells the relevant document; 4 targets a window."""
    random = np.random.default_rng(seed)
    rows: list[dict] = []
    with DatasetWriter(path) as writer:
        folder = writer.folder / "windows" / "unified"
        folder.mkdir(parents=True)
        for split, count in SPLITS.items():
            with tf.io.TFRecordWriter(str(folder / f"{split}-00000-of-00001.tfrecord")) as records:
                for _ in range(count):
                    records.write(_window(random, split, rows))
            np.save(folder / f"{split}-sizes.npy", np.tile(np.int32(SIZES), (count, 1)))
        tokens = random.integers(1, WORDS + BUCKETS, (TEXTS, LENGTH)).astype(np.int32)
        tokens[0] = 0
        vectors = random.normal(size=(WORDS + BUCKETS, WIDTH)).astype(np.float32)
        vectors[0] = 0
        np.save(writer.folder / "text_tokens.npy", tokens)
        np.save(writer.folder / "word_vectors.npy", vectors)
        vocabulary = ["", *(f"word{i}" for i in range(1, WORDS))]
        (writer.folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in vocabulary))
        documents = [""] + [f"d{i}" for i in range(1, DOCUMENTS)]
        texts = pa.array([0, *random.integers(1, TEXTS, DOCUMENTS - 1)], pa.int32())
        pq.write_table(
            pa.table({"doc_id": documents, "text": texts}), writer.folder / "documents.parquet"
        )
        users = ["", *(f"u{i}" for i in range(1, USERS))]
        pq.write_table(pa.table({"user_id": users}), writer.folder / "users.parquet")
        pq.write_table(pa.Table.from_pylist(rows, TARGETS), writer.folder / "targets.parquet")
        writer.finish(
            {
                "settings": {
                    "scenarios": ["unified"],
                    "eval_candidates": {"protocol": "shown"},
                    "text": {"tokenizer": "words", "text_length": LENGTH},
                    "sequence": {
                        "session_minutes": 30.0,
                        "session_behaviors": 5,
                        "past_sessions": 20,
                        "clicked_titles": 3,
                    },
                },
                "features": {
                    "names": ["telling", "noise"],
                    "mean": [0.0, 0.0],
                    "std": [1.0, 1.0],
                    "query_free": [True, True],
                },
                "logs": [
                    {
                        "source": {"name": "tiny"},
                        "masked": True,
                        "report": {
                            "first_time": 0,
                            "last_time": 1,
                            "users": USERS,
                            "searches": 1,
                            "recommendations": 1,
                        },
                    }
                ],
                "boundaries": {},
                "statistics": {},
                "vocabulary_size": WORDS,
                "oov_buckets": BUCKETS,
                "text_length": LENGTH,
                "max_candidates": CANDIDATES,
            }
        )
    return open_dataset(path)


def _window(random: np.random.Generator, split: str, rows: list[dict]) -> bytes:
    behaviors, sessions, targets = 8, 3, 4

    def pointers(count: int, width: int, largest: int) -> np.ndarray:
        lengths = random.integers(0, width + 1, count)
        values = random.integers(1, largest + 1, [count, width])
        return np.where(np.arange(width) < lengths[:, None], values, 0)

    kinds = random.integers(1, 3, behaviors)
    task = np.array([1, 2, 2, 1])
    positive = random.integers(0, CANDIDATES, targets)
    labels = np.eye(CANDIDATES, dtype=int)[positive]
    features = random.normal(size=(targets, CANDIDATES, FEATURES))
    features[..., 0] += labels
    first = len(rows)
    for target in range(targets):
        rows.append(
            {
                "target_id": first + target,
                "split": split,
                "task": int(task[target]),
                "user_id": "u1",
                "time": first + target,
                "session": 0,
                "query": "",
                "candidates": [f"d{i}" for i in range(CANDIDATES)],
                "labels": labels[target].tolist(),
                "popularity": [0] * CANDIDATES,
                "last_touch": [-1] * CANDIDATES,
                "first_of_task": False,
                "session_has_both": True,
                "known_user": True,
                "query_seen": False,
                "past_behaviors": 1,
                "pseudo": False,
            }
        )
    fields = {
        "user": random.integers(0, USERS, 1),
        "behavior_type": kinds,
        "behavior_text": random.integers(1, TEXTS, behaviors),
        "behavior_doc": np.where(kinds == 1, random.integers(1, DOCUMENTS, behaviors), 0),
        "behavior_clicked_docs": pointers(behaviors, 3, DOCUMENTS - 1) * (kinds == 2)[:, None],
        "session_behaviors": pointers(sessions, 5, behaviors),
        "target_id": first + np.arange(targets),
        "target_task": task,
        "target_positive": positive,
        "query_text": np.where(task == 2, random.integers(1, TEXTS, targets), 0),
        "next_query_text": random.integers(0, TEXTS, targets),
        "current_behaviors": pointers(targets, 5, behaviors),
        "past_sessions": pointers(targets, 20, sessions),
        "candidate_count": np.full(targets, CANDIDATES),
        "candidate_doc": random.integers(1, DOCUMENTS, targets * CANDIDATES),
        "candidate_label": labels,
    }
    feature = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=np.ravel(value)))
        for name, value in fields.items()
    }
    feature["candidate_features"] = tf.train.Feature(
        float_list=tf.train.FloatList(value=features.ravel().astype(np.float32))
    )
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
