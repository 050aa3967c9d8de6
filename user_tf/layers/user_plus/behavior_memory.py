"""Weigh past behaviors by their age and by their likeness to the query."""

import keras
import numpy as np
from keras import ops

from user_tf.layers.masking import precise

# Decay a behavior and weight of the query, at the start: a long memory, a short one, one of the last
# behavior, and one that asks for what is like the query.
DECAYS = (0.02, 0.3, 1.5, 0.02)
QUERY_WEIGHTS = (0.01, 0.01, 0.01, 4.0)


def inverse_softplus(values):
    """Return x with softplus(x) = values, as float32.

    Example:
        >>> round(float(ops.softplus(inverse_softplus(np.array([0.3])))[0]), 4)
        0.3
    """
    values = np.asarray(values, np.float64)
    return (values + np.log(-np.expm1(-values))).astype(np.float32)


@keras.saving.register_keras_serializable(package="user_tf")
class BehaviorMemory(keras.layers.Layer):
    """Weigh behaviors e of a user in H memories.

        w_he = exp( -lambda_h age_e + tau_h (cos(q, e) - 1) )        lambda_h, tau_h > 0

    For a recommendation, which has no query, the second term is left out.

    Call arguments:
        age: Float tensor `[T, E]`: how many behaviors of the user are later.
        likeness: Float tensor `[T, E]`: cosine of query and behavior.
        searching: Boolean tensor `[T]`: targets that have a query.
        padding_mask: Boolean tensor `[T, E]`, true at real behaviors.

    Returns:
        Float tensor `[T, H, E]` in at least float32, 0 where masked.

    Example:
        >>> age, likeness = ops.zeros((2, 3)), ops.ones((2, 3))
        >>> real = ops.ones((2, 3), "bool")
        >>> BehaviorMemory()(age, likeness=likeness, searching=real[:, 0], padding_mask=real).shape
        TensorShape([2, 4, 3])
    """

    def build(self, age_shape):
        self.decay = self._positive("decay", DECAYS)
        self.query_weight = self._positive("query_weight", QUERY_WEIGHTS)

    def _positive(self, name, start):
        constant = inverse_softplus(start)
        return self.add_weight(
            shape=constant.shape,
            initializer=lambda shape, dtype: ops.cast(constant, dtype),
            name=name,
        )

    def call(self, age, likeness, searching, padding_mask):
        decay = ops.softplus(precise(self.decay))[None, :, None]
        query_weight = ops.softplus(precise(self.query_weight))[None, :, None]
        unlike = ops.where(searching[:, None], precise(likeness) - 1, 0.0)[:, None, :]
        weight = ops.exp(query_weight * unlike - decay * precise(age)[:, None, :])
        return weight * ops.cast(padding_mask, weight.dtype)[:, None, :]
