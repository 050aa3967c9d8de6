"""Strings to Batch: texts are encoded once, and every field follows the table of fields."""

import numpy as np
import tensorflow as tf

from data_pipeline.batching import spec
from user_tf.serving.graph.history_selection import HistoryLimits
from user_tf.serving.graph.request_batch import pack

LIMITS = HistoryLimits("unified", 5, 20, 3)


class Widths:
    clicked_titles, session_behaviors, past_sessions, features = 3, 5, 20, 0


def batch_of(**changes):
    request = {
        "user_id": ["a", "b"],
        "query": ["red hat", ""],
        "session": np.array([2, 1]),
        "history_session": np.array([[1, 2], [1, 1]]),
        "history_query": [["shoe", ""], ["hat", ""]],
        "history_count": np.array([2, 1]),
        "history_title_count": np.array([[1, 1], [0, 1]]),
        "history_titles": [["big shoe", "sun"], ["never seen", "never seen"]],
        "candidates": [["sun", "red hat"], ["", "beyond the count"]],
        "candidate_count": np.array([2, 1]),
    } | changes
    tensors = {name: tf.constant(value) for name, value in request.items()}
    tokens = {"": 0, "red hat": 1, "shoe": 2, "big shoe": 3, "sun": 4, "hat": 5}

    def encode(texts):
        return tf.constant([[tokens[text.decode()], 0, 0] for text in texts.numpy()], tf.int32)

    def find_user(ids):
        return tf.constant([len(user) for user in ids.numpy()])

    def no_features(texts):
        return tf.zeros([2, 2, 0])

    return {
        name: value.numpy()
        for name, value in pack(tensors, no_features, LIMITS, encode, find_user).items()
    }


def test_a_batch_points_at_each_distinct_text_once():
    batch = batch_of()
    tokens = batch["text_tokens"][:, 0]
    assert tokens[0] == 0 and len(set(tokens)) == len(tokens) == 6
    assert batch["text_tokens"].shape[1] == 1, "columns that no text fills should go"
    assert tokens[batch["query_text"]].tolist() == [1, 0]
    assert tokens[batch["candidate_text"]].tolist() == [[4, 1], [0, 0]]
    assert tokens[batch["behavior_text"]].tolist() == [0, 2, 4, 5]
    assert tokens[batch["behavior_clicked"]].tolist() == [[0] * 3, [3, 0, 0], [0] * 3, [0] * 3]


def test_tasks_types_masks_and_ranks_follow_the_contract():
    batch = batch_of()
    assert batch["task"].tolist() == [2, 1]
    assert batch["behavior_type"].tolist() == [0, 2, 1, 2]
    assert batch["candidate_mask"].tolist() == [[True, True], [True, False]]
    assert batch["candidate_rank"].tolist() == [[1, 2], [1, 0]]
    assert batch["current_behaviors"][:, 0].tolist() == [2, 3]
    assert batch["session_behaviors"].tolist() == [[0] * 5, [1, 0, 0, 0, 0]]
    assert batch["past_sessions"][:, :2].tolist() == [[1, 0], [0, 0]]


def test_a_batch_has_the_fields_shapes_and_dtypes_of_the_table():
    batch = batch_of()
    fields = spec.batch_fields(Widths)
    assert list(batch) == list(fields)
    for name, (shape, dtype) in fields.items():
        assert batch[name].dtype == dtype, name
        assert len(shape) == batch[name].ndim, name
        for size, expected in zip(batch[name].shape, shape, strict=True):
            assert expected in (None, size), name


def test_fields_that_a_request_does_not_carry_are_padding():
    batch = batch_of()
    for name in ("behavior_doc", "behavior_clicked_docs", "candidate_doc", "next_query_text"):
        assert (batch[name] == spec.padding(name)).all(), name
    assert not batch["labels"].any()
