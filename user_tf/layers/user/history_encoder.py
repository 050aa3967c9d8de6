"""The intent and every candidate in the light of the long-term history."""

import keras
from keras import ops

from user_tf.layers.masking import count_positions
from user_tf.layers.positions import Positions
from user_tf.layers.transformer import Transformer

POSITIONS = ("forward", "fixed", "recency", "off")


class HistoryEncoder(keras.layers.Layer):
    """Last positions of a transformer over the past sessions (USER, history encoder).

        I_l = last position of Transformer_h([H_l, I_s] + Position)
        r_l = last position of Transformer_h([H_l, r_D] + Position)      for every candidate D

    All rows of a target share its history: one query row each against the same context.

    Positions number the n real behaviors from the oldest on:

    * `forward`: 1..n, the target at n + 1.
    * `fixed`: 1..n, the target at the last id, K + 1: how recent a behavior is does not show
      where histories are short (the group's other code does so).
    * `recency`: counted back from the target: the target at 1, the latest behavior at 2, the oldest
      at n + 1.
    * `off`: none.

    Args:
        layers, num_heads, key_dim, intermediate_dim, dropout: As in `Transformer`.
        positions: `forward`, `fixed`, `recency` or `off`.

    Call arguments:
        rows: Float tensor `[T, Q, d]`: the intent and the candidates.
        history: Float tensor `[T, K, d]`: contextual behaviors of past sessions, oldest first.
        padding_mask: Boolean tensor `[T, K]`, true at real behaviors, anywhere in the row.
        training: Whether dropout is on.

    Returns:
        Float tensor `[T, Q, d]`.

    Raises:
        ValueError: `positions` is none of the above.

    Example:
        >>> encoder = HistoryEncoder(num_heads=2, key_dim=3, intermediate_dim=8)
        >>> mask = ops.array([[True, False, True]])
        >>> encoder(ops.ones((1, 6, 4)), history=ops.ones((1, 3, 4)), padding_mask=mask).shape
        TensorShape([1, 6, 4])
    """

    def __init__(
        self,
        layers=1,
        num_heads=8,
        key_dim=50,
        intermediate_dim=256,
        dropout=0.0,
        positions="forward",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if positions not in POSITIONS:
            raise ValueError(
                f"`positions` should be one of {POSITIONS}. Received: `positions` = "
                f"{positions!r}. Set --model.history_positions to one of them."
            )
        self.position_mode = positions
        self.transformer = Transformer(
            layers,
            num_heads,
            key_dim,
            intermediate_dim,
            dropout,
            dtype=self.dtype_policy,
            name="transformer",
        )

    def build(self, rows_shape):
        width = rows_shape[-1]
        self.transformer.build((None, None, width))
        if self.position_mode != "off":
            self.positions = Positions(width, dtype=self.dtype_policy, name="positions")
            self.positions.build((None, None))

    def call(self, rows, history, padding_mask, training=None):
        rows, history = self._placed(rows, history, padding_mask)
        return self.transformer(rows, padding_mask=padding_mask, context=history, training=training)

    def behavior_weights(self, rows, history, padding_mask):
        """Attention of each row to the behaviors, `[T, Q, K]`: `Transformer.context_weights`."""
        rows, history = self._placed(rows, history, padding_mask)
        return self.transformer.context_weights(rows, history, padding_mask)

    def _placed(self, rows, history, padding_mask):
        """Adds positions to rows and history, if they are on."""
        if self.position_mode == "off":
            return rows, history
        ids, last = self._ids(padding_mask)
        longest = padding_mask.shape[1] + 1
        history = history + self.positions(ids, longest=longest)
        return rows + self.positions(last, longest=longest), history

    def _ids(self, padding_mask):
        """Position ids of the history `[T, K]` and of the rows `[T, 1]`."""
        ids = count_positions(padding_mask)
        number = ops.sum(ops.cast(padding_mask, "int32"), axis=1, keepdims=True)
        if self.position_mode == "recency":
            backward = (number + 2 - ids) * ops.cast(padding_mask, "int32")
            return backward, ops.ones_like(number)
        if self.position_mode == "fixed":
            return ids, ops.full_like(number, padding_mask.shape[1] + 1)
        return ids, number + 1

    def get_config(self):
        config = self.transformer.get_config()
        names = ("layers", "num_heads", "key_dim", "intermediate_dim", "dropout")
        return {
            **super().get_config(),
            "positions": self.position_mode,
            **{name: config[name] for name in names},
        }
