"""Compute masked softmax, normalisation, cosine and position ids in a numerically safe way.

Half precision is widened to float32 here and in what follows from it (softmax, cosine, KNRM, the
scorer); float64 stays float64, so that tests can compare to 1e-9.
"""

import keras
from keras import ops

# An empty text has a zero vector. x * rsqrt(max(sum x^2, SMALLEST)) gives it cosine 0 and gradients
# of at most 1e3, where the usual norms give NaN (`ops.norm`) or 1e7 (`ops.normalize`).
SMALLEST = 1e-6

# Finite in float32, and exp(MASKED - anything real) is exactly 0 there.
MASKED = -1e9


def precise_dtype(dtype):
    """Return the dtype for sensitive arithmetic: `dtype`, or float32 instead of a half precision.

    Example:
        >>> precise_dtype("bfloat16"), precise_dtype("float64")
        ('float32', 'float64')
    """
    dtype = keras.backend.standardize_dtype(dtype)
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def precise(x):
    """Return `x` in at least float32."""
    x = ops.convert_to_tensor(x)
    return ops.cast(x, precise_dtype(x.dtype))


def masked_softmax(logits, mask):
    """Apply softmax over the last axis among the places where `mask` is true.

    Args:
        logits: Float tensor `[..., L]`.
        mask: Boolean tensor that broadcasts to `logits`.

    Returns:
        Weights `[..., L]` in at least float32: 0 where masked, of sum 1, or of sum 0 where
        everything is masked.

    Example:
        >>> mask = [[True, True, False], [False] * 3]
        >>> ops.convert_to_numpy(masked_softmax([[1.0, 1.0, 5.0], [1.0, 2.0, 3.0]], mask)).tolist()
        [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    logits = precise(logits)
    mask = ops.convert_to_tensor(mask)
    weights = ops.softmax(ops.where(mask, logits, ops.cast(MASKED, logits.dtype)), axis=-1)
    # The product matters only where everything is masked: there the softmax is uniform.
    return weights * ops.cast(mask, logits.dtype)


def normalize(x):
    """Divide `x` by its length along the last axis; a zero vector stays zero.

    Vectors shorter than 1e-3 are divided by 1e-3 instead.

    Args:
        x: Float tensor `[..., d]`.

    Returns:
        `[..., d]` in at least float32.

    Example:
        >>> ops.convert_to_numpy(normalize([[0.0, 2.0], [0.0, 0.0]])).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    x = precise(x)
    squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, ops.cast(SMALLEST, x.dtype)))


def cosine(x, y):
    """Return the cosine along the last axis, 0 where a vector is zero; `x` and `y` broadcast.

    Args:
        x: Float tensor `[..., d]`.
        y: Float tensor `[..., d]`.

    Returns:
        `[...]` in at least float32.

    Example:
        >>> ops.convert_to_numpy(cosine([[3.0, 4.0], [0.0, 0.0]], [[3.0, 4.0], [1.0, 0.0]])).tolist()
        [1.0, 0.0]
    """
    return ops.sum(normalize(x) * normalize(y), axis=-1)


def count_positions(mask):
    """Number the real places along the last axis 1, 2, ...; the others get 0.

    Args:
        mask: Boolean tensor `[..., n]`.

    Returns:
        int32 tensor `[..., n]`.

    Example:
        >>> ops.convert_to_numpy(count_positions([[True, False, True]])).tolist()
        [[1, 0, 2]]
    """
    real = ops.cast(mask, "int32")
    return ops.cumsum(real, axis=-1) * real
