"""Take rows and multiply them by a matrix in few operations: a small request pays for each one."""

import keras
from keras import ops


def take_rows(table, indices):
    """Return the rows of a table at indices that are not negative.

    `ops.take` accepts negative ones, which takes five more operations in TensorFlow.

    Args:
        table: Tensor `[X, ...]`.
        indices: int tensor of any shape.

    Example:
        >>> take_rows(ops.array([[1, 2], [3, 4]]), ops.array([[1], [0]])).numpy().tolist()
        [[[3, 4]], [[1, 2]]]
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(table, indices)
    return ops.take(table, indices, axis=0)


def flatten_rows(x):
    """Return `[..., d]` as a matrix `[rows, d]`; d is static."""
    return ops.reshape(x, (-1, x.shape[-1]))


def project(x, kernel, bias=None):
    """Return `x W + b` of every row as a matrix, `[rows, e]`.

    A product of matrices and an addition become one operation in a TensorFlow graph.

    Args:
        x: Float tensor `[..., d]`, d static.
        kernel: `[d, e]`.
        bias: `[e]`. Default: none.

    Example:
        >>> project(ops.ones((2, 3, 4)), ops.ones((4, 5))).shape
        TensorShape([6, 5])
    """
    product = ops.matmul(flatten_rows(x), kernel)
    return product if bias is None else ops.add(product, bias)
