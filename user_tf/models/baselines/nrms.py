"""Rank by self-attention over words and clicks: NRMS (Wu et al., EMNLP 2019)."""

import keras
from keras import ops

from user_tf.layers.attentive_encoder import AttentiveEncoder
from user_tf.models.baselines.clicked_history import match, read_clicks
from user_tf.models.batch_ops import encode_buckets, split_by_length
from user_tf.models.ranker import Ranker

# Hidden width of additive attention in the authors' experiments; nothing in USER corresponds to it.
ATTENTION_UNITS = 200


@keras.saving.register_keras_serializable(package="user_tf")
class Nrms(Ranker):
    """Rank news by self-attention over words, then over the clicked titles (NRMS).

        r(x) = AttentiveEncoder_w(dropout(E_x));   u = AttentiveEncoder_u(r(clicks));   p = u . r(D)

    with E_x the embeddings of the words of x. Every distinct text is encoded once. Padding words and
    places without a click are masked, unlike in the public codes. Without clicks u = 0, and all
    candidates score 0.

    Clicks are all browses a target may see; searches, the query, the user's id and the features F
    are not read. A search target gets a score by the same rule.

    A reconstruction in its settings: num_heads x key_dim is that of USER's attention (400), where
    the authors' experiments have other splits; the hidden width 200 is theirs.

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `dropout` and `train_words` are used.
        sizes: `Sizes` of the dataset.
        embedding: `keras.layers.Embedding` of words, shared with another ranker. Default: its own.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Nrms(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.click_encoder.num_heads
        8

    Reference:
        Wu et al., Neural News Recommendation with Multi-Head Self-Attention, EMNLP 2019.
    """

    with_searches = False

    def __init__(self, config, sizes, embedding=None, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.embedding = embedding or self.new_word_embedding()
        self.dropout_layer = keras.layers.Dropout(config.dropout, dtype=policy, name="dropout")
        attentive = (config.num_heads, config.key_dim, config.dropout, ATTENTION_UNITS)
        self.word_encoder = AttentiveEncoder(*attentive, dtype=policy, name="word_encoder")
        self.click_encoder = AttentiveEncoder(*attentive, dtype=policy, name="click_encoder")

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        if not self.embedding.built:
            self.embedding.build((None, None))
        self.word_encoder.build((None, None, self.config.width))
        self.click_encoder.build((None, None, self.config.num_heads * self.config.key_dim))

    def call(self, batch, training=False):
        batch, titles, clicks, mask = self.encode_clicks(batch, training)
        users = self.click_encoder(clicks, padding_mask=mask, training=training)
        return match(users, ops.take(titles, batch["candidate_text"], axis=0))

    def attention(self, batch):
        """Return the attention of each target to the user's earlier behaviors, for figures.

        These are the weights of the additive attention over clicks; a search has the sum of its clicks.

        Args:
            batch: A Batch.

        Returns:
            Float tensor `[T, n]` over the places of `padded_history`, then of `padded_session`: not
            negative, 0 without a click, of sum 1 if there is any click.
        """
        _, _, clicks, mask = self.encode_clicks(batch)
        weights = self.click_encoder.pooling_weights(clicks, mask)
        clicks_a_behavior = ops.shape(batch["behavior_clicked"])[1] if self.with_searches else 1
        slots = ops.shape(weights)[1] // clicks_a_behavior
        return ops.sum(ops.reshape(weights, (-1, slots, clicks_a_behavior)), axis=2)

    def encode_clicks(self, batch, training=False):
        """Return the Batch with renumbered texts, their vectors `[X, d]`, clicks `[T, H, d]` and mask."""
        texts, batch = split_by_length(batch)
        _, titles, mask = encode_buckets(self.encode_texts, texts, training)
        clicks = read_clicks(batch, ops.any(mask, axis=1), searches=self.with_searches)
        return batch, titles, ops.take(titles, clicks.texts, axis=0), clicks.mask

    def encode_texts(self, tokens, training=False):
        """Return words `[X, L, width]`, titles `[X, num_heads * key_dim]` and mask of the words."""
        mask = tokens > 0
        words = self.dropout_layer(self.embedding(tokens), training=training)
        return words, self.word_encoder(words, padding_mask=mask, training=training), mask


@keras.saving.register_keras_serializable(package="user_tf")
class NrmsUnified(Nrms):
    """Rank as `Nrms`, with documents clicked in searches as clicks: the unified variant of USER's paper.

    Its history is longer by the titles a search may carry (three times), and so is its cost.

    Args:
        config, sizes: As in `Nrms`.
    """

    with_searches = True
