"""Score candidates by all their signals, beside USER's own score."""

import keras
from keras import ops

from data_pipeline.common.codes import Task
from user_tf.layers.masking import precise
from user_tf.layers.user.scorer import gelu

HARDLY = 0.1
"""Standard deviations by which a candidate is fully better than another."""


def centre(signals, mask):
    """Subtract each signal's mean over the real candidates of a list.

    Args:
        signals: Float tensor `[T, C, S]`.
        mask: Boolean tensor `[T, C]`, true at real candidates.

    Returns:
        `[T, C, S]`, 0 at padding.

    Example:
        >>> centre([[[1.0], [3.0], [9.0]]], ops.array([[True, True, False]])).numpy().tolist()
        [[[-1.0], [1.0], [0.0]]]
    """
    signals = precise(signals)
    real = ops.cast(mask, signals.dtype)[..., None]
    mean = ops.sum(signals * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)
    return ops.where(mask[..., None], signals - mean[:, None], 0.0)


def places(signals, mask):
    """Return the place of each candidate in its list by each signal, 1 for the best.

        place(D) = 1 / (1 + sum_j min(1, max(0, (x_j - x_D) / 0.1)))

    A candidate that is hardly better counts in part, so that rounding moves no place by much.

    Args:
        signals: Float tensor `[T, C, S]`, in standard deviations.
        mask: Boolean tensor `[T, C]`, true at real candidates.

    Returns:
        `[T, C, S]`, 0 at padding. Equal values share a place: all are 1 where nothing differs.

    Example:
        >>> real = ops.array([[True, True, True, False]])
        >>> places([[[2.0], [3.0], [2.0], [9.0]]], real)[0, :, 0].numpy().tolist()
        [0.5, 1.0, 0.5, 0.0]
    """
    # A select: a product would let a non-finite signal of padding through.
    signals = ops.where(mask[..., None], precise(signals), 0.0)
    real = ops.cast(mask, signals.dtype)
    ahead = ops.clip((signals[:, None] - signals[:, :, None]) / HARDLY, 0.0, 1.0)
    better = ops.sum(ahead * real[:, None, :, None], axis=2)
    return real[..., None] / (1.0 + better)


@keras.saving.register_keras_serializable(package="user_tf")
class ResidualHead(keras.layers.Layer):
    """Score of signals, linear and through one hidden layer, with weights of each task.

        head(x) = v_task . x + o_task . GELU(W [x, context])

    v and o start at 0, so training begins at USER's own score.

    Args:
        intermediate_dim: Width of the hidden layer. Default: 64.
        dropout: Dropout of the hidden layer. Default: 0.

    Call arguments:
        signals: Float tensor `[T, C, S]`, centred or places.
        context: Float tensor `[T, K]`: what is known of the target.
        tasks: int tensor `[T]`.
        training: Whether dropout is on.

    Returns:
        `[T, C]` in at least float32.

    Example:
        >>> head = ResidualHead(intermediate_dim=4)
        >>> head(ops.ones((2, 3, 5)), context=ops.ones((2, 1)), tasks=ops.array([1, 2])).shape
        TensorShape([2, 3])
    """

    def __init__(self, intermediate_dim=64, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, signals_shape, context_shape):
        signals = signals_shape[-1]
        tasks = max(Task) + 1
        self.linear = self.add_weight(shape=(tasks, signals), initializer="zeros", name="linear")
        self.dense = keras.layers.Dense(
            self.intermediate_dim, dtype=self.dtype_policy, name="dense"
        )
        self.dense.build((None, None, signals + context_shape[-1]))
        self.output_weights = self.add_weight(
            shape=(tasks, self.intermediate_dim), initializer="zeros", name="output"
        )

    def call(self, signals, context, tasks, training=False):
        count = ops.shape(signals)[1]
        about = ops.repeat(context[:, None], count, axis=1)
        hidden = gelu(self.dense(ops.concatenate([signals, about], axis=-1)))
        hidden = self.dropout_layer(hidden, training=training)
        linear = ops.take(self.linear, tasks, axis=0)[:, :, None]
        output = ops.take(self.output_weights, tasks, axis=0)[:, :, None]
        return (ops.matmul(signals, linear) + ops.matmul(hidden, output))[..., 0]

    def get_config(self):
        return {
            **super().get_config(),
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout,
        }
