"""Words of a text in the context of their neighbors, by a convolution."""

import keras
from keras import ops


class WordConvolution(keras.layers.Layer):
    """Word vectors of the news encoders of NPA and LSTUR.

        c_i = dropout(ReLU( sum_k W_k e_{i + k} + b )),   k = -1, 0, 1 for a window of 3

    with e the embeddings after dropout, zero beyond both ends of a text.

    Args:
        vocabulary: Rows of the word table, padding (row 0) and hashed buckets included.
        width: Width of the embeddings.
        filters: Width of c.
        window: Words a filter sees.
        dropout: Dropout rate.

    Call arguments:
        tokens: int tensor `[X, L]` of token ids, 0 beyond the end of a text.
        training: Whether dropout is on.

    Returns:
        Word vectors `[X, L, filters]`, garbage at padding; mask `[X, L]`, true at real tokens.

    Example:
        >>> convolution = WordConvolution(vocabulary=10, width=4, filters=6)
        >>> words, mask = convolution(ops.array([[5, 2, 0]]))
        >>> words.shape, mask.numpy().tolist()
        (TensorShape([1, 3, 6]), [[True, True, False]])
    """

    def __init__(self, vocabulary, width, filters, window=3, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(vocabulary, width, dtype=policy, name="embedding")
        self.dropout = keras.layers.Dropout(dropout, dtype=policy, name="dropout")
        self.convolution = keras.layers.Conv1D(
            filters, window, padding="same", activation="relu", dtype=policy, name="convolution"
        )

    def build(self, tokens_shape):
        self.embedding.build(tokens_shape)
        self.convolution.build((None, None, self.embedding.output_dim))

    def call(self, tokens, training=None):
        mask = tokens > 0
        words = self.dropout(self.embedding(tokens), training=training)
        # The last word's neighbor is zero, however much padding there is.
        words = words * ops.cast(mask, words.dtype)[..., None]
        return self.dropout(self.convolution(words), training=training), mask

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": self.embedding.input_dim,
            "width": self.embedding.output_dim,
            "filters": self.convolution.filters,
            "window": self.convolution.kernel_size[0],
            "dropout": self.dropout.rate,
        }
