"""Stack transformer layers."""

import keras
from keras import ops

from user_tf.layers.transformer_arguments import TransformerArguments
from user_tf.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="user_tf")
class Transformer(TransformerArguments):
    """Stack `TransformerBlock`s; return the complete output, or that of last positions only.

        x_0 = inputs;   x_l = TransformerBlock_l(x_(l-1)),   l = 1 ... num_layers

    In full form all rows go through all layers. With a `context` every row of `inputs` alone ends
    the sequence [context, row], and its last output is returned. In the last layer (the only
    one by default) that takes one query row against the context; layers before it need the whole
    sequence of each row, since the context attends to the row as well.

    Args:
        num_layers, num_heads, key_dim, intermediate_dim, dropout: As in `TransformerArguments`.

    Call arguments:
        inputs: Float tensor `[B, L, d]`; `[B, Q, d]` with a context.
        padding_mask: Boolean tensor, true at real places: `[B, L]`, or `[B, K]` with a context.
        context: Float tensor `[B, K, d]`, or None.
        training: True to apply dropout.

    Returns:
        Float tensor `[B, L, d]`, zero at padded places; `[B, Q, d]` with a context.

    Example:
        >>> transformer = Transformer(num_layers=2, num_heads=2, key_dim=3, intermediate_dim=8)
        >>> transformer(
        ...     ops.ones((2, 6, 4)),
        ...     padding_mask=ops.ones((2, 5), "bool"),
        ...     context=ops.ones((2, 5, 4)),
        ... ).shape
        TensorShape([2, 6, 4])

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.blocks = [
            TransformerBlock(
                self.num_heads,
                self.key_dim,
                self.intermediate_dim,
                self.dropout,
                dtype=self.dtype_policy,
                name=f"block_{layer}",
            )
            for layer in range(self.num_layers)
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
        """Return how rows at last positions divide their attention over the context, for figures.

        These are means over heads of the last layer's weights. A row attends to itself too: that part
        is left out, and the rest is divided by its sum.

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
        """Return the sequence of every row before the last layer, `[B * Q, K + 1, d]`, and its mask."""
        count, width = ops.shape(rows)[1], rows.shape[-1]
        x = ops.concatenate(
            [ops.repeat(context, count, axis=0), ops.reshape(rows, (-1, 1, width))], axis=1
        )
        mask = ops.concatenate([padding_mask, ops.ones_like(padding_mask[:, :1])], axis=1)
        mask = ops.repeat(mask, count, axis=0)
        for block in self.blocks[:-1]:
            x = block(x, padding_mask=mask, training=training)
        return x, mask
