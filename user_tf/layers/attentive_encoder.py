"""Encode a sequence as one vector by multi-head self-attention and additive attention."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.masking import masked_softmax


@keras.saving.register_keras_serializable(package="user_tf")
class SelfAttention(keras.layers.Layer):
    """Apply multi-head self-attention and concatenate the heads.

        o_i = [ sum_j softmax_j( (W_q^h x_i) . (W_k^h x_j) / sqrt(w) ) W_v^h x_j ]_h

    Unlike the attention of a transformer it has no output projection, no residual and no biases.

    Args:
        num_heads: Number of heads.
        key_dim: Width w of a head.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`. Masked places get no weight; rows at masked places
            have no meaning.

    Returns:
        Float tensor `[B, L, num_heads * w]`.

    Example:
        >>> attend = SelfAttention(num_heads=2, key_dim=3)
        >>> attend(ops.ones((1, 5, 4)), padding_mask=ops.ones((1, 5), "bool")).shape
        TensorShape([1, 5, 6])

    Reference:
        Wu et al., Neural News Recommendation with Multi-Head Self-Attention, EMNLP 2019.
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


@keras.saving.register_keras_serializable(package="user_tf")
class AttentiveEncoder(keras.layers.Layer):
    """Encode a sequence as one vector: self-attention, dropout, additive attention (NRMS, GERL).

        r = AdditiveAttention(dropout(SelfAttention(x)))

    Args:
        num_heads, key_dim: As in `SelfAttention`.
        dropout: Dropout rate. Default: 0.
        units: Hidden width of the additive attention. Default: num_heads * key_dim.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`, true at real places. A row without any gives 0.
        training: True to apply dropout.

    Returns:
        Float tensor `[B, num_heads * key_dim]`.

    Example:
        >>> encoder = AttentiveEncoder(num_heads=2, key_dim=3)
        >>> encoder(ops.ones((1, 5, 4)), padding_mask=ops.zeros((1, 5), "bool")).numpy().tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]

    Reference:
        Wu et al., Neural News Recommendation with Multi-Head Self-Attention, EMNLP 2019.
    """

    def __init__(self, num_heads, key_dim, dropout=0.0, units=None, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.dropout = dropout
        self.units = units
        policy = self.dtype_policy
        self.attention = SelfAttention(num_heads, key_dim, dtype=policy, name="attention")
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=policy, name="dropout")
        self.pool = AdditiveAttention(units, dtype=policy, name="pool")

    def build(self, inputs_shape):
        self.attention.build(inputs_shape)
        self.pool.build((None, None, self.num_heads * self.key_dim))

    def call(self, inputs, padding_mask, training=None):
        attended = self.attention(inputs, padding_mask=padding_mask)
        return self.pool(self.dropout_layer(attended, training=training), padding_mask=padding_mask)

    def pooling_weights(self, inputs, padding_mask):
        """Return the weights of the additive attention, `[B, L]`: 0 where masked, otherwise of sum 1."""
        attended = self.attention(inputs, padding_mask=padding_mask)
        return self.pool.pooling_weights(attended, padding_mask)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "dropout": self.dropout,
            "units": self.units,
        }
