"""Weights of USER: which exist, which learn, and how they are saved."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.models.ranker_testing import (
    evaluate,
    score,
    tensors,
)
from tests.user_tf.models.user_testing import SETTINGS, SMALL, make, shared
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.models.user import User
from user_tf.registry import build_ranker


@pytest.mark.parametrize("name", SETTINGS)
def test_every_weight_gets_a_gradient(name):
    # Initial weights: large random ones saturate the co-attention's tanh.
    keras.utils.set_random_seed(1)
    config = dataclasses.replace(SMALL, **SETTINGS[name])
    model = User(config, SIZES, dtype="float64", name="user").build_from_sizes()
    total = {}
    for seed in (1, 2):
        for path, gradient in evaluate(model, random_batch(seed))[2].items():
            total[path] = total.get(path, 0) + np.linalg.norm(gradient)
    assert all(norm > 1e-7 for norm in total.values()), total


def test_search_only_data_leaves_only_the_user_table_without_gradient():
    _, _, gradients = evaluate(shared(), random_batch(1, tasks=(2,)))
    idle = [path for path, g in gradients.items() if np.linalg.norm(g) <= 1e-7]
    assert idle == ["user/user_embedding/embeddings"]


@pytest.mark.parametrize(
    ("settings", "gone"),
    [
        ({"history_encoder": False}, ["history_encoder"]),
        ({"session_encoder": False}, ["session_encoder"]),
        ({"knrm": False}, ["knrm"]),
        ({"session_types": False}, ["type_embedding"]),
        (
            {"session_encoder": False, "history_encoder": False},
            ["session_encoder", "history_encoder", "behavior_encoder"],
        ),
    ],
)
def test_weights_that_could_not_learn_do_not_exist(settings, gone):
    paths = [w.path for w in make(**settings).trainable_variables]
    full = [w.path for w in shared().trainable_variables]
    for name in gone:
        assert any(name in path for path in full)
        assert not any(name in path for path in paths)
    assert "user/user_embedding/embeddings" in paths


def test_paths_of_weights_are_unique():
    paths = [w.path for w in make(word_layers=2).variables if "seed_generator" not in w.path]
    assert len(paths) == len(set(paths))


def test_config_round_trip_makes_the_same_model():
    model = make(co_attention="simple", history_positions="recency")
    copy = User.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    copy.build_from_sizes().set_weights(model.get_weights())
    batch = random_batch(12)
    np.testing.assert_array_equal(score(copy, batch), score(model, batch))


def test_training_lowers_the_loss_and_uses_dropout():
    keras.utils.set_random_seed(2)
    model = build_ranker(dataclasses.replace(SMALL, dropout=0.1), SIZES)
    optimizer = keras.optimizers.SGD(0.05)
    batch = tensors(random_batch(11))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            scores = tf.where(batch["candidate_mask"], model(batch, training=True), -1e9)
            loss = -tf.reduce_sum(batch["labels"] * tf.nn.log_softmax(scores))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    losses = [float(step()) for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]
    assert not np.allclose(model(batch, training=True), model(batch, training=True))
    np.testing.assert_array_equal(model(batch), model(batch))
