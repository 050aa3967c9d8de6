"""A transformer block over any pairs of rows, with or without a second sequence."""

import keras

EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="user_tf")
class MaskedBlock(keras.layers.Layer):
    """Attend to chosen rows of a sequence, then of a second one where there is one.

        x = Norm(x + Attention(x, x));  x = Norm(x + Attention(x, memory));  x = Norm(x + FFN(x))

    `TransformerBlock` masks columns alone; here a row may be kept from some rows only. A row that may
    attend to nothing gets an average of padding: callers clear it.

    Args:
        num_heads, key_dim, intermediate_dim: Sizes as in Keras.
        dropout: Dropout rate of sublayer outputs and attention weights. Default: 0.

    Call arguments:
        inputs: Float tensor `[T, n, d]`.
        attention_mask: Boolean tensor `[T, n, n]`, true where a row may attend to a column.
        memory: Float tensor `[T, n, d]`, or None.
        memory_mask: Boolean tensor `[T, n, n]`.
        training: Whether dropout is on.

    Returns:
        Float tensor `[T, n, d]`.

    Example:
        >>> block = MaskedBlock(num_heads=2, key_dim=3, intermediate_dim=8)
        >>> block(keras.ops.ones((1, 4, 5)), attention_mask=keras.ops.ones((1, 4, 4), "bool")).shape
        TensorShape([1, 4, 5])
    """

    def __init__(self, num_heads, key_dim, intermediate_dim, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout

    def build(self, inputs_shape, memory_shape=None):
        policy, width = self.dtype_policy, inputs_shape[-1]
        names = ("attention", "memory_attention")[: 1 if memory_shape is None else 2]
        self.attentions = [
            keras.layers.MultiHeadAttention(
                self.num_heads,
                self.key_dim,
                dropout=self.dropout,
                use_bias=False,
                dtype=policy,
                name=name,
            )
            for name in names
        ]
        for attention in self.attentions:
            attention.build(inputs_shape, inputs_shape)
        self.norms = [
            keras.layers.LayerNormalization(epsilon=EPSILON, dtype=policy, name=f"{name}_norm")
            for name in (*names, "output")
        ]
        for norm in self.norms:
            norm.build(inputs_shape)
        self.hidden = keras.layers.Dense(
            self.intermediate_dim, activation="relu", dtype=policy, name="hidden"
        )
        self.hidden.build(inputs_shape)
        self.output_dense = keras.layers.Dense(width, dtype=policy, name="output")
        self.output_dense.build((None, None, self.intermediate_dim))
        self.dropout_layer = keras.layers.Dropout(self.dropout, dtype=policy, name="dropout")

    def call(self, inputs, attention_mask, memory=None, memory_mask=None, training=False):
        x = inputs
        seen = [(None, attention_mask), (memory, memory_mask)][: len(self.attentions)]
        for attention, norm, (other, mask) in zip(self.attentions, self.norms, seen, strict=False):
            found = attention(
                x, x if other is None else other, attention_mask=mask, training=training
            )
            x = norm(x + self.dropout_layer(found, training=training))
        changed = self.output_dense(self.hidden(x))
        return self.norms[-1](x + self.dropout_layer(changed, training=training))

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.dropout,
        }
