"""Rank by personal word embeddings: PEPS (Yao, Dou and Wen, SIGIR 2020)."""

import keras
from keras import ops

from user_tf.layers.knrm import Knrm
from user_tf.layers.masking import cosine, precise_dtype
from user_tf.layers.multi_head_attention import MultiHeadAttention
from user_tf.layers.personal_embedding import PersonalEmbedding
from user_tf.models.batch_ops import for_searches
from user_tf.models.initial_weights import average_attention, weigh_cosines
from user_tf.models.ranker import Ranker

VIEWS = ("global", "personal", "global_context", "personal_context")


@keras.saving.register_keras_serializable(package="user_tf")
class Peps(Ranker):
    """Rank searches with word vectors of each user's own (PEPS).

        G_x  = word vectors of the text x;      P_x  = PersonalEmbedding_u(G_x)
        GC_x = MultiHeadAttention(G_x);         PC_x = MultiHeadAttention'(P_x)
        f_V  = KNRM_V(V_q, V_d)                 for the views V = G, P, GC, PC
        f_QR = cos(GRU(P_q), tanh(W sum_i P_d,i))
        p    = Linear([f_G, f_P, f_GC, f_PC, f_QR, F])

    with u the target's user. Queries and documents share all layers of a view. Padding words are
    masked everywhere. For a recommendation, which has no query, every f is 0.

    The user's rows hold all it knows of a user: behaviors before the target are not read, and for the
    unknown user the personal views are the global words. A text has different personal vectors for
    every user, so all views are computed for each target's own texts, `[T, 1 + C, L, d]`; with
    row subsets, for searches only. The texts of histories, most of a batch, are not encoded. The
    largest arrays are the projections `[T (1 + C), L, num_heads * key_dim]` of the attention.

    A reconstruction in these points. Personal rows are hashed (`PersonalEmbedding`) and start at
    the global ones, where the paper filters words and continues word2vec on each user's log.
    Training uses the listwise softmax of all rankers here instead of LambdaRank, without the second
    task of predicting the next query. F enters the last layer as it does in all rankers here, not
    squashed to tanh(w . F).

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `dropout`, `personal_rows` and
            `train_words` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Peps(ModelConfig(width=8, personal_rows=10), sizes).build_from_sizes()
        >>> ranker.score.kernel.shape[0]
        7

    Reference:
        Yao, Dou and Wen, Employing Personal Word Embeddings for Personalized Search, SIGIR 2020.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy, width = self.dtype_policy, config.width
        precise = precise_dtype(self.compute_dtype)
        self.embedding = self.new_word_embedding()
        self.personal_embedding = PersonalEmbedding(
            config.personal_rows, dtype=policy, name="personal_embedding"
        )
        self.global_attention, self.personal_attention = (
            MultiHeadAttention(
                config.num_heads, config.key_dim, config.dropout, dtype=policy, name=name
            )
            for name in ("global_attention", "personal_attention")
        )
        self.knrms = [Knrm(dtype=precise, name=f"{view}_knrm") for view in VIEWS]
        # No cuDNN: it needs queries that are not empty, and XLA does not compile it.
        self.query_gru = keras.layers.GRU(width, use_cudnn=False, dtype=policy, name="query_gru")
        self.document = keras.layers.Dense(
            width, activation="tanh", use_bias=False, dtype=policy, name="document"
        )
        self.score = keras.layers.Dense(1, use_bias=False, dtype=precise, name="score")

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        width = self.config.width
        self.embedding.build((None, None))
        for layer in (
            self.personal_embedding,
            self.global_attention,
            self.personal_attention,
            *self.knrms,
            self.query_gru,
            self.document,
        ):
            layer.build((None, None, width))
        self.score.build((None, None, len(VIEWS) + 1 + self.sizes.features))

    def initialize_as_average(self):
        """Let attention begin as an average, the score as the cosine."""
        average_attention(self.global_attention)
        average_attention(self.personal_attention)
        weigh_cosines(self.score, slice(len(VIEWS), len(VIEWS) + 1))

    def call(self, batch, training=False):
        texts = ops.concatenate([batch["query_text"][:, None], batch["candidate_text"]], axis=1)

        def match(users, texts):
            return self.match(users, ops.take(batch["text_tokens"], texts, axis=0), training)

        signals = for_searches(batch, match, batch["user"], texts)
        features = ops.cast(batch["features"], signals.dtype)
        return self.score(ops.concatenate([signals, features], axis=-1))[..., 0]

    def match(self, users, tokens, training=False):
        """Return the signals f of queries and their candidates.

        Args:
            users: int tensor `[Q]`.
            tokens: int tensor `[Q, 1 + C, L]`, each query before its candidates.
            training: True to apply dropout. Default: False.

        Returns:
            `[Q, C, 5]` in at least float32.
        """
        number, length = ops.shape(tokens)[1:]
        mask = tokens > 0
        words = self.embedding(tokens)
        personal = self.personal_embedding(words, tokens=tokens, users=users[:, None])

        # The texts of all targets one after the other, each query before its candidates.
        texts_mask = ops.reshape(mask, (-1, length))
        texts = [ops.reshape(view, (-1, length, self.config.width)) for view in (words, personal)]
        contexts = [
            attend(view, padding_mask=texts_mask, training=training)
            for attend, view in zip(
                (self.global_attention, self.personal_attention), texts, strict=True
            )
        ]
        rows = ops.reshape(ops.arange(ops.shape(texts_mask)[0]), (-1, number))
        signals = [
            knrm(view, words_mask=texts_mask, queries=rows[:, 0], candidates=rows[:, 1:])
            for knrm, view in zip(self.knrms, [*texts, *contexts], strict=True)
        ]

        query = self.query_gru(personal[:, 0], mask=mask[:, 0])
        real = ops.cast(mask, personal.dtype)[..., None]
        documents = self.document(ops.sum(personal * real, axis=2)[:, 1:])
        signals.append(cosine(query[:, None], documents))
        return ops.stack(signals, axis=-1)
