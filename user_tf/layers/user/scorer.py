"""Matching signals to one score a candidate."""

import keras
from keras import ops

from user_tf.layers.masking import cosine, precise


class Scorer(keras.layers.Layer):
    """Linear score of cosines, word matching and features (USER, unified task framework).

        f = [cos(I_s, r_D), cos(I_s, r_l), cos(I_l, r_D), cos(I_l, r_l), KNRM, F];   p = Linear(f)

    The linear layer has no bias, since a listwise softmax cancels it. Cosines, and the score, are
    computed in at least float32: give the layer such a dtype. What is not passed is left out of f.

    Args:
        tanh: Whether the score goes through tanh, as in the released code. With a listwise softmax
            it floors the loss at log(1 + 4 e^-2) = 0.433 for 5 candidates.

    Call arguments:
        intents: List of float tensors `[T, d]`: I_s, and I_l where there is a history encoder.
        candidates: List of float tensors `[T, C, d]`: r_D, and r_l.
        signals: List of float tensors `[T, C, m]`: KNRM (m = 1), F (m = n); n may be 0.

    Returns:
        Scores `[T, C]` in at least float32.

    Example:
        >>> vectors = ops.ones((2, 5, 4))
        >>> Scorer()([vectors[:, 0]], candidates=[vectors, vectors], signals=[vectors]).shape
        TensorShape([2, 5])
    """

    def __init__(self, tanh=False, **kwargs):
        super().__init__(**kwargs)
        self.tanh = tanh

    def build(self, intents_shape, candidates_shape, signals_shape):
        matches = len(intents_shape) * len(candidates_shape)
        self.linear = keras.layers.Dense(
            1,
            use_bias=False,
            activation="tanh" if self.tanh else None,
            dtype=self.dtype_policy,
            name="linear",
        )
        self.linear.build((None, None, matches + sum(shape[-1] for shape in signals_shape)))

    def call(self, intents, candidates, signals=()):
        return self.score(self.features(intents, candidates, signals))

    def features(self, intents, candidates, signals=()):
        """Return f, `[T, C, m]`: the cosines, then the signals."""
        features = [
            cosine(intent[:, None], documents)[..., None]
            for intent in intents
            for documents in candidates
        ]
        return ops.concatenate([*features, *(precise(signal) for signal in signals)], axis=-1)

    def score(self, features):
        """Return p of f, `[T, C]`."""
        return self.linear(features)[..., 0]

    def get_config(self):
        return {**super().get_config(), "tanh": self.tanh}
