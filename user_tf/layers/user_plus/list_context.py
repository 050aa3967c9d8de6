"""Compare a candidate with the rest of its list."""

import keras
from keras import ops

from user_tf.layers.masking import precise
from user_tf.layers.user_plus.behavior_memory import inverse_softplus
from user_tf.layers.user_plus.kernel_match import KernelMatch

DECAY = 0.1


@keras.saving.register_keras_serializable(package="user_tf")
class ListContext(keras.layers.Layer):
    """Smoothed density of a candidate among the other candidates of its list.

        near_a(D) = log[ ( sum_j w_j k_a(D, D_j) + c p_a ) / ( sum_j w_j + c ) ],  j not D
        w_j = exp( -lambda (rank_j - 1) )                                            lambda > 0

    The list was made for the user's need: what is like the first places is what was meant.

    Call arguments:
        kernel: Float tensor `[T, A, C, C]` of `AspectKernel`.
        ranks: int tensor `[T, C]`, 1-based original ranks.
        padding_mask: Boolean tensor `[T, C]`, true at real candidates.

    Returns:
        `[T, C, A]` in at least float32.

    Example:
        >>> ranks, real = ops.array([[1, 2]]), ops.array([[True, True]])
        >>> ListContext()(ops.ones((1, 4, 2, 2)), ranks=ranks, padding_mask=real).shape
        TensorShape([1, 2, 4])
    """

    def build(self, kernel_shape):
        self.density = KernelMatch(exclude_self=True, dtype=self.dtype_policy, name="density")
        self.density.build(kernel_shape, (None, 1, None))
        self.decay = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(float(inverse_softplus(DECAY))),
            name="decay",
        )

    def call(self, kernel, ranks, padding_mask):
        decay = ops.softplus(precise(self.decay))
        weights = ops.exp(-decay * (ops.cast(ranks, decay.dtype) - 1))
        weights = weights * ops.cast(padding_mask, weights.dtype)
        return self.density(kernel, weights=weights[:, None])
