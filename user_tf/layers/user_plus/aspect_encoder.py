"""Read the words of a text once for each aspect."""

import keras
from keras import ops

from user_tf.layers.masking import masked_softmax, normalize, precise


@keras.saving.register_keras_serializable(package="user_tf")
class AspectEncoder(keras.layers.Layer):
    """Encode a text as one unit vector per aspect.

        r_a(x) = unit( sum_l softmax_l(u_a . e_l) P_a e_l )        a = 1 ... A

    An aspect chooses its words by u_a and looks at them through P_a: one may read the topic, another
    the kind of article.

    Args:
        aspects: Number A of aspects. Default: 8.
        aspect_dim: Width w of an aspect. Default: 16.

    Call arguments:
        words: Float tensor `[X, L, d]`, word embeddings.
        words_mask: Boolean tensor `[X, L]`, true at real tokens.

    Returns:
        Float tensor `[X, A, w]` in at least float32, of length 1; 0 for an empty text.

    Example:
        >>> encode = AspectEncoder(aspects=2, aspect_dim=3)
        >>> encode(ops.ones((4, 5, 6)), words_mask=ops.ones((4, 5), "bool")).shape
        TensorShape([4, 2, 3])
    """

    def __init__(self, aspects=8, aspect_dim=16, **kwargs):
        super().__init__(**kwargs)
        self.aspects = aspects
        self.aspect_dim = aspect_dim

    def build(self, words_shape):
        width = words_shape[-1]
        self.attention = self.add_weight(
            shape=(width, self.aspects), initializer="glorot_uniform", name="attention"
        )
        self.projection = self.add_weight(
            shape=(width, self.aspects * self.aspect_dim),
            initializer="glorot_uniform",
            name="projection",
        )

    def shares(self, words, words_mask):
        """Return the share of each word in each aspect, `[X, A, L]`; 0 at padding."""
        logits = ops.transpose(ops.matmul(words, self.attention), (0, 2, 1))
        return masked_softmax(logits, words_mask[:, None, :])

    def call(self, words, words_mask):
        shares = self.shares(words, words_mask)
        length = ops.shape(words)[1]
        seen = ops.reshape(
            precise(ops.matmul(words, self.projection)),
            (-1, length, self.aspects, self.aspect_dim),
        )
        return normalize(ops.einsum("xal,xlaw->xaw", shares, seen))

    def get_config(self):
        return {
            **super().get_config(),
            "aspects": self.aspects,
            "aspect_dim": self.aspect_dim,
        }
