"""A sequence to one vector by multi-head self-attention and additive attention."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.masking import masked_softmax


class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention whose heads are laid side by side, and that is all.

        o_i = [ sum_j softmax_j( (W_q^h x_i) . (W_k^h x_j) / sqrt(w) ) W_v^h x_j ]_h

    Unlike a transformer's it has no output projection, no residual and no biases.

    Args:
        num_heads: Number of heads.
        key_dim: Width w of a head.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`. Masked places get no weight; rows at masked places
            come out as garbage.

    Returns:
        Float tensor `[B, L, num_heads * w]`.

    Example:
        >>> attend = SelfAttention(num_heads=2, key_dim=3)
        >>> attend(ops.ones((1, 5, 4)), padding_mask=ops.ones((1, 5), "bool")).shape
        TensorShape([1, 5, 6])
    """

    def __init__(self, num_heads, key_dim, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim

    def build(self, inputs_shape):
        shape = (inputs_shape[-1], self.num_heads * self.key_dim)
        self.query_kernel = self.add_weight(shape, name="query_kernel")
        self.key_kernel = self.add_weight(shape, name="key_kernel")
        self.value_kernel = self.add_weight(shape, name="value_kernel")

    def call(self, inputs, padding_mask):
        length = ops.shape(inputs)[1]

        def by_head(kernel):
            split = (-1, length, self.num_heads, self.key_dim)
            return ops.transpose(ops.reshape(ops.matmul(inputs, kernel), split), (0, 2, 1, 3))

        query = by_head(self.query_kernel) * self.key_dim**-0.5
        logits = ops.matmul(query, ops.transpose(by_head(self.key_kernel), (0, 1, 3, 2)))
        weights = masked_softmax(logits, padding_mask[:, None, None, :])
        mixed = ops.matmul(ops.cast(weights, self.compute_dtype), by_head(self.value_kernel))
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, length, self.num_heads * self.key_dim))

    def get_config(self):
        return {**super().get_config(), "num_heads": self.num_heads, "key_dim": self.key_dim}


class AttentiveEncoder(keras.layers.Layer):
    """A sequence to one vector: self-attention, dropout, additive attention.

        r = AdditiveAttention(dropout(SelfAttention(x)))

    Args:
        num_heads, key_dim: As in `SelfAttention`.
        dropout: Dropout rate.
        units: Hidden width of the additive attention; None for num_heads * key_dim.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`, true at real places. A row without any gives 0.
        training: Whether dropout is on.

    Returns:
        Float tensor `[B, num_heads * key_dim]`.

    Example:
        >>> encoder = AttentiveEncoder(num_heads=2, key_dim=3)
        >>> encoder(ops.ones((1, 5, 4)), padding_mask=ops.zeros((1, 5), "bool")).numpy().tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(self, num_heads, key_dim, dropout=0.0, units=None, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.attention = SelfAttention(num_heads, key_dim, dtype=policy, name="attention")
        self.dropout = keras.layers.Dropout(dropout, dtype=policy, name="dropout")
        self.pool = AdditiveAttention(units, dtype=policy, name="pool")

    def build(self, inputs_shape):
        self.attention.build(inputs_shape)
        self.pool.build((None, None, self.attention.num_heads * self.attention.key_dim))

    def call(self, inputs, padding_mask, training=None):
        attended = self.attention(inputs, padding_mask=padding_mask)
        return self.pool(self.dropout(attended, training=training), padding_mask=padding_mask)

    def pooling_weights(self, inputs, padding_mask):
        """Weights of the additive attention, `[B, L]`: 0 where masked, else of sum 1."""
        attended = self.attention(inputs, padding_mask=padding_mask)
        return self.pool.pooling_weights(attended, padding_mask)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.attention.num_heads,
            "key_dim": self.attention.key_dim,
            "dropout": self.dropout.rate,
            "units": self.pool.units,
        }
