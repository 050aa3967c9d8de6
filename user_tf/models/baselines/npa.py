"""Rank by personalised attention to words and clicks: NPA (Wu et al., KDD 2019)."""

import keras
from keras import ops

from user_tf.layers.masking import masked_softmax, precise
from user_tf.layers.word_convolution import WordConvolution
from user_tf.models.baselines.clicked_history import read_clicks
from user_tf.models.ranker import Ranker

# The width of the queries q_w and q_d in the authors' experiments; nothing in USER corresponds to it.
QUERY_WIDTH = 200


@keras.saving.register_keras_serializable(package="user_tf")
class Npa(Ranker):
    """Rank news by attention to words and clicks that depends on the user's id (NPA).

        c     = WordConvolution(x)
        q_w   = ReLU(V_w e_u + v_w);   k_w = tanh(W_w q_w + w_w)
        r_u(x) = sum_i a_i c_i,        a = softmax_i(c_i . k_w)
        q_d   = ReLU(V_d e_u + v_d);   k_d = tanh(W_d q_d + w_d)
        u     = sum_n b_n r_u(x_n),    b = softmax_n(r_u(x_n) . k_d)   over the clicks x_n
        p     = u . r_u(D)

    with e_u the row of the user. Padding words and places without a click are masked. Without clicks
    u = 0, and all candidates score 0.

    A title has a different vector for every user, so the vectors of titles would take
    `[T, H + C, L, filters]`. They are never computed: the equations need only dot products with one
    vector a target, and these are sums over words, `r . v = sum_i a_i (c_i . v)`. Each distinct text
    is convolved once, a matrix product of targets and words gives all c_i . v, and of these only the
    rows `[T, H + C, L]` of a target's own texts are taken. The largest arrays are `[T, X, L]`.

    Clicks are all browses a target may see; searches, the query and the features F are not read. A
    search target gets a score by the same rule.

    A reconstruction in settings and details: user rows have `width`, there are num_heads x key_dim
    filters (400, as in the authors' experiments), and the attention is our reading of the paper;
    public codes differ from it and from each other.

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `dropout` and `train_words` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Npa(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.filters
        400

    Reference:
        Wu et al., NPA: Neural News Recommendation with Personalized Attention, KDD 2019.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.filters = config.num_heads * config.key_dim
        self.words = WordConvolution(
            sizes.vocabulary,
            config.width,
            self.filters,
            dropout=config.dropout,
            dtype=policy,
            name="words",
        )
        self.words.embedding.trainable = config.train_words
        self.user_embedding = keras.layers.Embedding(
            sizes.users, config.width, dtype=policy, name="user_embedding"
        )

        def dense(width, activation, name):
            return keras.layers.Dense(width, activation=activation, dtype=policy, name=name)

        self.word_query = dense(QUERY_WIDTH, "relu", "word_query")
        self.word_key = dense(self.filters, "tanh", "word_key")
        self.click_query = dense(QUERY_WIDTH, "relu", "click_query")
        self.click_key = dense(self.filters, "tanh", "click_key")

    @property
    def word_embedding(self):
        return self.words.embedding

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        self.words.build((None, None))
        self.user_embedding.build((None,))
        for query in (self.word_query, self.click_query):
            query.build((None, self.config.width))
        for key in (self.word_key, self.click_key):
            key.build((None, QUERY_WIDTH))

    def call(self, batch, training=False):
        words, mask = self.words(batch["text_tokens"], training=training)
        user = self.user_embedding(batch["user"])
        clicks = read_clicks(batch, ops.any(mask, axis=1))
        texts = ops.concatenate([clicks.texts, batch["candidate_text"]], axis=1)

        logits = _products(words, self.word_key(self.word_query(user)), texts)
        attention = masked_softmax(logits, ops.take(mask, texts, axis=0))
        slots = ops.shape(clicks.texts)[1]
        of_clicks, of_candidates = attention[:, :slots], attention[:, slots:]

        key = self.click_key(self.click_query(user))
        logits = ops.sum(of_clicks * _products(words, key, clicks.texts), axis=-1)
        weights = masked_softmax(logits, clicks.mask)[..., None] * of_clicks

        vector = _sum_words(words, weights, clicks.texts)
        products = _products(words, vector, batch["candidate_text"])
        return ops.sum(of_candidates * products, axis=-1)


def _rows(words, texts):
    """Return the row of each text in a table `[T * X, ...]` of every text for every target."""
    targets = ops.cast(ops.arange(ops.shape(texts)[0]), texts.dtype)[:, None]
    return targets * ops.cast(ops.shape(words)[0], texts.dtype) + texts


def _products(words, vectors, texts):
    """Return dot products of one vector a target with the words of its texts, in at least float32.

    Args:
        words: Float tensor `[X, L, f]`.
        vectors: Float tensor `[T, f]`.
        texts: int tensor `[T, n]` -> texts.

    Returns:
        `[T, n, L]`.
    """
    length = ops.shape(words)[1]
    every = ops.einsum("tf,xlf->txl", vectors, words)
    every = ops.reshape(every, (-1, length))
    return precise(ops.take(every, _rows(words, texts), axis=0))


def _sum_words(words, weights, texts):
    """Return the weighted sum of the words of a target's texts, `[T, f]`.

    Args:
        words: Float tensor `[X, L, f]`.
        weights: Float tensor `[T, n, L]`.
        texts: int tensor `[T, n]` -> texts; a text may occur several times.
    """
    targets, number, length = ops.shape(texts)[0], *ops.shape(words)[:2]
    # The transpose of `_products`: add up the weights of a text, then one matrix product.
    summed = ops.segment_sum(
        ops.reshape(weights, (-1, length)),
        ops.reshape(_rows(words, texts), (-1,)),
        num_segments=targets * number,
    )
    summed = ops.reshape(summed, (targets, number, length))
    return ops.einsum("txl,xlf->tf", ops.cast(summed, words.dtype), words)
