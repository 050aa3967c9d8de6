"""Tests of the training step, against NumPy on one device and on two logical CPUs."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from user_tf.training.steps.optimizer import SummedGradientAdam
from user_tf.training.steps.replicas import StepSettings
from user_tf.training.steps.tf_step import make_train_step, reseed, seed_states

SEED = np.array((1, 0))


class Linear(keras.Model):
    """Scores = features . w, after dropout."""

    def __init__(self, dropout=0.0):
        super().__init__(autocast=False, dtype="float64")
        self.drop = keras.layers.Dropout(dropout, dtype="float64")
        self.dense = keras.layers.Dense(1, use_bias=False, dtype="float64")

    def call(self, batch, training=False):
        return self.dense(self.drop(batch["features"], training=training))[..., 0]


def make_batch(seed, targets=5, candidates=4):
    random = np.random.default_rng(seed)
    mask = np.ones((targets, candidates), bool)
    mask[1, 2:] = False
    weight = np.ones(targets, np.float32)
    weight[-1] = 0
    return {
        "features": random.normal(size=(targets, candidates, 3)),
        "labels": np.eye(candidates, dtype=np.float32)[random.integers(2, size=targets)],
        "candidate_mask": mask,
        "target_weight": weight,
    }


def numpy_gradient(batch, weights):
    scores = np.where(batch["candidate_mask"], batch["features"] @ weights, -np.inf)
    odds = np.exp(scores - scores.max(1, keepdims=True))
    chances = odds / odds.sum(1, keepdims=True)
    real = batch["target_weight"]
    losses = -np.log((chances * batch["labels"]).sum(1))
    slope = (chances - batch["labels"]) * real[:, None] / real.sum()
    return (losses * real).sum() / real.sum(), np.einsum("tc,tcn->n", slope, batch["features"])


def make_step(dropout, clip_norm, kind=Linear, jit=False):
    model = kind(dropout)
    first = {key: tf.constant(value) for key, value in make_batch(0).items()}
    model(first)
    optimizer = SummedGradientAdam(learning_rate=0.125)
    optimizer.build(model.trainable_variables)
    spec = {
        key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in first.items()
    }
    where = tf.distribute.get_strategy()
    return model, make_train_step(model, optimizer, where, spec, StepSettings(clip_norm, jit))


class WithUnread(Linear):
    """Has a weight that no score reads."""

    def __init__(self, dropout=0.0):
        super().__init__(dropout)
        self.unread = self.add_weight((2,), name="unread", initializer="ones")


@pytest.mark.parametrize("jit", [False, True])
def test_a_weight_that_no_loss_reads_stays(jit):
    model, step = make_step(0.0, 1.0, WithUnread, jit)
    before = model.dense.kernel.numpy()
    step(make_batch(1), tf.constant(1, tf.int64), SEED)
    assert model.unread.numpy().tolist() == [1, 1]
    assert (model.dense.kernel.numpy() != before).any()


def test_steps_are_adam_on_the_clipped_mean_gradient_of_real_groups():
    clip = 0.05
    model, step = make_step(0.0, clip)
    weights = np.array([0.5, -1.0, 2.0])
    model.dense.kernel.assign(weights[:, None])
    momentum = velocity = np.zeros(3)
    # Keras rounds the betas to float32 where it takes their powers.
    beta_1, beta_2 = float(np.float32(0.9)), float(np.float32(0.999))
    for number in range(1, 5):
        batch = make_batch(number, targets=3 + number)
        loss, gradient = numpy_gradient(batch, weights)
        norm = np.sqrt((gradient**2).sum())
        assert norm > clip
        gradient = gradient * clip / norm
        momentum = 0.9 * momentum + 0.1 * gradient
        velocity = 0.999 * velocity + 0.001 * gradient**2
        unbiased = momentum / (1 - beta_1**number), velocity / (1 - beta_2**number)
        # Keras adds epsilon to the biased root, Adam's paper to the unbiased one.
        epsilon = 1e-7 / np.sqrt(1 - beta_2**number)
        weights = weights - 0.125 * unbiased[0] / (np.sqrt(unbiased[1]) + epsilon)
        result = step(batch, tf.constant(number, tf.int64), SEED)
        np.testing.assert_allclose(result.loss, loss, rtol=1e-9)
        np.testing.assert_allclose(result.gradient_norm, norm, rtol=1e-9)
        assert float(result.groups) == 2 + number
        np.testing.assert_allclose(model.dense.kernel.numpy()[:, 0], weights, rtol=1e-9)


class Shrunk(Linear):
    """`Linear` whose own loss is |w|^2 / 2 a real group."""

    def call(self, batch, training=False):
        scores = super().call(batch, training=training)
        if training:
            groups = keras.ops.cast(keras.ops.sum(batch["target_weight"]), "float64")
            self.add_loss(groups * keras.ops.sum(keras.ops.square(self.dense.kernel)) / 2)
        return scores


@pytest.mark.parametrize("jit", [False, True])
def test_losses_the_model_adds_are_summed_over_real_groups_like_its_ranking_loss(jit):
    model, step = make_step(0.0, 0.0, kind=Shrunk, jit=jit)
    for number in range(1, 3):
        weights = np.array([0.5, -1.0, 2.0]) / number
        model.dense.kernel.assign(weights[:, None])
        batch = make_batch(number, targets=3 + number)
        loss, gradient = numpy_gradient(batch, weights)
        result = step(batch, tf.constant(number, tf.int64), SEED)
        np.testing.assert_allclose(result.loss, loss + weights @ weights / 2, rtol=1e-9)
        norm = np.linalg.norm(gradient + weights)
        np.testing.assert_allclose(result.gradient_norm, norm, rtol=1e-9)


class Table(keras.Model):
    """Scores = a row of a table for each candidate."""

    def __init__(self):
        super().__init__(autocast=False, dtype="float64")
        self.table = keras.layers.Embedding(9, 1, dtype="float64")

    def call(self, batch, training=False):
        return self.table(batch["candidate_doc"])[..., 0]


def table_after(steps, touched_rows, clip=0.05):
    """The table and its moments after steps on batches of the given documents, [T, C] each."""
    keras.utils.set_random_seed(3)
    model = Table()
    batches = [
        {**make_batch(number, len(documents)), "candidate_doc": np.array(documents)}
        for number, documents in enumerate(steps)
    ]
    model(batches[0])
    optimizer = SummedGradientAdam(learning_rate=0.125)
    optimizer.build(model.trainable_variables)
    where, spec = (
        tf.distribute.get_strategy(),
        {n: tf.TensorSpec(None, v.dtype) for n, v in batches[0].items()},
    )
    step = make_train_step(
        model, optimizer, where, spec, StepSettings(clip, touched_rows=touched_rows)
    )
    norms = [
        float(step(batch, tf.constant(number, tf.int64), SEED).gradient_norm)
        for number, batch in enumerate(batches)
    ]
    return norms, [variable.numpy() for variable in [model.table.embeddings, *optimizer.variables]]


def test_lazy_adam_is_adam_while_every_row_is_touched():
    everything = np.concatenate([np.arange(9), [0, 0, 3]]).reshape(3, 4)
    steps = [np.roll(everything, number)[[0, 1, 2, 0, 1]] for number in range(4)]
    norms, full = table_after(steps, touched_rows=False)
    lazy_norms, lazy = table_after(steps, touched_rows=True)
    assert min(norms) > 0.05
    np.testing.assert_allclose(lazy_norms, norms, rtol=1e-12)
    for value, expected in zip(lazy, full, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-7)


def test_lazy_adam_leaves_rows_without_gradient_and_their_moments_as_they_are():
    first, second = np.tile([0, 1, 2, 3], (5, 1)), np.tile([3, 4, 5, 6], (5, 1))
    _, before = table_after([first], touched_rows=True)
    _, after = table_after([first, second], touched_rows=True)
    _, full = table_after([first, second], touched_rows=False)
    rows = [value.shape == (9, 1) for value in before]
    assert sum(rows) == 3
    for is_table, old, new, dense in zip(rows, before, after, full, strict=True):
        if is_table:
            np.testing.assert_array_equal(new[[0, 1, 2, 7, 8]], old[[0, 1, 2, 7, 8]])
            np.testing.assert_allclose(new[3:7], dense[3:7], rtol=1e-7)
            assert (new[3:7] != old[3:7]).all()
            assert (dense[:3] != old[:3]).all()


def test_batch_of_padding_only_changes_nothing_and_is_finite():
    model, step = make_step(0.0, 5.0)
    batch = make_batch(1)
    batch["target_weight"][:] = 0
    before = model.dense.kernel.numpy()
    result = step(batch, tf.constant(1, tf.int64), SEED)
    assert [float(part) for part in result] == [0.0, 0.0, 0.0]
    np.testing.assert_array_equal(model.dense.kernel.numpy(), before)


@pytest.mark.parametrize(
    ("seed", "number", "same"),
    [((1, 0), 7, True), ((1, 0), 8, False), ((2, 0), 7, False), ((1, 1), 7, False)],
)
def test_dropout_repeats_for_the_same_seed_phase_and_step_only(seed, number, same):
    model = keras.Sequential([keras.Input([64]), keras.layers.Dropout(0.5)])
    states = seed_states(model)

    def mask(seed, number):
        reseed(states, tf.constant(seed, tf.int64), tf.constant(number, tf.int64), tf.constant(0))
        return model(tf.ones([2, 64]), training=True).numpy()

    first = mask((1, 0), 7)
    assert (first == mask(seed, number)).all() == same


@pytest.fixture(scope="module")
def two_replicas():
    program = "tests.user_tf.training.steps.two_replicas"
    root = pathlib.Path(__file__).parents[4]
    ran = subprocess.run([sys.executable, "-m", program], capture_output=True, text=True, cwd=root)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("kind", "one"), [("both", "one"), ("jit", "one"), ("both touched", "one touched")]
)
def test_two_replicas_compute_what_one_device_does(two_replicas, kind, one):
    assert two_replicas["replicas"] == 2
    one_variables, one_result = two_replicas[one]
    variables, result = two_replicas[kind]
    np.testing.assert_allclose(result, one_result, rtol=1e-12)
    assert len(variables) == len(one_variables) > 4
    for value, expected in zip(variables, one_variables, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_dropout_differs_between_replicas_and_steps_and_repeats(two_replicas):
    third, fourth, again = map(np.array, two_replicas["masks"])
    assert (third == again).all()
    assert (third[0] != third[1]).any()
    assert (third != fourth).any()
