"""Adam for gradients that are already summed over the replicas."""

import keras


class SummedGradientAdam(keras.optimizers.Adam):
    """Keras's Adam without its own all-reduce.

    Under tf.distribute a Keras optimizer sums the gradients over the replicas itself, after
    clipping. Here the sum must come first: the global norm to clip is that of the whole batch's
    gradient. `user_tf.training.step` sums, clips, then calls `apply` inside the replica.

    Args:
        Those of `keras.optimizers.Adam`.

    Example:
        >>> SummedGradientAdam(learning_rate=1e-3, name="adam").name
        'adam'
    """

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars
