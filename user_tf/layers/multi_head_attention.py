"""Attend from a sequence to itself, or from last positions to the positions before them."""

import keras
from keras import ops

from user_tf.layers.masking import MASKED, precise
from user_tf.layers.rows import project


@keras.saving.register_keras_serializable(package="user_tf")
class MultiHeadAttention(keras.layers.Layer):
    """Apply scaled dot-product attention with heads of any width.

        o = W_o [ softmax(q_h K_h^T / sqrt(w)) V_h ]_h + b_o
        q_h = W_q^h x + b_q^h;   k_h = W_k^h x;   v_h = W_v^h x + b_v^h

    Keys have no bias, since the softmax cancels it. There are two forms with the same weights:

    * **full** (`context=None`): every row of `inputs` attends to all real rows of `inputs`.
    * **last position** (`context` given): every row of `inputs` alone is the last position of the
      sequence [context, row] and attends to the real rows of the context and to itself, not to
      the other rows. Several candidates thus share one context. The key projection is moved
      to the query's side, (W_k h) . q = h . (W_k^T q), and the value projection behind the sum,
      sum_j a_j W_v h_j = W_v sum_j a_j h_j: same mathematics, but the context is read as it is
      (width d), where projected keys and values would be 2 x num_heads x key_dim wide.

    Args:
        num_heads: Number of heads.
        key_dim: Width w of a head.
        dropout: Dropout rate of the attention weights. Default: 0.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor, true at real places: `[B, L]` in full form, `[B, K]` with a
            context. Masked places get no weight; rows at masked places have no meaning.
        context: Float tensor `[B, K, d]`, K static, or None.
        training: True to apply dropout.

    Returns:
        Float tensor `[B, L, d]`.

    Example:
        >>> attend = MultiHeadAttention(num_heads=2, key_dim=3)
        >>> attend(ops.ones((2, 5, 4)), padding_mask=ops.ones((2, 5), "bool")).shape
        TensorShape([2, 5, 4])
        >>> attend(
        ...     ops.ones((2, 1, 4)),
        ...     padding_mask=ops.zeros((2, 5), "bool"),
        ...     context=ops.ones((2, 5, 4)),
        ... ).shape
        TensorShape([2, 1, 4])

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(self, num_heads, key_dim, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.dropout = dropout
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        inner = self.num_heads * self.key_dim
        self.query_kernel = self.add_weight((width, inner), name="query_kernel")
        self.query_bias = self.add_weight((inner,), initializer="zeros", name="query_bias")
        self.key_kernel = self.add_weight((width, inner), name="key_kernel")
        self.value_kernel = self.add_weight((width, inner), name="value_kernel")
        self.value_bias = self.add_weight((inner,), initializer="zeros", name="value_bias")
        self.output_kernel = self.add_weight((inner, width), name="output_kernel")
        self.output_bias = self.add_weight((width,), initializer="zeros", name="output_bias")

    def call(self, inputs, padding_mask, context=None, training=None):
        if context is None:
            mixed = self._full(inputs, padding_mask, training)
        else:
            mixed = self._last_position(inputs, context, padding_mask, training)
        result = project(mixed, self.output_kernel, self.output_bias)
        return ops.reshape(result, (-1, ops.shape(inputs)[1], result.shape[-1]))

    def _softmax(self, logits, mask):
        # A row that may attend to nothing is a padded one, whose result has no meaning.
        logits = precise(logits)
        logits = ops.where(mask, logits, ops.cast(MASKED, logits.dtype))
        return ops.cast(ops.softmax(logits, axis=-1), self.compute_dtype)

    def _full(self, inputs, padding_mask, training):
        """Attend from every row to all rows, `[B, L, d]` -> `[B * L, num_heads * key_dim]`."""
        length = ops.shape(inputs)[1]

        def by_head(projected):
            split = ops.reshape(projected, (-1, length, self.num_heads, self.key_dim))
            return ops.transpose(split, (0, 2, 1, 3))

        # Three products, not one sliced into three: the gradient of a slice is a padded copy.
        query = project(inputs, self.query_kernel, self.query_bias)
        query = by_head(query * self.key_dim**-0.5)
        key = by_head(project(inputs, self.key_kernel))
        value = by_head(project(inputs, self.value_kernel, self.value_bias))
        logits = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        weights = self._softmax(logits, padding_mask[:, None, None, :])
        weights = self.dropout_layer(weights, training=training)
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, self.num_heads * self.key_dim))

    def last_weights(self, rows, context, padding_mask):
        """Return the weights of every row as the last position of the sequence [context, row].

        Args:
            rows: Float tensor `[B, Q, d]`.
            context: Float tensor `[B, K, d]`.
            padding_mask: Boolean tensor `[B, K]`, true at real places of the context.

        Returns:
            `[B, Q, num_heads, K + 1]`: on the context, 0 where masked, and on the row itself; of sum 1.

        Example:
            >>> attend = MultiHeadAttention(num_heads=2, key_dim=3)
            >>> attend.build((None, None, 4))
            >>> mask = ops.array([[True, False]])
            >>> weights = attend.last_weights(ops.ones((1, 1, 4)), ops.ones((1, 2, 4)), mask)
            >>> ops.convert_to_numpy(weights)[0, 0, 0].tolist()
            [0.5, 0.0, 0.5]
        """
        count, width = ops.shape(rows)[1], rows.shape[-1]
        key_kernel = ops.reshape(self.key_kernel, (width, self.num_heads, self.key_dim))
        query = project(rows, self.query_kernel, self.query_bias) * self.key_dim**-0.5
        query = ops.reshape(query, (-1, count, self.num_heads, self.key_dim))
        query = ops.einsum("bqhw,dhw->bqhd", query, key_kernel)

        logits = ops.matmul(
            ops.reshape(query, (-1, count * self.num_heads, width)),
            ops.transpose(context, (0, 2, 1)),
        )
        logits = ops.reshape(logits, (-1, count, self.num_heads, ops.shape(context)[1]))
        own = ops.sum(query * rows[:, :, None, :], axis=-1, keepdims=True)
        mask = ops.concatenate([padding_mask, ops.ones_like(padding_mask[:, :1])], axis=1)
        return self._softmax(ops.concatenate([logits, own], axis=-1), mask[:, None, None, :])

    def _last_position(self, rows, context, padding_mask, training):
        """Attend from every row to the context and itself, `[B, Q, d]` -> `[B * Q, num_heads * key_dim]`."""
        count, width = ops.shape(rows)[1], rows.shape[-1]
        weights = self.last_weights(rows, context, padding_mask)
        weights = self.dropout_layer(weights, training=training)

        shared, own = weights[..., :-1], weights[..., -1:]
        shared = ops.reshape(shared, (-1, count * self.num_heads, ops.shape(context)[1]))
        mixed = ops.reshape(ops.matmul(shared, context), (-1, count, self.num_heads, width))
        mixed = mixed + own * rows[:, :, None, :]
        # Dropout keeps the weights' sum from being 1, so the bias is weighted by it.
        value_kernel = ops.reshape(self.value_kernel, (width, self.num_heads, self.key_dim))
        value_bias = ops.reshape(self.value_bias, (self.num_heads, self.key_dim))
        mixed = ops.einsum("bqhd,dhw->bqhw", mixed, value_kernel)
        mixed = mixed + ops.sum(weights, axis=-1, keepdims=True) * value_bias
        return ops.reshape(mixed, (-1, self.num_heads * self.key_dim))

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "dropout": self.dropout,
        }
