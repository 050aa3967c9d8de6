"""Draw random numbers that are pure functions of their keys, inside the graph.

A draw depends on (seed, epoch, target, slot) only: never on the batch a target happens to be in,
on the number of workers, or on what was drawn before. That makes an epoch repeatable and a
resumed run equal to an uninterrupted one.
"""

import tensorflow as tf


def mix(value: tf.Tensor) -> tf.Tensor:
    """Return the SplitMix64 hash of `value`, whose bits all depend on all bits of `value`.

    Args:
        value: int64, any shape.

    Returns:
        int64 of the same shape.

    Reference: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    x = tf.bitcast(value, tf.uint64) + tf.constant(0x9E3779B97F4A7C15, tf.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint64)))
        x *= tf.constant(factor, tf.uint64)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(31, tf.uint64)))
    return tf.bitcast(x, tf.int64)


def keyed(*keys: tf.Tensor | int) -> tf.Tensor:
    """Return one int64 hash of several int64 keys, which broadcast against each other."""
    state = tf.zeros([], tf.int64)
    for key in keys:
        state = mix(state + tf.cast(key, tf.int64))
    return state


def uniform(*keys: tf.Tensor | int) -> tf.Tensor:
    """Return uniform float64 in [0, 1) drawn by the keys, which broadcast against each other.

    Example:
        >>> bool(uniform(1, 2, 3) == uniform(1, 2, 3)), bool(uniform(1, 2, 3) == uniform(1, 2, 4))
        (True, False)
    """
    bits = tf.bitwise.right_shift(tf.bitcast(keyed(*keys), tf.uint64), tf.constant(11, tf.uint64))
    return tf.cast(tf.bitcast(bits, tf.int64), tf.float64) * 2.0**-53


def draw_slots(eligible: tf.Tensor, count: int, *keys: tf.Tensor | int) -> tf.Tensor:
    """Draw up to `count` distinct eligible slots of each row, without replacement.

    Args:
        eligible: bool [T, C], the slots that may be drawn.
        count: Slots wanted of each row, at most C.
        *keys: Keys of the draw besides the slot: int or int64 [T].

    Returns:
        int32 [T, count] slots; C where a row has fewer eligible ones.

    Example:
        >>> sorted(draw_slots(tf.constant([[True, False, True]]), 3, 7).numpy()[0].tolist())
        [0, 2, 3]
    """
    slots = tf.shape(eligible, tf.int64)[1]
    rows = [tf.reshape(tf.cast(key, tf.int64), [-1, 1]) for key in keys]
    order = uniform(*rows, tf.range(slots)[tf.newaxis])
    order = tf.where(eligible, order, -1.0)
    value, slot = tf.math.top_k(order, count)
    return tf.where(value >= 0, slot, tf.cast(slots, tf.int32))
