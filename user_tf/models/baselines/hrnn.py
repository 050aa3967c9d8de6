"""Rank by hierarchical recurrent networks over sessions of searches: HRNN (Ge et al., CIKM 2018)."""

import keras
from keras import ops

from user_tf.layers.masking import cosine, masked_softmax, precise_dtype
from user_tf.models.baselines.search_history import search_vectors, session_states
from user_tf.models.initial_weights import weigh_cosines
from user_tf.models.ranker import Ranker


@keras.saving.register_keras_serializable(package="user_tf")
class Hrnn(Ranker):
    """Rank searches by a short-term and a long-term recurrent state (HRNN).

        x_i = [q_i ; mean of the titles clicked under q_i]
        h1  = GRU over the searches of a session, from 0 in each session
        h2  = GRU over the last h1 of each past session
        a   = softmax_m( w . tanh(W [q ; h2_m] + b) );   h_long = sum_m a_m h2_m
        p   = Linear([cos(W_L h_long, d), cos(W_S h_short, d), F])

    with q and d the means of their word vectors and h_short the last h1 of the current session.
    Browses, padding and sessions without a visible search are masked. Without an earlier search the
    states and both cosines are 0.

    A reconstruction: no code of the authors is public. Word vectors of `width` are trained (the
    paper takes TF-IDF weighted ones of 1,000), both GRUs have `width` units, and training uses the
    listwise softmax of all rankers here instead of LambdaRank.

    Args:
        config: `ModelConfig`; `width` and `train_words` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Hrnn(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.score.kernel.shape[0]
        4

    Reference:
        Ge et al., Personalizing Search Results Using Hierarchical RNN with Query-aware Attention,
        CIKM 2018.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy, width = self.dtype_policy, config.width
        precise = precise_dtype(self.compute_dtype)
        self.embedding = self.new_word_embedding()
        # Masked steps may be anywhere in a row, which cuDNN does not support.
        gru = {"use_cudnn": False, "dtype": policy}
        self.session_gru = keras.layers.GRU(width, name="session_gru", **gru)
        self.user_gru = keras.layers.GRU(width, return_sequences=True, name="user_gru", **gru)
        self.hidden = keras.layers.Dense(width, activation="tanh", dtype=policy, name="hidden")
        # No bias: the softmax would cancel it.
        self.attention = keras.layers.Dense(1, use_bias=False, dtype=policy, name="attention")
        self.long = keras.layers.Dense(width, use_bias=False, dtype=policy, name="long")
        self.short = keras.layers.Dense(width, use_bias=False, dtype=policy, name="short")
        self.score = keras.layers.Dense(1, use_bias=False, dtype=precise, name="score")

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        width = self.config.width
        self.embedding.build((None, None))
        self.session_gru.build((None, None, 2 * width))
        self.user_gru.build((None, None, width))
        self.hidden.build((None, None, 2 * width))
        for layer in (self.attention, self.long, self.short):
            layer.build((None, None, width))
        self.score.build((None, None, 2 + self.sizes.features))

    def initialize_as_average(self):
        """Let the score begin as the sum of cosines."""
        weigh_cosines(self.score, slice(2))

    def call(self, batch, training=False):
        texts = self.mean_words(batch["text_tokens"])
        searches, real = search_vectors(batch, texts)
        sessions, inside = session_states(
            self.session_gru, searches, real, batch["session_behaviors"]
        )
        past = ops.take(ops.any(inside, axis=1), batch["past_sessions"], axis=0)
        history = self.user_gru(ops.take(sessions, batch["past_sessions"], axis=0), mask=past)
        query = ops.take(texts, batch["query_text"], axis=0)
        long = self.attend(query, history, past)
        short, _ = session_states(self.session_gru, searches, real, batch["current_behaviors"])
        documents = ops.take(texts, batch["candidate_text"], axis=0)
        signals = [
            cosine(self.long(long)[:, None], documents)[..., None],
            cosine(self.short(short)[:, None], documents)[..., None],
        ]
        features = ops.cast(batch["features"], signals[0].dtype)
        return self.score(ops.concatenate([*signals, features], axis=-1))[..., 0]

    def mean_words(self, tokens):
        """Return means of word vectors, `[X, L]` -> `[X, d]`; zero for an empty text."""
        mask = ops.cast(tokens > 0, self.compute_dtype)[..., None]
        return ops.sum(self.embedding(tokens) * mask, axis=1) / ops.maximum(
            ops.sum(mask, axis=1), 1
        )

    def attend(self, query, history, mask):
        """Return the sum of the long-term states, weighted by the query, `[T, d]`."""
        repeated = ops.broadcast_to(query[:, None], ops.shape(history))
        logits = self.attention(self.hidden(ops.concatenate([repeated, history], axis=-1)))
        weights = ops.cast(masked_softmax(logits[..., 0], mask), self.compute_dtype)
        return ops.matmul(weights[:, None], history)[:, 0]
