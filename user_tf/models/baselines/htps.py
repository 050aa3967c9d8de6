"""Rank by hierarchical transformers and a query language model: HTPS (Zhou et al., SIGIR 2020)."""

import keras
from keras import ops

from data_pipeline.common.codes import BehaviorType
from user_tf.layers.knrm import Knrm
from user_tf.layers.masking import cosine, precise, precise_dtype
from user_tf.layers.transformer import Transformer
from user_tf.layers.user.history_encoder import HistoryEncoder
from user_tf.layers.user.session_encoder import SessionEncoder
from user_tf.models.batch_ops import (
    encode_buckets,
    match_words,
    padded_history,
    padded_session,
    split_by_length,
)
from user_tf.models.initial_weights import average_transformer, weigh_cosines
from user_tf.models.ranker import Ranker

# The language model adds one of two vectors to a query: of a past session, or of the current one.
PAST, CURRENT = 1, 2
COSINES, SIGNALS = 5, 8


@keras.saving.register_keras_serializable(package="user_tf")
class Htps(Ranker):
    """Rank searches by the query in the context of history and by a guess of the next query (HTPS).

        q^w = sum_i Trm_w(E_q)_i;   d^w and the units h of history likewise
        q^s = last of Trm_s([h_short, q^w] + Position)
        q^l = last of Trm_l([h_long, q^s] + Position)
        Q   = Trm_q([past queries, current queries, q^w] + Position + Session)
        q^p = last of Trm_p([Q, MASK] + Position)
        z   = sigmoid(W [q^w; q^p; q^l] + b);   q^f = z q^l + (1 - z) q^p
        p   = Linear([cos(q^s, d^w), cos(q^l, d^w), cos(q^p, d^w), cos(q^f, d^w), cos(q^w, d^w),
                      KNRM(E_q, E_d), KNRM(Trm_w(E_q), Trm_w(E_d)), tanh(w . F + b)])

    h_short are the searches of the current session before the target, h_long those of all past
    sessions; padding and other behaviors are masked. The language model (Q and q^p) reads the
    queries alone, the scored one included, and learns to predict the query the user issues next in
    the session: in training the ranker adds

        next_query_weight * sum_targets -mean_w log softmax_w(E q^p)

    over the words w of the next query and the word table E without its padding row. A target
    without a next query adds 0. Only this loss reads the next query, never q^p; Batches contain it
    with `--data.batch.next_queries`.

    The authors' public code leaves out the language model, and cos(q^s, d^w) and cos(q^l, d^w) from
    the score; here all are used. Departures: a unit of history is the sum of q^w and of d^w of the
    titles clicked under it, each text encoded once for the batch, where the paper encodes the
    concatenated words; histories are as long as those of the dataset; training uses the listwise
    softmax of all rankers here instead of LambdaRank. Our choices where the sources are silent: one
    linear layer over all signals (as in the public code), the scored query among those the language
    model reads, and the mean over the words it predicts. Recommendations are scored as searches
    without words.

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `intermediate_dim`, `dropout`,
            `train_words`, `next_query_weight`, the layers (`word_layers` of Trm_w,
            `session_layers` of Trm_s and Trm_q, `history_layers` of Trm_l and Trm_p) and
            `history_positions` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Htps(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.query_encoder.session_positions, ranker.score.kernel.shape[0]
        (True, 8)

    Reference:
        Zhou, Dou and Wen, Encoding History with Context-aware Representation Learning for
        Personalized Search, SIGIR 2020.
    """

    with_browses = False

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        precise_policy = precise_dtype(self.compute_dtype)
        transformer = {**config.transformer, "dtype": policy}
        session = {"num_layers": config.session_layers, **transformer}
        history = {"num_layers": config.history_layers, **transformer}
        positions = config.history_positions
        self.embedding = self.new_word_embedding()
        self.word_encoder = Transformer(config.word_layers, name="word_encoder", **transformer)
        self.short_encoder = HistoryEncoder(positions, name="short_encoder", **session)
        self.long_encoder = HistoryEncoder(positions, name="long_encoder", **history)
        self.query_encoder = SessionEncoder(positions != "off", name="query_encoder", **session)
        self.next_encoder = HistoryEncoder(positions, name="next_encoder", **history)
        self.gate = keras.layers.Dense(1, activation="sigmoid", dtype=policy, name="gate")
        self.embedding_knrm = Knrm(dtype=precise_policy, name="embedding_knrm")
        self.word_knrm = Knrm(dtype=precise_policy, name="word_knrm")
        self.feature = keras.layers.Dense(
            1, activation="tanh", dtype=precise_policy, name="feature"
        )
        # No bias: a listwise softmax cancels it.
        self.score = keras.layers.Dense(1, use_bias=False, dtype=precise_policy, name="score")

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        width = self.config.width
        rows = (None, None, width)
        self.embedding.build((None, None))
        for layer in (
            self.word_encoder,
            self.short_encoder,
            self.long_encoder,
            self.query_encoder,
            self.next_encoder,
            self.embedding_knrm,
            self.word_knrm,
        ):
            layer.build(rows)
        self.mask_vector = self.add_weight((width,), name="mask_vector")
        self.gate.build((None, None, 3 * width))
        self.feature.build((None, None, self.sizes.features))
        self.score.build((None, None, SIGNALS))

    def initialize_as_average(self):
        """Let transformers begin as averages, the score as the sum of cosines."""
        average_transformer(self.word_encoder)
        for encoder in (
            self.short_encoder,
            self.long_encoder,
            self.query_encoder,
            self.next_encoder,
        ):
            average_transformer(encoder.transformer)
        weigh_cosines(self.score, slice(COSINES))

    def call(self, batch, training=False):
        groups, numbered = split_by_length(batch)
        words, texts, words_mask = encode_buckets(self.encode_texts, groups, training)
        # Rows [T, 1, d], as transformers read them and as they broadcast to the candidates.
        query = ops.take(texts, numbered["query_text"], axis=0)[:, None]
        past, current = self.read_history(numbered, texts)
        short = self.short_encoder(query, **current, training=training)
        long = self.long_encoder(short, **past, training=training)
        intent = self.predict_intent(numbered, texts, query, training)
        if training and self.config.next_query_weight:
            # Tokens are those of the Batch, so the pointers must be as well.
            loss = self.next_query_loss(batch, intent[:, 0])
            self.add_loss(self.config.next_query_weight * loss)
        gate = self.gate(ops.concatenate([query, intent, long], axis=-1))
        fused = gate * long + (1 - gate) * intent

        documents = ops.take(texts, numbered["candidate_text"], axis=0)
        embedded, contextual = ops.split(words, 2, axis=-1)
        signals = [
            *(cosine(row, documents) for row in (short, long, intent, fused, query)),
            match_words(self.embedding_knrm, numbered, embedded, words_mask),
            match_words(self.word_knrm, numbered, contextual, words_mask),
            self.feature(batch["features"])[..., 0],
        ]
        return self.score(ops.stack(signals, axis=-1))[..., 0]

    def attention(self, batch):
        """Return the attention of each target to the user's earlier behaviors, for figures.

            past sessions:   Trm_l, from q^s
            current session: Trm_s, from q^w

        Args:
            batch: A Batch.

        Returns:
            Float tensor `[T, n]` over the places of `padded_history`, then of `padded_session`: not
            negative, 0 at places that are not read, of sum 1 over the units of each part, if any.
        """
        groups, batch = split_by_length(batch)
        _, texts, _ = encode_buckets(self.encode_texts, groups)
        query = ops.take(texts, batch["query_text"], axis=0)[:, None]
        past, current = self.read_history(batch, texts)
        short = self.short_encoder(query, **current)
        weights = [
            self.long_encoder.behavior_weights(short, **past),
            self.short_encoder.behavior_weights(query, **current),
        ]
        return ops.concatenate(weights, axis=2)[:, 0]

    def encode_texts(self, tokens, training=False):
        """Return [E ; Trm_w(E)] of words `[X, L, 2 d]`, vectors of texts `[X, d]`, mask `[X, L]`."""
        mask = tokens > 0
        embedded = self.embedding(tokens)
        words = self.word_encoder(embedded, padding_mask=mask, training=training)
        return ops.concatenate([embedded, words], axis=-1), ops.sum(words, axis=1), mask

    def read_history(self, batch, texts):
        """Return h_long and h_short, each `[T, n, d]` with a mask, as a `HistoryEncoder` takes them."""
        # A missing title points at the empty text, which has the vector 0.
        titles = ops.sum(ops.take(texts, batch["behavior_clicked"], axis=0), axis=1)
        units = ops.take(texts, batch["behavior_text"], axis=0) + titles
        types = batch["behavior_type"]
        real = types > 0 if self.with_browses else types == BehaviorType.SEARCH
        longest = self.sizes.history_behaviors, self.sizes.session_behaviors
        return [
            {
                "history": ops.take(units, sequence.behaviors, axis=0),
                "padding_mask": ops.take(real, sequence.behaviors, axis=0),
                "longest": most,
            }
            for sequence, most in zip(
                (padded_history(batch), padded_session(batch)), longest, strict=True
            )
        ]

    def predict_intent(self, batch, texts, query, training=False):
        """Return q^p, the next query expected after those up to the scored one, `[T, 1, d]`."""
        past, current = padded_history(batch).behaviors, padded_session(batch).behaviors
        behaviors = ops.concatenate([past, current], axis=1)
        queries = ops.take(ops.take(texts, batch["behavior_text"], axis=0), behaviors, axis=0)
        real = ops.take(batch["behavior_type"] == BehaviorType.SEARCH, behaviors, axis=0)
        real = ops.concatenate([real, ops.ones_like(real[:, :1])], axis=1)
        sessions = [ops.full_like(past, PAST), ops.full_like(current, CURRENT)]
        sessions.append(ops.full_like(current[:, :1], CURRENT))
        queries = self.query_encoder(
            ops.concatenate([queries, query], axis=1),
            types=ops.concatenate(sessions, axis=1),
            padding_mask=real,
            training=training,
        )
        mask = ops.broadcast_to(ops.cast(self.mask_vector, query.dtype), ops.shape(query))
        return self.next_encoder(
            mask,
            history=queries,
            padding_mask=real,
            longest=self.sizes.history_behaviors + self.sizes.session_behaviors + 1,
            training=training,
        )

    def next_query_loss(self, batch, intent):
        """Return the sum over the real targets of the mean -log p of their next query's words."""
        tokens = ops.take(batch["text_tokens"], batch["next_query_text"], axis=0)
        intent, table = precise(intent), precise(self.embedding.embeddings)
        real = ops.cast(tokens > 0, intent.dtype)
        logits = ops.einsum("td,tld->tl", intent, ops.take(table, tokens, axis=0))
        total = ops.logsumexp(ops.matmul(intent, ops.transpose(table))[:, 1:], axis=1)
        losses = ops.sum((total[:, None] - logits) * real, axis=1)
        losses = losses / ops.maximum(ops.sum(real, axis=1), 1)
        return ops.sum(losses * ops.cast(batch["target_weight"], losses.dtype))


@keras.saving.register_keras_serializable(package="user_tf")
class HtpsUnified(Htps):
    """Rank as `Htps`, with browsed articles as units of history: the unified variant of USER's paper.

    Browses are among the searches in the order of time. Documents clicked in searches are in the
    units of these searches, as in `Htps`. The language model reads queries only.

    Args:
        config, sizes: As in `Htps`.
    """

    with_browses = True
