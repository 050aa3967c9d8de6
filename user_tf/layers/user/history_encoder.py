"""Encode the intent and every candidate together with the long-term history."""

import keras
from keras import ops

from user_tf.layers.masking import count_positions
from user_tf.layers.positions import Positions
from user_tf.layers.transformer import Transformer
from user_tf.layers.transformer_arguments import TransformerArguments

POSITIONS = ("forward", "fixed", "recency", "off")


@keras.saving.register_keras_serializable(package="user_tf")
class HistoryEncoder(TransformerArguments):
    """Return last positions of a transformer over the past sessions (USER, history encoder).

        I_l = last position of Transformer_h([H_l, I_s] + Position)
        r_l = last position of Transformer_h([H_l, r_D] + Position)      for every candidate D

    All rows of a target share its history: one query row each against the same context.

    Positions number the n real behaviors from the oldest on:

    * `forward`: 1..n, the target at n + 1.
    * `fixed`: 1..n, the target at the last id, `longest` + 1: how recent a behavior is does not
      show where histories are short (the group's other code does so).
    * `recency`: counted back from the target: the target at 1, the latest behavior at 2, the oldest
      at n + 1.
    * `off`: none.

    Args:
        history_positions: `forward`, `fixed`, `recency` or `off`. Default: `forward`.
        num_layers, num_heads, key_dim, intermediate_dim, dropout: As in `TransformerArguments`.

    Call arguments:
        rows: Float tensor `[T, Q, d]`: the intent and the candidates.
        history: Float tensor `[T, K, d]`: contextual behaviors of past sessions, oldest first.
        padding_mask: Boolean tensor `[T, K]`, true at real behaviors, anywhere in the row. Padding
            gets no weight and no position.
        longest: Behaviors of the longest history there may be. Default: K.
        training: True to apply dropout.

    Returns:
        Float tensor `[T, Q, d]`.

    Raises:
        ValueError: `history_positions` is none of the above.

    Example:
        >>> encoder = HistoryEncoder(num_heads=2, key_dim=3, intermediate_dim=8)
        >>> mask = ops.array([[True, False, True]])
        >>> encoder(ops.ones((1, 6, 4)), history=ops.ones((1, 3, 4)), padding_mask=mask).shape
        TensorShape([1, 6, 4])

    Reference:
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    def __init__(self, history_positions="forward", **kwargs):
        super().__init__(**kwargs)
        if history_positions not in POSITIONS:
            raise ValueError(
                f"`history_positions` must be one of {POSITIONS}. Got {history_positions!r}. "
                "Fix: set --model.history_positions to one of them."
            )
        self.history_positions = history_positions
        self.transformer = Transformer(
            **self.transformer_arguments(), dtype=self.dtype_policy, name="transformer"
        )

    def build(self, rows_shape):
        width = rows_shape[-1]
        self.transformer.build((None, None, width))
        if self.history_positions != "off":
            self.positions = Positions(width, dtype=self.dtype_policy, name="positions")
            self.positions.build((None, None))

    def call(self, rows, history, padding_mask, longest=None, training=None):
        rows, history = self._add_positions(rows, history, padding_mask, longest)
        return self.transformer(rows, padding_mask=padding_mask, context=history, training=training)

    def behavior_weights(self, rows, history, padding_mask, longest=None):
        """Return each row's attention to the behaviors, `[T, Q, K]`: `Transformer.context_weights`."""
        rows, history = self._add_positions(rows, history, padding_mask, longest)
        return self.transformer.context_weights(rows, history, padding_mask)

    def _add_positions(self, rows, history, padding_mask, longest):
        """Add positions to rows and history, if they are on."""
        if self.history_positions == "off":
            return rows, history
        longest = padding_mask.shape[1] if longest is None else longest
        ids, last = self._position_ids(padding_mask, longest)
        history = history + self.positions(ids, longest=longest + 1)
        return rows + self.positions(last, longest=longest + 1), history

    def _position_ids(self, padding_mask, longest):
        """Return position ids of the history `[T, K]` and of the rows `[T, 1]`."""
        ids = count_positions(padding_mask)
        number = ops.sum(ops.cast(padding_mask, "int32"), axis=1, keepdims=True)
        if self.history_positions == "recency":
            backward = (number + 2 - ids) * ops.cast(padding_mask, "int32")
            return backward, ops.ones_like(number)
        if self.history_positions == "fixed":
            return ids, ops.full_like(number, longest + 1)
        return ids, number + 1

    def get_config(self):
        return {**super().get_config(), "history_positions": self.history_positions}
