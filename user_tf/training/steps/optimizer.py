"""Adam for gradients that are already summed over the replicas, dense or for some rows of a table."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops


class SummedGradientAdam(keras.optimizers.Adam):
    """Run Keras's Adam without its own all-reduce, and update single rows for sparse gradients.

    Under tf.distribute a Keras optimizer sums the gradients over the replicas after clipping. Here
    the sum must come first, since the norm to clip is that of the gradient of the complete batch.
    `user_tf.training.steps.tf_step` sums and clips, then calls `apply` inside the replica.

    A `tf.IndexedSlices` of distinct rows changes these rows and their moments only, so that the
    cost depends on the number of rows, not on the size of the table. This is *lazy* Adam. Adam
    changes a row and its moments also at steps where its gradient is 0; here both stay as they are
    until the next gradient of the row.

    The arguments are those of `keras.optimizers.Adam`.

    Example:
        >>> SummedGradientAdam(learning_rate=1e-3, name="adam").name
        'adam'
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        rows, values = gradient.indices, tf.cast(gradient.values, variable.dtype)
        # Keras rounds the betas to its default float before it takes their powers. So do we.
        step = ops.cast(self.iterations + 1, variable.dtype)
        fade_1, fade_2 = (
            ops.power(ops.cast(beta, variable.dtype), step) for beta in (self.beta_1, self.beta_2)
        )
        rate = ops.cast(learning_rate, variable.dtype) * ops.sqrt(1 - fade_2) / (1 - fade_1)
        index = self._get_variable_index(variable)
        first, second = self._momentums[index].value, self._velocities[index].value
        m, v = tf.gather(first, rows), tf.gather(second, rows)
        m += (values - m) * (1 - self.beta_1)
        v += (tf.square(values) - v) * (1 - self.beta_2)
        first.scatter_update(tf.IndexedSlices(m, rows))
        second.scatter_update(tf.IndexedSlices(v, rows))
        change = rate * m / (tf.sqrt(v) + self.epsilon)
        variable.scatter_sub(tf.IndexedSlices(change, rows))


def sum_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """Return the same gradient with every row listed once.

    Example:
        >>> twice = tf.IndexedSlices(tf.constant([[1.0], [2.0], [5.0]]), tf.constant([4, 0, 4]))
        >>> once = sum_rows(twice)
        >>> once.indices.numpy().tolist(), once.values.numpy().tolist()
        ([4, 0], [[6.0], [2.0]])
    """
    rows, number = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, number, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)
