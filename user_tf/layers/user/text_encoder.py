"""Words of a text to contextual word vectors and one text vector."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.positions import Positions
from user_tf.layers.transformer import Transformer


class TextEncoder(keras.layers.Layer):
    """Encodes each distinct text once (USER, text encoder).

        C = Transformer_w(E);   r = AdditiveAttention(C)

    with E the embeddings of the words. Queries, clicked documents, browsed articles and candidates
    share it.

    Args:
        vocabulary: Rows of the word table, padding (row 0) and hashed buckets included.
        width: Width d.
        layers, num_heads, key_dim, intermediate_dim, dropout: As in `Transformer`.
        positions: Whether sinusoidal positions 1, 2, ... are added to the embeddings.

    Call arguments:
        tokens: int tensor `[X, L]` of token ids, 0 beyond the end of a text.
        training: Whether dropout is on.

    Returns:
        Word vectors C `[X, L, d]`, zero at padding; text vectors r `[X, d]`, zero for an empty
        text; mask `[X, L]`, true at real tokens.

    Example:
        >>> encoder = TextEncoder(vocabulary=10, width=4, num_heads=2, key_dim=3, intermediate_dim=8)
        >>> words, vectors, mask = encoder(ops.array([[0, 0, 0], [5, 2, 0]]))
        >>> words.shape, vectors.shape, vectors[0].numpy().tolist()
        (TensorShape([2, 3, 4]), TensorShape([2, 4]), [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        vocabulary,
        width,
        layers=1,
        num_heads=8,
        key_dim=50,
        intermediate_dim=256,
        dropout=0.0,
        positions=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.width = width
        self.with_positions = positions
        self.embedding = keras.layers.Embedding(
            vocabulary, width, dtype=self.dtype_policy, name="embedding"
        )
        if positions:
            self.positions = Positions(width, dtype=self.dtype_policy, name="positions")
        self.transformer = Transformer(
            layers,
            num_heads,
            key_dim,
            intermediate_dim,
            dropout,
            dtype=self.dtype_policy,
            name="transformer",
        )
        self.pool = AdditiveAttention(dtype=self.dtype_policy, name="pool")

    def build(self, tokens_shape):
        self.embedding.build(tokens_shape)
        if self.with_positions:
            self.positions.build(tokens_shape)
        self.transformer.build((None, None, self.width))
        self.pool.build((None, None, self.width))

    def call(self, tokens, training=None):
        mask = tokens > 0
        # The vectors of padding need no zeroing: keys are masked, and so is what blocks return.
        embedded = self.embedding(tokens)
        if self.with_positions:
            length = ops.shape(tokens)[1]
            ids = ops.cast(ops.arange(1, length + 1), "int32") * ops.cast(mask, "int32")
            embedded = embedded + self.positions(ids, longest=length)
        words = self.transformer(embedded, padding_mask=mask, training=training)
        return words, self.pool(words, padding_mask=mask), mask

    def get_config(self):
        config = self.transformer.get_config()
        names = ("layers", "num_heads", "key_dim", "intermediate_dim", "dropout")
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "positions": self.with_positions,
            **{name: config[name] for name in names},
        }
