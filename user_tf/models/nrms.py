"""NRMS: news recommendation by multi-head self-attention (Wu et al., EMNLP 2019)."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.masking import masked_softmax
from user_tf.models.clicks import match, read_clicks
from user_tf.models.ranker import Ranker, encode_groups, text_groups

# Hidden width of additive attention in the authors' experiments; nothing in USER corresponds to it.
ATTENTION_UNITS = 200


class SelfAttention(keras.layers.Layer):
    """Multi-head self-attention whose heads are laid side by side, and that is all.

        o_i = [ sum_j softmax_j( (W_q^h x_i) . (W_k^h x_j) / sqrt(w) ) W_v^h x_j ]_h

    Unlike a transformer's it has no output projection, no residual and no biases.

    Args:
        heads: Number of heads.
        head_width: Width w of a head.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`. Masked places get no weight; rows at masked places
            come out as garbage.

    Returns:
        Float tensor `[B, L, heads * w]`.

    Example:
        >>> attend = SelfAttention(heads=2, head_width=3)
        >>> attend(ops.ones((1, 5, 4)), padding_mask=ops.ones((1, 5), "bool")).shape
        TensorShape([1, 5, 6])
    """

    def __init__(self, heads, head_width, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.head_width = head_width

    def build(self, inputs_shape):
        shape = (inputs_shape[-1], self.heads * self.head_width)
        self.query_kernel = self.add_weight(shape, name="query_kernel")
        self.key_kernel = self.add_weight(shape, name="key_kernel")
        self.value_kernel = self.add_weight(shape, name="value_kernel")

    def call(self, inputs, padding_mask):
        length = ops.shape(inputs)[1]

        def by_head(kernel):
            split = (-1, length, self.heads, self.head_width)
            return ops.transpose(ops.reshape(ops.matmul(inputs, kernel), split), (0, 2, 1, 3))

        query = by_head(self.query_kernel) * self.head_width**-0.5
        logits = ops.matmul(query, ops.transpose(by_head(self.key_kernel), (0, 1, 3, 2)))
        weights = masked_softmax(logits, padding_mask[:, None, None, :])
        mixed = ops.matmul(ops.cast(weights, self.compute_dtype), by_head(self.value_kernel))
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, length, self.heads * self.head_width))

    def get_config(self):
        return {**super().get_config(), "heads": self.heads, "head_width": self.head_width}


class AttentiveEncoder(keras.layers.Layer):
    """A sequence to one vector: self-attention, dropout, additive attention.

        r = AdditiveAttention(dropout(SelfAttention(x)))

    Args:
        heads, head_width: As in `SelfAttention`.
        dropout: Dropout rate.

    Call arguments:
        inputs: Float tensor `[B, L, d]`.
        padding_mask: Boolean tensor `[B, L]`, true at real places. A row without any gives 0.
        training: Whether dropout is on.

    Returns:
        Float tensor `[B, heads * head_width]`.

    Example:
        >>> encoder = AttentiveEncoder(heads=2, head_width=3)
        >>> encoder(ops.ones((1, 5, 4)), padding_mask=ops.zeros((1, 5), "bool")).numpy().tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(self, heads, head_width, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.attention = SelfAttention(heads, head_width, dtype=policy, name="attention")
        self.dropout = keras.layers.Dropout(dropout, dtype=policy, name="dropout")
        self.pool = AdditiveAttention(ATTENTION_UNITS, dtype=policy, name="pool")

    def build(self, inputs_shape):
        self.attention.build(inputs_shape)
        self.pool.build((None, None, self.attention.heads * self.attention.head_width))

    def call(self, inputs, padding_mask, training=None):
        attended = self.attention(inputs, padding_mask=padding_mask)
        return self.pool(self.dropout(attended, training=training), padding_mask=padding_mask)

    def get_config(self):
        return {
            **super().get_config(),
            "heads": self.attention.heads,
            "head_width": self.attention.head_width,
            "dropout": self.dropout.rate,
        }


class Nrms(Ranker):
    """News recommendation by self-attention over words, then over the clicked titles.

        r(x) = AttentiveEncoder_w(dropout(E_x));   u = AttentiveEncoder_u(r(clicks));   p = u . r(D)

    with E_x the embeddings of the words of x. Every distinct text is encoded once, and every real
    word and click is masked in: the public codes let padding take part. Without clicks u = 0, and
    all candidates score 0.

    Clicks are all browses a target may see; searches, the query, the user's id and the features F
    are not read. A search target gets a score by the same rule.

    A reconstruction in its settings: heads x head_width is that of USER's attention (400), where
    the authors' experiments have other splits; the hidden width 200 is theirs.

    Args:
        config: `ModelConfig`; `width`, `heads`, `head_width`, `dropout` and `train_words` are used.
        sizes: `Sizes` of the dataset.
    """

    with_searches = False

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.embedding = keras.layers.Embedding(
            sizes.vocabulary, config.width, dtype=policy, name="embedding"
        )
        self.embedding.trainable = config.train_words
        self.dropout = keras.layers.Dropout(config.dropout, dtype=policy, name="dropout")
        attentive = (config.heads, config.head_width, config.dropout)
        self.word_encoder = AttentiveEncoder(*attentive, dtype=policy, name="word_encoder")
        self.click_encoder = AttentiveEncoder(*attentive, dtype=policy, name="click_encoder")

    @property
    def word_embedding(self):
        return self.embedding

    def build(self, batch_shape=None):
        """Makes every layer's weights; they do not depend on the sizes of a batch."""
        self.embedding.build((None, None))
        self.word_encoder.build((None, None, self.config.width))
        self.click_encoder.build((None, None, self.config.heads * self.config.head_width))

    def call(self, batch, training=False):
        texts, batch = text_groups(batch)
        _, titles, mask = encode_groups(self.encode_texts, texts, training)
        clicks = read_clicks(batch, ops.any(mask, axis=1), searches=self.with_searches)
        users = self.click_encoder(
            ops.take(titles, clicks.texts, axis=0), padding_mask=clicks.mask, training=training
        )
        return match(users, ops.take(titles, batch["candidate_text"], axis=0))

    def encode_texts(self, tokens, training=False):
        """Words `[X, L, width]`, titles `[X, heads * head_width]` and mask of the words."""
        mask = tokens > 0
        words = self.dropout(self.embedding(tokens), training=training)
        return words, self.word_encoder(words, padding_mask=mask, training=training), mask


class NrmsUnified(Nrms):
    """NRMS whose clicks include the documents clicked in searches: the unified variant of USER's paper.

    Its history is longer by the titles a search may carry (three times), and so is its cost.

    Args:
        config, sizes: As in `Nrms`.
    """

    with_searches = True
