"""Give word vectors the place they have for one user."""

import keras
import numpy as np
from keras import ops

# Odd, so that each product is one-to-one modulo 2^32: the golden ratio, then the finaliser of
# MurmurHash3 (A. Appleby, public domain).
USER_FACTOR = np.uint32(0x9E3779B1)
STEPS = ((16, np.uint32(0x85EBCA6B)), (13, np.uint32(0xC2B2AE35)), (16, np.uint32(1)))


def hash_pairs(users, tokens, rows):
    """Hash every pair of a user and a word to a row: the same on every machine and in every run.

    Args:
        users: int tensor.
        tokens: int tensor that broadcasts against `users`.
        rows: Number of rows.

    Returns:
        int32 tensor of the shape both broadcast to, in 0 ... rows - 1.

    Example:
        >>> hash_pairs(ops.array([[1], [2]]), ops.array([7, 8]), rows=1000).numpy().tolist()
        [[995, 854], [964, 706]]
    """
    # Unsigned, because sums and products are meant to wrap.
    mixed = ops.cast(users, "uint32") * USER_FACTOR + ops.cast(tokens, "uint32")
    for shift, factor in STEPS:
        mixed = ops.bitwise_xor(mixed, ops.right_shift(mixed, shift)) * factor
    return ops.cast(ops.mod(mixed, rows), "int32")


@keras.saving.register_keras_serializable(package="user_tf")
class PersonalEmbedding(keras.layers.Layer):
    """Add a user's own displacement to the vectors of words (PEPS, personal word embeddings).

        P_u(w) = G(w) + R[ hash(u, w) mod personal_rows ]

    with G the vectors all users share, and R = 0 before training, so that every user starts from
    them. Padding and the unknown user (row 0) stay at G.

    Pairs that hash to one row share it, so that memory is bounded for any number of users and
    words. The paper bounds it by filters instead: rare words, stop words and words of low click
    entropy stay at G.

    Args:
        personal_rows: Number of rows of R.

    Call arguments:
        words: Float tensor `[..., L, d]`, the shared vectors G(w).
        tokens: int tensor `[..., L]`, their ids; 0 is padding.
        users: int tensor `[...]` that broadcasts to the texts; 0 is the unknown user.

    Returns:
        Float tensor `[..., L, d]`.

    Example:
        >>> personal = PersonalEmbedding(personal_rows=10)
        >>> personal(ops.ones((1, 3, 2)), tokens=ops.array([[4, 5, 0]]), users=ops.array([1])).shape
        TensorShape([1, 3, 2])

    Reference:
        Yao, Dou and Wen, Employing Personal Word Embeddings for Personalized Search, SIGIR 2020.
    """

    def __init__(self, personal_rows, **kwargs):
        super().__init__(**kwargs)
        self.personal_rows = personal_rows

    def build(self, words_shape):
        self.table = keras.layers.Embedding(
            self.personal_rows,
            words_shape[-1],
            embeddings_initializer="zeros",
            dtype=self.dtype_policy,
            name="table",
        )
        self.table.build((None, None))

    def call(self, words, tokens, users):
        users = users[..., None]
        known = ops.logical_and(users > 0, tokens > 0)
        moves = self.table(hash_pairs(users, tokens, self.personal_rows))
        return words + moves * ops.cast(known, words.dtype)[..., None]

    def get_config(self):
        return {**super().get_config(), "personal_rows": self.personal_rows}
