"""Dropout as a pure function of (seed, phase, step, replica)."""

import keras
import tensorflow as tf


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """The states of every seed generator inside `model`, in a stable order.

    Example:
        >>> [state.shape.as_list() for state in seed_states(keras.Sequential(
        ...     [keras.Input([3]), keras.layers.Dropout(0.5)]))]
        [[2]]
    """
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def reseed(
    states: list[keras.Variable], seed: tuple[int, int], step: tf.Tensor, replica: tf.Tensor
) -> None:
    """Sets every generator to a draw keyed by (seed, step, replica); call inside the replica.

    Left alone, replicas would draw the same masks, and a resumed run other masks than an
    uninterrupted one.

    Args:
        states: Of `seed_states`.
        seed: Seed of the run and number of its phase.
        step: int64 [], number of the training step.
        replica: int32 [], number of the replica among all of them.
    """
    if not states:
        return
    key = tf.random.fold_in(tf.constant(seed, tf.int64), step)
    key = tf.random.fold_in(key, tf.cast(replica, tf.int64))
    drawn = tf.random.stateless_uniform(
        [len(states), 2], key, minval=None, maxval=None, dtype=tf.int64
    )
    for state, value in zip(states, tf.unstack(drawn), strict=True):
        state.assign(tf.cast(value, state.dtype))
