"""The listwise softmax loss of every group (paper eq. 13): -sum y log softmax(scores).

One formula in two forms: that of TensorFlow Ranking for training with TensorFlow, and one in
keras.ops for the other back ends.
"""

import functools
from typing import Any

import keras
from keras import ops

from user_tf.training.steps import tensorflow_ranking

# Score of a padded candidate: exp of it is 0 in float32 and float64, and it stays finite.
_PADDED_SCORE = -1e30


def listwise_softmax(labels: Any, scores: Any, mask: Any) -> Any:
    """Compute the listwise softmax loss of each group, with TensorFlow Ranking on TensorFlow.

    Args:
        labels: [T, C], 1 for a relevant candidate, 0 otherwise.
        scores: [T, C], any float type; computed in float32, float64 staying float64.
        mask: bool [T, C], False at padded candidates.

    Returns:
        [T]. A padded candidate adds exactly 0 to loss and gradient, whatever its label and score
        are. A group without a relevant candidate, or of padding only, has loss 0 and gradient 0.

    Example:
        >>> loss = listwise_softmax([[1.0, 0.0]], [[2.0, 2.0]], [[True, True]])
        >>> round(float(loss[0]), 4)  # log 2
        0.6931
    """
    if keras.backend.backend() == "tensorflow":
        return tfr_listwise_softmax(labels, scores, mask)
    return ops_listwise_softmax(labels, scores, mask)


def summed_loss(batch: Any, scores: Any, own_losses: Any) -> Any:
    """Return the loss of training, summed over the real groups of a Batch.

    Args:
        batch: A Batch.
        scores: [T, C], of the ranker in training mode.
        own_losses: Losses the ranker added itself, each summed over the real groups.
    """
    losses = listwise_softmax(batch["labels"], scores, batch["candidate_mask"])
    total = ops.sum(losses * ops.cast(batch["target_weight"], losses.dtype))
    return sum(own_losses, start=total)


def ops_listwise_softmax(labels: Any, scores: Any, mask: Any) -> Any:
    """Compute `listwise_softmax` in keras.ops, on any back end."""
    labels, scores, mask = _prepare(labels, scores, mask)
    labels = ops.where(mask, labels, ops.zeros_like(labels))
    scores = ops.where(mask, scores, ops.full_like(scores, _PADDED_SCORE))
    # log softmax is never below -1e30, so that a label of 0 makes each padded product 0.
    log_probability = scores - ops.logsumexp(scores, axis=1, keepdims=True)
    return -ops.sum(labels * log_probability, axis=1)


def tfr_listwise_softmax(labels: Any, scores: Any, mask: Any) -> Any:
    """Compute `listwise_softmax` with TensorFlow Ranking's `SoftmaxLoss`, on TensorFlow only."""
    labels, scores, mask = _prepare(labels, scores, mask)
    losses, weights = _tfr_loss().compute_per_list(labels, scores, None, mask)
    # The losses are normalised by the sum of labels, which is the weight.
    return losses * weights


@functools.cache
def _tfr_loss() -> Any:
    import tensorflow as tf

    softmax_loss: Any = tensorflow_ranking.import_module("losses_impl").SoftmaxLoss

    class ExactSoftmaxLoss(softmax_loss):
        """Give padding a weight of exactly 0.

        The original `precompute` gives padded candidates the score log(1e-10), which changes the
        loss where scores are low, and it fails in float64. It also sorts by score, with random
        ties, for a lambda weight that is not used here.
        """

        def precompute(self, labels: Any, logits: Any, weights: Any, mask: Any = None) -> Any:
            return (
                tf.where(mask, labels, tf.zeros_like(labels)),
                tf.where(
                    mask, logits, tf.fill(tf.shape(logits), tf.cast(_PADDED_SCORE, logits.dtype))
                ),
            )

    return ExactSoftmaxLoss(name="listwise_softmax")


def _prepare(labels: Any, scores: Any, mask: Any) -> tuple[Any, Any, Any]:
    scores = ops.convert_to_tensor(scores)
    if keras.backend.standardize_dtype(scores.dtype) != "float64":
        scores = ops.cast(scores, "float32")
    return ops.cast(labels, scores.dtype), scores, ops.cast(mask, "bool")
