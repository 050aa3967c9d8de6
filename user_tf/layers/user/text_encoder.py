"""Encode the words of a text as contextual word vectors and one text vector."""

import keras

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.transformer import Transformer
from user_tf.layers.transformer_arguments import TransformerArguments


@keras.saving.register_keras_serializable(package="user_tf")
class TextEncoder(TransformerArguments):
    """Encode each distinct text once (USER, text encoder).

        C = Transformer_w(E);   r = AdditiveAttention(C)

    with E the embeddings of the words, without positions. Queries, clicked documents, browsed
    articles and candidates share it.

    Args:
        vocabulary: Rows of the word table, padding (row 0) and hashed buckets included.
        width: Width d.
        num_layers, num_heads, key_dim, intermediate_dim, dropout: As in `TransformerArguments`.

    Call arguments:
        tokens: int tensor `[X, L]` of token ids, 0 beyond the end of a text.
        training: True to apply dropout.

    Returns:
        Word vectors C `[X, L, d]`, zero at padding; text vectors r `[X, d]`, zero for an empty
        text; mask `[X, L]`, true at real tokens.

    Example:
        >>> encoder = TextEncoder(vocabulary=10, width=4, num_heads=2, key_dim=3, intermediate_dim=8)
        >>> words, vectors, mask = encoder(keras.ops.array([[0, 0, 0], [5, 2, 0]]))
        >>> words.shape, vectors.shape, vectors[0].numpy().tolist()
        (TensorShape([2, 3, 4]), TensorShape([2, 4]), [0.0, 0.0, 0.0, 0.0])

    Reference:
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    def __init__(self, vocabulary, width, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.width = width
        self.embedding = keras.layers.Embedding(
            vocabulary, width, dtype=self.dtype_policy, name="embedding"
        )
        self.transformer = Transformer(
            **self.transformer_arguments(), dtype=self.dtype_policy, name="transformer"
        )
        self.pool = AdditiveAttention(dtype=self.dtype_policy, name="pool")

    def build(self, tokens_shape):
        self.embedding.build(tokens_shape)
        self.transformer.build((None, None, self.width))
        self.pool.build((None, None, self.width))

    def call(self, tokens, training=None):
        mask = tokens > 0
        # The vectors of padding need no zeroing: keys are masked, and so is what blocks return.
        embedded = self.embedding(tokens)
        words = self.transformer(embedded, padding_mask=mask, training=training)
        return words, self.pool(words, padding_mask=mask), mask

    def get_config(self):
        return {**super().get_config(), "vocabulary": self.vocabulary, "width": self.width}
