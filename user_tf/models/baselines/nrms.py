"""NRMS: news recommendation by multi-head self-attention (Wu et al., EMNLP 2019)."""

import keras
from keras import ops

from user_tf.layers.attentive_encoder import AttentiveEncoder
from user_tf.models.baselines.clicked_history import match, read_clicks
from user_tf.models.batch_ops import encode_buckets, split_by_length
from user_tf.models.ranker import Ranker

# Hidden width of additive attention in the authors' experiments; nothing in USER corresponds to it.
ATTENTION_UNITS = 200


class Nrms(Ranker):
    """News recommendation by self-attention over words, then over the clicked titles.

        r(x) = AttentiveEncoder_w(dropout(E_x));   u = AttentiveEncoder_u(r(clicks));   p = u . r(D)

    with E_x the embeddings of the words of x. Every distinct text is encoded once, and every real
    word and click is masked in: the public codes let padding take part. Without clicks u = 0, and
    all candidates score 0.

    Clicks are all browses a target may see; searches, the query, the user's id and the features F
    are not read. A search target gets a score by the same rule.

    A reconstruction in its settings: num_heads x key_dim is that of USER's attention (400), where
    the authors' experiments have other splits; the hidden width 200 is theirs.

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `dropout` and `train_words` are used.
        sizes: `Sizes` of the dataset.
        embedding: `keras.layers.Embedding` of words that is another ranker's too; None: its own.
    """

    with_searches = False

    def __init__(self, config, sizes, embedding=None, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.embedding = embedding or self.new_word_embedding()
        self.dropout = keras.layers.Dropout(config.dropout, dtype=policy, name="dropout")
        attentive = (config.num_heads, config.key_dim, config.dropout, ATTENTION_UNITS)
        self.word_encoder = AttentiveEncoder(*attentive, dtype=policy, name="word_encoder")
        self.click_encoder = AttentiveEncoder(*attentive, dtype=policy, name="click_encoder")

    def build(self, batch_shape=None):
        """Makes every layer's weights; they do not depend on the sizes of a batch."""
        if not self.embedding.built:
            self.embedding.build((None, None))
        self.word_encoder.build((None, None, self.config.width))
        self.click_encoder.build((None, None, self.config.num_heads * self.config.key_dim))

    def call(self, batch, training=False):
        batch, titles, clicks, mask = self.encode_clicks(batch, training)
        users = self.click_encoder(clicks, padding_mask=mask, training=training)
        return match(users, ops.take(titles, batch["candidate_text"], axis=0))

    def attention(self, batch):
        """Attention of each target to the user's earlier behaviors, for drawing.

        Weights of the additive attention over clicks; a search has the sum of its clicks.

        Args:
            batch: A Batch.

        Returns:
            Float tensor `[T, n]` over the places of `padded_history`, then of `padded_session`: not
            negative, 0 where nothing was clicked, of sum 1 where anything was.
        """
        _, _, clicks, mask = self.encode_clicks(batch)
        weights = self.click_encoder.pooling_weights(clicks, mask)
        behaviors = batch["past_sessions"].shape[1] * batch["session_behaviors"].shape[1]
        behaviors += batch["current_behaviors"].shape[1]
        return ops.sum(ops.reshape(weights, (-1, behaviors, weights.shape[1] // behaviors)), axis=2)

    def encode_clicks(self, batch, training=False):
        """The Batch with renumbered texts, their vectors `[X, d]`, clicks `[T, H, d]` and mask."""
        texts, batch = split_by_length(batch)
        _, titles, mask = encode_buckets(self.encode_texts, texts, training)
        clicks = read_clicks(batch, ops.any(mask, axis=1), searches=self.with_searches)
        return batch, titles, ops.take(titles, clicks.texts, axis=0), clicks.mask

    def encode_texts(self, tokens, training=False):
        """Words `[X, L, width]`, titles `[X, num_heads * key_dim]` and mask of the words."""
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
