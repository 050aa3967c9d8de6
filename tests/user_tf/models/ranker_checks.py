"""Check the properties that every ranker must have, for one model."""

import functools

import numpy as np
import tensorflow as tf

from tests.user_tf.models.ranker_testing import (
    differentiate,
    evaluate,
    longer,
    only,
    score,
    tensors,
    with_row_subsets,
)
from tests.user_tf.random_batch import random_batch


def assert_packed_equals_alone(model, tolerance=1e-9):
    batch = random_batch(3)
    packed, _, packed_gradients = evaluate(model, batch)
    summed = {path: np.zeros(gradient.shape) for path, gradient in packed_gradients.items()}
    for target in np.flatnonzero(batch["task"]):
        alone, _, gradients = evaluate(model, only(batch, target))
        np.testing.assert_allclose(alone[0], packed[target], rtol=tolerance, atol=tolerance)
        for path, gradient in gradients.items():
            summed[path] += gradient
    for path, gradient in packed_gradients.items():
        # Relative to the largest: the kernel of deviation 0.001 amplifies rounding.
        scale = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose(summed[path] / scale, gradient / scale, atol=tolerance)


def assert_longer_padding_changes_nothing(model):
    batch = random_batch(6)
    targets, candidates = batch["candidate_text"].shape
    scores, loss, gradients = evaluate(model, batch)
    other_scores, other_loss, other_gradients = evaluate(model, longer(batch))
    np.testing.assert_allclose(other_scores[:targets, :candidates], scores, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other_loss, loss, rtol=1e-9)
    for path, gradient in gradients.items():
        np.testing.assert_allclose(other_gradients[path], gradient, rtol=1e-7, atol=1e-9)


def assert_more_slots_change_nothing(model, larger):
    """`larger` has the model's weights and two more slots for sessions and behaviors."""
    batch = random_batch(6)
    roomy = {name: value.copy() for name, value in batch.items()}
    for name in ("session_behaviors", "current_behaviors", "past_sessions"):
        roomy[name] = np.pad(roomy[name], [(0, 0), (0, 2)])
    np.testing.assert_allclose(score(larger, roomy), score(model, batch), rtol=1e-9, atol=1e-9)


def assert_permuting_candidates_permutes_scores(model, rtol):
    batch = random_batch(7)
    order = np.random.default_rng(0).permutation(batch["candidate_text"].shape[1])
    permuted = {
        name: value[:, order] if name.startswith(("candidate_", "labels", "features")) else value
        for name, value in batch.items()
    }
    np.testing.assert_allclose(
        score(model, permuted), score(model, batch)[:, order], rtol=rtol, atol=1e-12
    )


def assert_row_subsets_change_nothing(model, more, compiled):
    """With `more` rows of padding in each row subset; `compiled` by XLA or not."""
    batch = random_batch(6)
    scores, loss, gradients = evaluate(model, batch)
    step = functools.partial(differentiate, model)
    if compiled:
        step = tf.function(step, jit_compile=True)
    other_scores, other_loss, other_gradients = step(with_row_subsets(batch, more))
    real = batch["task"] > 0
    np.testing.assert_allclose(other_scores[real], scores[real], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other_loss, loss, rtol=1e-9)
    for gradient, expected in zip(other_gradients, gradients.values(), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-9)


def assert_emptiness_is_bounded(differentiated, batch):
    """`differentiated` gives scores, loss and gradients of a Batch."""
    scores, loss, gradients = differentiated(tensors(batch))
    assert np.isfinite(scores).all()
    assert np.isfinite(loss)
    # Of the mean loss. A few hundred is usual at first: the layer norm divides word vectors,
    # about 0.03 an entry, by their deviation. Unsafe norms give 1e7 or NaN.
    groups = max(batch["target_weight"].sum(), 1)
    assert float(tf.linalg.global_norm(gradients)) / groups < 1e3
