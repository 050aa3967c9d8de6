"""Apply one post-norm transformer layer."""

import keras
from keras import ops

from user_tf.layers.multi_head_attention import MultiHeadAttention
from user_tf.layers.rows import flatten_rows

EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="user_tf")
class TransformerBlock(keras.layers.Layer):
    """Apply one transformer encoder layer: post-norm, ReLU.

        y = LN(x + Dropout(MultiHeadAttention(x)));   z = LN(y + Dropout(FeedForward(y)))

    Padded rows are set to zero after each sublayer. With a `context`, only last positions are
    computed: every row of `inputs` alone ends the sequence [context, row].

    Args:
        num_heads: Number of heads.
        key_dim: Width of a head.
        intermediate_dim: Width of the hidden layer of the feed-forward part.
        dropout: Dropout rate of sublayer outputs and of attention weights. Default: 0.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor, true at real places: `[B, L]`, or `[B, K]` with a context.
        context: Float tensor `[B, K, d]`, or None.
        training: True to apply dropout.

    Returns:
        Float tensor `[B, L, d]`.

    Example:
        >>> block = TransformerBlock(num_heads=2, key_dim=3, intermediate_dim=8)
        >>> block(ops.ones((2, 5, 4)), padding_mask=ops.ones((2, 5), "bool")).shape
        TensorShape([2, 5, 4])

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(self, num_heads, key_dim, intermediate_dim, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.attention = MultiHeadAttention(
            num_heads, key_dim, dropout, dtype=self.dtype_policy, name="attention"
        )
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=EPSILON, dtype=self.dtype_policy, name="attention_norm"
        )
        self.hidden = keras.layers.Dense(
            intermediate_dim, activation="relu", dtype=self.dtype_policy, name="hidden"
        )
        self.feed_forward_norm = keras.layers.LayerNormalization(
            epsilon=EPSILON, dtype=self.dtype_policy, name="feed_forward_norm"
        )
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, inputs_shape):
        width = inputs_shape[-1]
        rows = (None, None, width)
        self.attention.build(rows)
        self.attention_norm.build(rows)
        self.hidden.build(rows)
        self.output_dense = keras.layers.Dense(width, dtype=self.dtype_policy, name="output")
        self.output_dense.build((None, None, self.intermediate_dim))
        self.feed_forward_norm.build(rows)

    def call(self, inputs, padding_mask, context=None, training=None):
        attended = self.attention(
            inputs, padding_mask=padding_mask, context=context, training=training
        )
        real = None
        if context is None:
            real = ops.cast(ops.reshape(padding_mask, (-1, 1)), inputs.dtype)
        attended = self.dropout_layer(flatten_rows(attended), training=training)
        x = self.attention_norm(flatten_rows(inputs) + attended)
        x = x if real is None else x * real
        changed = self.output_dense(self.hidden(x))
        x = self.feed_forward_norm(x + self.dropout_layer(changed, training=training))
        x = x if real is None else x * real
        return ops.reshape(x, (-1, ops.shape(inputs)[1], inputs.shape[-1]))

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout,
        }
