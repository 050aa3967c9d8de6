"""Compute kernel densities of candidates among weighted texts, aspect by aspect."""

import keras
from keras import ops

from user_tf.layers.masking import precise
from user_tf.layers.user_plus.behavior_memory import inverse_softplus

SHARPNESS, PRIOR_WEIGHT, PRIOR = 4.0, 0.5, 0.1


def _start(layer, name, size, value):
    """Add a positive weight, kept as the inverse softplus of its value."""
    return layer.add_weight(
        shape=(size,),
        initializer=keras.initializers.Constant(float(inverse_softplus(value))),
        name=name,
    )


@keras.saving.register_keras_serializable(package="user_tf")
class AspectKernel(keras.layers.Layer):
    """Compare texts aspect by aspect.

        k_a(x, y) = exp( b_a (cos(r_a(x), r_a(y)) - 1) )        b_a > 0

    Call arguments:
        x: Float tensor `[T, C, A, w]` of unit vectors.
        y: Float tensor `[T, E, A, w]` of unit vectors.

    Returns:
        `[T, A, C, E]` in (0, 1].

    Example:
        >>> x, y = ops.ones((2, 3, 4, 5)), ops.ones((2, 6, 4, 5))
        >>> AspectKernel()(x, y=y).shape
        TensorShape([2, 4, 3, 6])
    """

    def build(self, x_shape):
        self.sharpness = _start(self, "sharpness", x_shape[2], SHARPNESS)

    def call(self, x, y):
        x, y = ops.transpose(x, (0, 2, 1, 3)), ops.transpose(y, (0, 2, 3, 1))
        sharpness = ops.softplus(precise(self.sharpness))[None, :, None, None]
        return ops.exp(sharpness * (ops.matmul(x, y) - 1))


@keras.saving.register_keras_serializable(package="user_tf")
class KernelMatch(keras.layers.Layer):
    """Smoothed density of a candidate D among groups g of weighted texts e.

        m_ag(D) = log[ ( sum_e w_ge k_a(D, e) + c_g p_a ) / ( sum_e w_ge + c_g ) ]    c_g, p_a > 0

    With nothing known m = log p_a for every candidate, which a listwise softmax cancels.

    Args:
        exclude_self: Whether the texts are the candidates themselves, none of which counts for
            itself. Default: False.

    Call arguments:
        kernel: Float tensor `[T, A, C, E]` of `AspectKernel`.
        weights: Float tensor `[T, G, E]`, 0 at padding.

    Returns:
        `[T, C, A * G]` in at least float32.

    Example:
        >>> KernelMatch()(ops.ones((2, 4, 3, 6)), weights=ops.ones((2, 5, 6))).shape
        TensorShape([2, 3, 20])
    """

    def __init__(self, exclude_self=False, **kwargs):
        super().__init__(**kwargs)
        self.exclude_self = exclude_self

    def build(self, kernel_shape, weights_shape):
        self.prior_weight = _start(self, "prior_weight", weights_shape[1], PRIOR_WEIGHT)
        self.prior = _start(self, "prior", kernel_shape[1], PRIOR)

    def call(self, kernel, weights):
        prior_weight = ops.softplus(precise(self.prior_weight))
        prior = ops.softplus(precise(self.prior))[None, :, None, None]
        # [T, A, C, G] and [T, 1, 1 or C, G]
        known = ops.sum(weights, axis=-1)[:, None, None, :]
        if self.exclude_self:
            kernel = kernel * (1 - ops.eye(ops.shape(kernel)[2], dtype=kernel.dtype))
            known = known - ops.transpose(weights, (0, 2, 1))[:, None]
        found = ops.matmul(kernel, ops.transpose(weights, (0, 2, 1))[:, None])
        density = ops.log((found + prior_weight * prior) / (known + prior_weight))
        aspects, candidates, groups = density.shape[1], ops.shape(density)[2], density.shape[3]
        return ops.reshape(ops.transpose(density, (0, 2, 1, 3)), (-1, candidates, aspects * groups))

    def get_config(self):
        return {**super().get_config(), "exclude_self": self.exclude_self}
