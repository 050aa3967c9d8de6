"""Behaviors of a session in the context of each other, and the target's intent among them."""

import keras
from keras import ops

from user_tf.layers.masking import count_positions
from user_tf.layers.positions import Positions
from user_tf.layers.transformer import Transformer

BEHAVIOR_TYPES = 2


class SessionEncoder(keras.layers.Layer):
    """Transformer over one session (USER, session encoder).

        past session:    H'  = Transformer_s(H + Position + Type)
        current session: I_s = last position of Transformer_s([H, I_0] + Position + Type)

    Positions restart at 1 in each session and the target stands at n + 1, n being the number of
    real behaviors. There are two types, browse and search; a target has the type of its task, since
    a recommendation is answered by a browse. `passes > 1` sends the whole output of the current
    session through the same transformer again (the released code does that once); positions and
    types are added only before the first pass.

    Args:
        layers, num_heads, key_dim, intermediate_dim, dropout: As in `Transformer`.
        positions: Whether sinusoidal positions are added.
        types: Whether type embeddings are added.
        passes: Times the current session goes through the transformer.

    Call arguments:
        behaviors: Float tensor `[B, 5, d]`.
        types: int tensor `[B, 5]`: 0 padding, 1 browse, 2 search.
        padding_mask: Boolean tensor `[B, 5]`, true at real behaviors.
        target: Float tensor `[B, d]`, the initial intent I_0, or None for a past session.
        target_types: int tensor `[B]`, as `types`; needed with `target`.
        training: Whether dropout is on.

    Returns:
        Without a target contextual behaviors `[B, 5, d]`, zero at padding; with one I_s `[B, d]`.

    Example:
        >>> encoder = SessionEncoder(num_heads=2, key_dim=3, intermediate_dim=8)
        >>> session = dict(
        ...     types=ops.array([[1, 2, 0]]), padding_mask=ops.array([[True, True, False]])
        ... )
        >>> encoder(ops.ones((1, 3, 4)), **session).shape
        TensorShape([1, 3, 4])
        >>> target = dict(target=ops.ones((1, 4)), target_types=ops.array([2]))
        >>> encoder(ops.ones((1, 3, 4)), **session, **target).shape
        TensorShape([1, 4])
    """

    def __init__(
        self,
        layers=1,
        num_heads=8,
        key_dim=50,
        intermediate_dim=256,
        dropout=0.0,
        positions=True,
        types=True,
        passes=1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.with_positions = positions
        self.with_types = types
        self.passes = passes
        self.transformer = Transformer(
            layers,
            num_heads,
            key_dim,
            intermediate_dim,
            dropout,
            dtype=self.dtype_policy,
            name="transformer",
        )

    def build(self, behaviors_shape):
        width = behaviors_shape[-1]
        self.transformer.build((None, None, width))
        if self.with_positions:
            self.positions = Positions(width, dtype=self.dtype_policy, name="positions")
            self.positions.build((None, None))
        if self.with_types:
            self.type_embedding = keras.layers.Embedding(
                BEHAVIOR_TYPES, width, dtype=self.dtype_policy, name="type_embedding"
            )
            self.type_embedding.build((None, None))

    def call(self, behaviors, types, padding_mask, target=None, target_types=None, training=None):
        if target is None:
            session = self._session(behaviors, types, padding_mask)
            return self.transformer(session, padding_mask=padding_mask, training=training)
        row, history = self._last_pass(
            behaviors, types, padding_mask, target, target_types, training
        )
        row = self.transformer(row, padding_mask=padding_mask, context=history, training=training)
        return row[:, 0]

    def behavior_weights(self, behaviors, types, padding_mask, target, target_types):
        """Attention of the target to its session, `[B, 5]`: `Transformer.context_weights`."""
        row, history = self._last_pass(behaviors, types, padding_mask, target, target_types, False)
        return self.transformer.context_weights(row, history, padding_mask)[:, 0]

    def _last_pass(self, behaviors, types, padding_mask, target, target_types, training):
        """What the last pass reads of a current session: the target's row, and the behaviors."""
        history = self._session(behaviors, types, padding_mask)
        last = ops.sum(ops.cast(padding_mask, "int32"), axis=1, keepdims=True) + 1
        row = self._placed(target[:, None], last, target_types[:, None], behaviors.shape[1] + 1)
        if self.passes > 1:
            sequence = ops.concatenate([history, row], axis=1)
            mask = ops.concatenate([padding_mask, ops.ones_like(padding_mask[:, :1])], axis=1)
            for _ in range(self.passes - 1):
                sequence = self.transformer(sequence, padding_mask=mask, training=training)
            history, row = sequence[:, :-1], sequence[:, -1:]
        return row, history

    def _session(self, behaviors, types, padding_mask):
        """The behaviors of a session at their positions."""
        return self._placed(behaviors, count_positions(padding_mask), types, behaviors.shape[1])

    def _placed(self, vectors, ids, types, longest):
        """Adds positions and types, as far as they are on."""
        if self.with_positions:
            vectors = vectors + self.positions(ids, longest=longest)
        if self.with_types:
            # Padding (type 0) takes the first row here; the transformer masks it.
            vectors = vectors + self.type_embedding(ops.maximum(types - 1, 0))
        return vectors

    def get_config(self):
        config = self.transformer.get_config()
        names = ("layers", "num_heads", "key_dim", "intermediate_dim", "dropout")
        return {
            **super().get_config(),
            "positions": self.with_positions,
            "types": self.with_types,
            "passes": self.passes,
            **{name: config[name] for name in names},
        }
