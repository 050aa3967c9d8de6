"""Encode the words of a text in the context of their neighbors, by a convolution."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="user_tf")
class WordConvolution(keras.layers.Layer):
    """Encode words as the news encoders of NPA and LSTUR do.

        c_i = dropout(ReLU( sum_k W_k e_{i + k} + b )),   k = -1, 0, 1 for a window of 3

    with e the embeddings after dropout, zero beyond both ends of a text.

    Args:
        vocabulary: Rows of the word table, padding (row 0) and hashed buckets included.
        width: Width of the embeddings.
        filters: Width of c.
        window: Words a filter sees. Default: 3.
        dropout: Dropout rate. Default: 0.

    Call arguments:
        tokens: int tensor `[X, L]` of token ids, 0 beyond the end of a text.
        training: True to apply dropout.

    Returns:
        Word vectors `[X, L, filters]`, without meaning at padding; mask `[X, L]`, true at real tokens.

    Example:
        >>> convolution = WordConvolution(vocabulary=10, width=4, filters=6)
        >>> words, mask = convolution(ops.array([[5, 2, 0]]))
        >>> words.shape, mask.numpy().tolist()
        (TensorShape([1, 3, 6]), [[True, True, False]])

    Reference:
        An et al., Neural News Recommendation with Long- and Short-term User Representations, ACL 2019.
    """

    def __init__(self, vocabulary, width, filters, window=3, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.width = width
        self.filters = filters
        self.window = window
        self.dropout = dropout
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(vocabulary, width, dtype=policy, name="embedding")
        self.dropout_layer = keras.layers.Dropout(dropout, dtype=policy, name="dropout")
        self.convolution = keras.layers.Conv1D(
            filters, window, padding="same", activation="relu", dtype=policy, name="convolution"
        )

    def build(self, tokens_shape):
        self.embedding.build(tokens_shape)
        self.convolution.build((None, None, self.width))

    def call(self, tokens, training=None):
        mask = tokens > 0
        words = self.dropout_layer(self.embedding(tokens), training=training)
        # The last word's neighbor is zero, however much padding there is.
        words = words * ops.cast(mask, words.dtype)[..., None]
        return self.dropout_layer(self.convolution(words), training=training), mask

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "filters": self.filters,
            "window": self.window,
            "dropout": self.dropout,
        }
