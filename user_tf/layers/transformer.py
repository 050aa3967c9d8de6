"""A stack of transformer layers."""

import keras
from keras import ops

from user_tf.layers.transformer_block import TransformerBlock


class Transformer(keras.layers.Layer):
    """Stack of `TransformerBlock`s: the whole output, or that of last positions only.

    In full form all rows go through all layers. With a `context` every row of `inputs` on its own
    ends the sequence [context, row], and its last output is returned. In the last layer (the only
    one by default) that takes one query row against the context; layers before it need the whole
    sequence of each row, since the context attends to the row as well.

    Args:
        layers: Number of layers.
        num_heads: Number of heads.
        key_dim: Width of a head.
        intermediate_dim: Width of the hidden layer of the feed-forward part.
        dropout: Dropout rate of sublayer outputs and of attention weights.

    Call arguments:
        inputs: Float tensor `[B, L, d]`; `[B, Q, d]` with a context.
        padding_mask: Boolean tensor, true at real places: `[B, L]`, or `[B, K]` with a context.
        context: Float tensor `[B, K, d]`, or None.
        training: Whether dropout is on.

    Returns:
        Float tensor `[B, L, d]`, zero at padded places; `[B, Q, d]` with a context.

    Example:
        >>> transformer = Transformer(layers=2, num_heads=2, key_dim=3, intermediate_dim=8)
        >>> transformer(
        ...     ops.ones((2, 6, 4)),
        ...     padding_mask=ops.ones((2, 5), "bool"),
        ...     context=ops.ones((2, 5, 4)),
        ... ).shape
        TensorShape([2, 6, 4])
    """

    def __init__(self, layers, num_heads, key_dim, intermediate_dim, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.layers = layers
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.intermediate_dim = intermediate_dim
        self.rate = dropout
        self.blocks = [
            TransformerBlock(
                num_heads,
                key_dim,
                intermediate_dim,
                dropout,
                dtype=self.dtype_policy,
                name=f"block_{layer}",
            )
            for layer in range(layers)
        ]

    def build(self, inputs_shape):
        for block in self.blocks:
            block.build((None, None, inputs_shape[-1]))

    def call(self, inputs, padding_mask, context=None, training=None):
        if context is None:
            x = inputs
            for block in self.blocks:
                x = block(x, padding_mask=padding_mask, training=training)
            return x
        if len(self.blocks) == 1:
            return self.blocks[0](
                inputs, padding_mask=padding_mask, context=context, training=training
            )
        return self._deep_last_positions(inputs, context, padding_mask, training)

    def context_weights(self, rows, context, padding_mask):
        """How rows at last positions share out their attention over the context, for drawing.

        Means over heads of the last layer's weights. A row attends to itself too: that part is left
        out, and the rest is divided by its sum.

        Args:
            rows: Float tensor `[B, Q, d]`.
            context: Float tensor `[B, K, d]`, K static.
            padding_mask: Boolean tensor `[B, K]`, true at real places of the context.

        Returns:
            `[B, Q, K]`: not negative, 0 where masked, of sum 1 where a place is real.
        """
        attention = self.blocks[-1].attention
        if len(self.blocks) == 1:
            weights = attention.last_weights(rows, context, padding_mask)
        else:
            x, mask = self._sequences(rows, context, padding_mask, training=False)
            weights = attention.last_weights(x[:, -1:], x[:, :-1], mask[:, :-1])
            weights = ops.reshape(weights, (-1, ops.shape(rows)[1], *weights.shape[2:]))
        weights = ops.mean(weights, axis=2)[..., :-1]
        total = ops.sum(weights, axis=-1, keepdims=True)
        return weights / ops.where(total > 0, total, ops.ones_like(total))

    def _deep_last_positions(self, rows, context, padding_mask, training):
        x, mask = self._sequences(rows, context, padding_mask, training)
        last = self.blocks[-1](
            x[:, -1:], padding_mask=mask[:, :-1], context=x[:, :-1], training=training
        )
        return ops.reshape(last, (-1, ops.shape(rows)[1], rows.shape[-1]))

    def _sequences(self, rows, context, padding_mask, training):
        """The sequence of every row before the last layer, `[B * Q, K + 1, d]`, and its mask."""
        count, width = ops.shape(rows)[1], rows.shape[-1]
        x = ops.concatenate(
            [ops.repeat(context, count, axis=0), ops.reshape(rows, (-1, 1, width))], axis=1
        )
        mask = ops.concatenate([padding_mask, ops.ones_like(padding_mask[:, :1])], axis=1)
        mask = ops.repeat(mask, count, axis=0)
        for block in self.blocks[:-1]:
            x = block(x, padding_mask=mask, training=training)
        return x, mask

    def get_config(self):
        return {
            **super().get_config(),
            "layers": self.layers,
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "intermediate_dim": self.intermediate_dim,
            "dropout": self.rate,
        }
