"""The listwise softmax: TensorFlow Ranking's and the keras.ops form against NumPy."""

import math
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from user_tf.training.steps import tensorflow_ranking
from user_tf.training.steps.loss import listwise_softmax, ops_listwise_softmax, tfr_listwise_softmax

FORMS = [tfr_listwise_softmax, ops_listwise_softmax]


def by_hand(labels, scores, mask):
    losses = []
    for y, s, m in zip(labels, scores, mask, strict=True):
        total = sum(math.exp(v) for v in s[m]) if m.any() else 1.0
        losses.append(-sum(a * (v - math.log(total)) for a, v in zip(y[m], s[m], strict=True)))
    return np.array(losses)


def random_groups(seed, dtype="float64"):
    draw = np.random.default_rng(seed)
    mask = draw.random([40, 7]) < 0.7
    mask[:3] = False  # padding rows
    mask[3:6] = True
    labels = (draw.random([40, 7]) < 0.3) * mask  # several relevant, some rows none
    scores = draw.normal(0, 3, [40, 7]).astype(dtype)
    return labels.astype(dtype), scores, mask


def value_and_gradient(form, labels, scores, mask, compiled=False):
    def run(scores):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = form(labels, scores, mask)
            total = tf.reduce_sum(loss)
        return loss, tape.gradient(total, scores)

    run = tf.function(run, jit_compile=True) if compiled else run
    loss, gradient = run(tf.constant(scores))
    return loss.numpy(), gradient.numpy()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_loss_is_the_formula_of_the_valid_candidates(form, dtype, tolerance):
    labels, scores, mask = random_groups(1, dtype)
    loss, gradient = value_and_gradient(form, labels, scores, mask)
    assert loss.dtype == dtype and gradient.dtype == dtype
    np.testing.assert_allclose(loss, by_hand(labels, scores, mask), tolerance, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_both_forms_agree_in_loss_and_gradient(dtype, tolerance):
    labels, scores, mask = random_groups(2, dtype)
    tfr = value_and_gradient(tfr_listwise_softmax, labels, scores, mask)
    ops = value_and_gradient(ops_listwise_softmax, labels, scores, mask)
    for left, right in zip(tfr, ops, strict=True):
        np.testing.assert_allclose(left, right, tolerance, tolerance)


@pytest.mark.parametrize("form", FORMS)
def test_xla_gives_the_same_loss_and_gradient(form):
    groups = random_groups(3)
    plain, compiled = value_and_gradient(form, *groups), value_and_gradient(form, *groups, True)
    for left, right in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(left, right, 1e-12, 1e-12)


def test_it_is_the_loss_tensorflow_ranking_gives_untouched():
    labels, scores, mask = random_groups(4, "float32")  # it knows no float64
    genuine = tensorflow_ranking.import_module("losses_impl").SoftmaxLoss("genuine")
    losses, weights = genuine.compute_per_list(tf.where(mask, labels, -1.0), scores, None)
    np.testing.assert_allclose(
        tfr_listwise_softmax(labels, scores, mask), losses * weights, 1e-6, 1e-6
    )


@pytest.mark.parametrize("form", FORMS)
def test_padded_rows_have_no_loss_and_no_gradient(form):
    labels, scores, mask = random_groups(5)
    loss, gradient = value_and_gradient(form, labels, scores, mask)
    assert (loss[:3] == 0).all() and (gradient[:3] == 0).all()
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()
    assert (gradient[~mask] == 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_longer_padding_changes_nothing_even_where_scores_are_very_low(form):
    labels, scores = np.array([[1.0, 0.0]]), np.array([[-60.0, -61.0]])
    mask = np.ones((1, 2), bool)
    wide = [
        np.pad(array, [(0, 0), (0, 5)], constant_values=fill)
        for array, fill in ((labels, 7.0), (scores, 50.0), (mask, False))
    ]
    assert form(*wide).numpy() == form(labels, scores, mask).numpy()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_scores_stay_finite(form, size):
    scores = np.array([[size, 0.0, -size]], "float32")
    loss, gradient = value_and_gradient(form, np.eye(3)[:1], scores, np.ones((1, 3), bool))
    assert np.isfinite(loss).all() and np.abs(gradient).max() <= 1


def test_half_precision_scores_are_raised_to_float32():
    scores = keras.ops.cast([[1.0, 2.0]], "bfloat16")
    loss = listwise_softmax([[1.0, 0.0]], scores, [[True, True]])
    assert loss.dtype == tf.float32
    assert float(loss[0]) == pytest.approx(math.log(1 + math.e), 1e-6)


def test_tensorflow_trains_on_tensorflow_rankings_form(monkeypatch):
    called = []
    softmax = tensorflow_ranking.import_module("losses_impl").SoftmaxLoss
    genuine = softmax.compute_per_list
    monkeypatch.setattr(softmax, "compute_per_list", lambda *a: called.append(1) or genuine(*a))
    listwise_softmax([[1.0, 0.0]], [[1.0, 2.0]], [[True, True]])
    assert called


def test_the_ops_form_serves_the_jax_back_end():
    code = """
import keras, numpy as np
from user_tf.training.steps.loss import listwise_softmax
assert keras.backend.backend() == "jax"
loss = listwise_softmax([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[2.0, 2.0, 90.0], [1.0, 1.0, 1.0]],
                        [[True, True, False], [False, False, False]])
np.testing.assert_allclose(np.asarray(loss), [np.log(2), 0], 1e-6)
"""
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
