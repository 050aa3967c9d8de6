"""Combine matching signals to one score a candidate."""

import keras
from keras import ops

from user_tf.layers.masking import cosine, precise
from user_tf.layers.rows import flatten_rows


def gelu(x):
    """Return x Phi(x); TensorFlow's own is exact to 5e-9 only, which differs between back ends.

    Example:
        >>> float(gelu(ops.array(0.0)))
        0.0
    """
    return 0.5 * x * (1 + ops.erf(x / 2**0.5))


@keras.saving.register_keras_serializable(package="user_tf")
class Scorer(keras.layers.Layer):
    """Score by cosines, word matching and features (USER, unified framework).

        f = [cos(I_s, r_D), cos(I_s, r_l), cos(I_l, r_D), cos(I_l, r_l), KNRM, F];   p = Linear(f)
        with a hidden layer (beyond the paper):   p = Linear(f) + o . GELU(W f + b)

    o starts at 0, so training begins at the linear score. The linear layer has no bias, since a listwise softmax cancels it. Cosines, and the score, are
    computed in at least float32: give the layer such a dtype. Signals that are not passed are left
    out of f. Nothing is masked here: the loss and the evaluator mask padded candidates.

    Args:
        score_tanh: True to apply tanh to the score, as in the released code. With a listwise
            softmax the loss then is at least log(1 + 4 e^-2) = 0.433 for 5 candidates.
            Default: False.
        hidden_dim: Width of the hidden layer; 0: the linear score of the paper. Default: 0.

    Call arguments:
        intents: List of float tensors `[T, d]`: I_s, and I_l where there is a history encoder.
        candidates: List of float tensors `[T, C, d]`: r_D, and r_l.
        signals: List of float tensors `[T, C, m]`: KNRM (m = 1), F (m = F, may be 0).

    Returns:
        Scores `[T, C]` in at least float32.

    Example:
        >>> vectors = ops.ones((2, 5, 4))
        >>> Scorer()([vectors[:, 0]], candidates=[vectors, vectors], signals=[vectors]).shape
        TensorShape([2, 5])

    Reference:
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    def __init__(self, score_tanh=False, hidden_dim=0, **kwargs):
        super().__init__(**kwargs)
        self.score_tanh = score_tanh
        self.hidden_dim = hidden_dim

    def build(self, intents_shape, candidates_shape, signals_shape):
        matches = len(intents_shape) * len(candidates_shape)
        self.linear = keras.layers.Dense(
            1,
            use_bias=False,
            activation="tanh" if self.score_tanh else None,
            dtype=self.dtype_policy,
            name="linear",
        )
        width = matches + sum(shape[-1] for shape in signals_shape)
        self.linear.build((None, None, width))
        if self.hidden_dim:
            self.hidden = keras.layers.Dense(
                self.hidden_dim, activation=gelu, dtype=self.dtype_policy, name="hidden"
            )
            self.hidden.build((None, None, width))
            self.output_weights = self.add_weight(
                shape=(self.hidden_dim, 1), initializer="zeros", name="output"
            )

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
        return self._add(features, self._hidden_part(features))

    def explain(self, features):
        """Return p `[T, C]`, and its parts before a tanh `[T, C, m]`: of each signal, then of a hidden layer."""
        hidden = self._hidden_part(features)
        parts = features * self.linear.kernel[:, 0]
        if hidden is not None:
            parts = ops.concatenate([parts, hidden], axis=-1)
        return self._add(features, hidden), parts

    def _hidden_part(self, features):
        """Return the hidden layer's part of p, `[T, C, 1]`; None without one."""
        if not self.hidden_dim:
            return None
        hidden = ops.matmul(self.hidden(flatten_rows(features)), self.output_weights)
        return ops.reshape(hidden, (*ops.shape(features)[:2], 1))

    def _add(self, features, hidden):
        score = ops.reshape(self.linear(flatten_rows(features)), ops.shape(features)[:2])
        return score if hidden is None else score + hidden[..., 0]

    def get_config(self):
        return {
            **super().get_config(),
            "score_tanh": self.score_tanh,
            "hidden_dim": self.hidden_dim,
        }
