"""The listwise softmax loss of every group (paper eq. 13): -sum y log softmax(scores).

Two forms of one formula: TensorFlow Ranking's, used in TensorFlow training, and one of keras.ops
for the other back ends.
"""

import functools
from typing import Any

import keras
from keras import ops

from user_tf.training import tfr_bridge

# Score of a padded candidate: exp of it is 0 in float32 and float64, and it stays finite.
_PADDED_SCORE = -1e30


def listwise_softmax(labels: Any, scores: Any, mask: Any) -> Any:
    """Listwise softmax loss of each group, by TensorFlow Ranking where TensorFlow runs.

    Args:
        labels: [T, C], 1 for a relevant candidate, 0 otherwise.
        scores: [T, C], any float type; computed in float32, float64 staying float64.
        mask: bool [T, C], False at padded candidates.

    Returns:
        [T]. A padded candidate adds exactly nothing to loss and gradient, whatever stands there; a
        group without a relevant candidate, fully padded ones included, has loss 0 and gradient 0.

    Example:
        >>> loss = listwise_softmax([[1.0, 0.0]], [[2.0, 2.0]], [[True, True]])
        >>> round(float(loss[0]), 4)  # log 2
        0.6931
    """
    if keras.backend.backend() == "tensorflow":
        return tfr_listwise_softmax(labels, scores, mask)
    return ops_listwise_softmax(labels, scores, mask)


def ops_listwise_softmax(labels: Any, scores: Any, mask: Any) -> Any:
    """`listwise_softmax` in keras.ops, for any back end; same arguments and result."""
    labels, scores, mask = _prepare(labels, scores, mask)
    labels = ops.where(mask, labels, ops.zeros_like(labels))
    scores = ops.where(mask, scores, ops.full_like(scores, _PADDED_SCORE))
    # log softmax is never below -1e30, so that a label of 0 makes each padded product 0.
    log_probability = scores - ops.logsumexp(scores, axis=1, keepdims=True)
    return -ops.sum(labels * log_probability, axis=1)


def tfr_listwise_softmax(labels: Any, scores: Any, mask: Any) -> Any:
    """`listwise_softmax` by TensorFlow Ranking's `SoftmaxLoss`; TensorFlow back end only."""
    labels, scores, mask = _prepare(labels, scores, mask)
    losses, weights = _tfr_loss().compute_per_list(labels, scores, None, mask)
    # The losses are normalised by the sum of labels, which is the weight.
    return losses * weights


@functools.cache
def _tfr_loss() -> Any:
    import tensorflow as tf

    class ExactSoftmaxLoss(tfr_bridge.load().losses_impl.SoftmaxLoss):
        """TensorFlow Ranking's loss with padding that counts exactly nothing.

        The original `precompute` gives padded candidates the score log(1e-10), which is felt
        where scores are low, and fails in float64; it also sorts by score with a random tie break
        for a lambda weight, which there is none of here.
        """

        def precompute(self, labels, logits, weights, mask=None):
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
