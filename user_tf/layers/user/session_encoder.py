"""Encode the behaviors of a session in the context of each other, and the target's intent."""

import keras
from keras import ops

from user_tf.layers.masking import count_positions
from user_tf.layers.positions import Positions
from user_tf.layers.transformer import Transformer
from user_tf.layers.transformer_arguments import TransformerArguments

BEHAVIOR_TYPES = 2


@keras.saving.register_keras_serializable(package="user_tf")
class SessionEncoder(TransformerArguments):
    """Apply a transformer to one session (USER, session encoder).

        past session:    H'  = Transformer_s(H + Position + Type)
        current session: I_s = last position of Transformer_s([H, I_0] + Position + Type)

    Positions restart at 1 in each session and the target is at n + 1, with n the number of real
    behaviors. There are two types, browse and search; a target has the type of its task, since a
    recommendation is answered by a browse. `session_passes > 1` sends the complete output of the
    current session through the same transformer again (the released code does that once);
    positions and types are added only before the first pass.

    Args:
        session_positions: True to add sinusoidal positions. Default: True.
        session_types: True to add type embeddings. Default: True.
        session_passes: Times the current session goes through the transformer. Default: 1.
        num_layers, num_heads, key_dim, intermediate_dim, dropout: As in `TransformerArguments`.

    Call arguments:
        behaviors: Float tensor `[B, 5, d]`; B is S past sessions, or the current sessions of T targets.
        types: int tensor `[B, 5]`: 0 padding, 1 browse, 2 search.
        padding_mask: Boolean tensor `[B, 5]`, true at real behaviors; padding gets no weight.
        target: Float tensor `[B, d]`, the initial intent I_0, or None for a past session.
        target_types: int tensor `[B]`, as `types`; needed with `target`.
        training: True to apply dropout.

    Returns:
        Without a target: contextual behaviors `[B, 5, d]`, zero at padding. With one: I_s `[B, d]`.

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

    Reference:
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    def __init__(self, session_positions=True, session_types=True, session_passes=1, **kwargs):
        super().__init__(**kwargs)
        self.session_positions = session_positions
        self.session_types = session_types
        self.session_passes = session_passes
        self.transformer = Transformer(
            **self.transformer_arguments(), dtype=self.dtype_policy, name="transformer"
        )

    def build(self, behaviors_shape):
        width = behaviors_shape[-1]
        self.transformer.build((None, None, width))
        if self.session_positions:
            self.positions = Positions(width, dtype=self.dtype_policy, name="positions")
            self.positions.build((None, None))
        if self.session_types:
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
        """Return the target's attention to its session, `[B, 5]`: `Transformer.context_weights`."""
        row, history = self._last_pass(behaviors, types, padding_mask, target, target_types, False)
        return self.transformer.context_weights(row, history, padding_mask)[:, 0]

    def _last_pass(self, behaviors, types, padding_mask, target, target_types, training):
        """Return the inputs of the last pass over a current session: the target's row, the behaviors."""
        history = self._session(behaviors, types, padding_mask)
        last = ops.sum(ops.cast(padding_mask, "int32"), axis=1, keepdims=True) + 1
        row = self._add_positions(
            target[:, None], last, target_types[:, None], ops.shape(behaviors)[1] + 1
        )
        if self.session_passes > 1:
            sequence = ops.concatenate([history, row], axis=1)
            mask = ops.concatenate([padding_mask, ops.ones_like(padding_mask[:, :1])], axis=1)
            for _ in range(self.session_passes - 1):
                sequence = self.transformer(sequence, padding_mask=mask, training=training)
            history, row = sequence[:, :-1], sequence[:, -1:]
        return row, history

    def _session(self, behaviors, types, padding_mask):
        """Return the behaviors of a session with positions and types."""
        return self._add_positions(
            behaviors, count_positions(padding_mask), types, ops.shape(behaviors)[1]
        )

    def _add_positions(self, vectors, ids, types, longest):
        """Add positions and types, as far as they are on."""
        if self.session_positions:
            vectors = vectors + self.positions(ids, longest=longest)
        if self.session_types:
            # Padding (type 0) takes the first row here; the transformer masks it.
            vectors = vectors + self.type_embedding(ops.maximum(types - 1, 0))
        return vectors

    def get_config(self):
        return {
            **super().get_config(),
            "session_positions": self.session_positions,
            "session_types": self.session_types,
            "session_passes": self.session_passes,
        }
