"""A warm start finds rows by name."""

import dataclasses
import types

import keras
import numpy as np
import pytest

from user_tf.config import ModelConfig
from user_tf.models.ranker import Sizes
from user_tf.registry import build_ranker
from user_tf.training.warm_start import copy_weights

SMALL = ModelConfig(width=8, num_heads=2, key_dim=4, intermediate_dim=8)


def names(words, users, documents=("",), buckets=2):
    return types.SimpleNamespace(
        vocabulary=["", *words],
        user_ids=["", *users],
        document_ids=list(documents),
        oov_buckets=buckets,
    )


def ranker(dataset, config=SMALL, seed=0):
    keras.utils.set_random_seed(seed)
    rows = len(dataset.vocabulary) + dataset.oov_buckets
    documents = len(dataset.document_ids)
    return build_ranker(config, Sizes(rows, len(dataset.user_ids), documents=documents))


def tables(model):
    found = {v.path.split("/")[-2]: v.numpy() for v in model.variables if "embeddings" in v.path}
    return found["embedding"], found["user_embedding"]


def test_rows_follow_their_words_and_users_and_new_ones_stay():
    earlier = names(["red", "hat"], ["anna", "carl"])
    dataset = names(["blue", "hat", "red"], ["anna", "bert", "carl"])
    before, model = ranker(earlier, seed=1), ranker(dataset, seed=2)
    (old_words, old_users), (own_words, own_users) = tables(before), tables(model)
    assert copy_weights(model, dataset, before, earlier) == 2
    words, users = tables(model)
    np.testing.assert_array_equal(words[[0, 2, 3, 4, 5]], old_words[[0, 2, 1, 3, 4]])
    np.testing.assert_array_equal(words[1], own_words[1])
    np.testing.assert_array_equal(users[[0, 1, 3]], old_users)
    np.testing.assert_array_equal(users[2], own_users[2])
    others = [
        (mine.numpy(), theirs.numpy())
        for mine, theirs in zip(model.weights, before.weights, strict=True)
        if "seed" not in mine.path and mine.shape == theirs.shape
    ]
    assert len(others) > 20
    for mine, theirs in others:
        np.testing.assert_array_equal(mine, theirs)


def test_buckets_of_another_number_start_anew():
    earlier, dataset = names(["red"], [], buckets=2), names(["red"], [], buckets=3)
    before, model = ranker(earlier, seed=1), ranker(dataset, seed=2)
    own = tables(model)[0]
    assert copy_weights(model, dataset, before, earlier) == 3
    words = tables(model)[0]
    np.testing.assert_array_equal(words[2:], own[2:])
    np.testing.assert_array_equal(words[1], tables(before)[0][1])


@pytest.mark.parametrize("change", [{"width": 16, "key_dim": 8}, {"session_encoder": False}])
def test_another_model_is_refused(change):
    dataset = names(["red"], ["anna"])
    before = ranker(dataset, dataclasses.replace(SMALL, **change))
    with pytest.raises(ValueError, match=r"`train[.]warm_start` must be a run of the same model"):
        copy_weights(ranker(dataset), dataset, before, dataset)
