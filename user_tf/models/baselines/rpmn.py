"""Rank by memory networks for re-finding: RPMN (Zhou, Dou and Wen, WSDM 2020), a reconstruction."""

import keras
from keras import ops

from user_tf.layers.additive_attention import AdditiveAttention
from user_tf.layers.knrm import Knrm
from user_tf.layers.masking import cosine, masked_softmax, precise_dtype
from user_tf.models.baselines.search_history import search_vectors, session_states
from user_tf.models.batch_ops import match_words, padded_history, padded_session, take_history
from user_tf.models.initial_weights import weigh_cosines
from user_tf.models.ranker import Ranker


@keras.saving.register_keras_serializable(package="user_tf")
class Rpmn(Ranker):
    """Rank searches by three memories of the user's past searches (RPMN).

        query memory:     o_q = sum_i softmax_i(q . q_i / sqrt(d)) d_i;     s_1 = cos(o_q, d)
        document memory:  o_d = sum_j softmax_j(d . c_j / sqrt(d)) q_j;     s_2 = cos(o_d, q)
        intent memory:    g = GRU over [q_i ; d_i] of the current session;
                          o_s = sum_m softmax_m(g . g_m / sqrt(d)) e_m
                          s_3 = cos(W o_s, d);   s_4 = cos(W' g, d)
        p = Linear([s_1, s_2, s_3, s_4, cos(q, d), KNRM(q, d), F])

    with q_i the searches before the target that had clicks, d_i the mean of the titles clicked under
    them, c_j the clicked titles one by one and q_j the query each was clicked under; g_m the states
    of the same GRU after every search of the past sessions, e_m the last state of that session. Text
    vectors are additive attention over word vectors. Browses and padding are masked, in the first two
    memories searches without clicks too; an empty memory gives 0.

    A reconstruction from the abstract and the later work of the group: the text and the code of the
    paper were not available.

    Args:
        config: `ModelConfig`; `width` and `train_words` are used.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> sizes = Sizes(vocabulary=10, users=3, features=2)
        >>> ranker = Rpmn(ModelConfig(width=8), sizes).build_from_sizes()
        >>> ranker.score.kernel.shape[0]
        8

    Reference:
        Zhou, Dou and Wen, Enhancing Re-finding Behavior with External Memories for Personalized
        Search, WSDM 2020.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy, width = self.dtype_policy, config.width
        precise = precise_dtype(self.compute_dtype)
        self.embedding = self.new_word_embedding()
        self.pool = AdditiveAttention(dtype=policy, name="pool")
        # Masked steps may be anywhere in a row, which cuDNN does not support.
        self.gru = keras.layers.GRU(
            width, return_sequences=True, use_cudnn=False, dtype=policy, name="gru"
        )
        self.past_intent = keras.layers.Dense(
            width, use_bias=False, dtype=policy, name="past_intent"
        )
        self.intent = keras.layers.Dense(width, use_bias=False, dtype=policy, name="intent")
        self.knrm = Knrm(dtype=precise, name="knrm")
        self.score = keras.layers.Dense(1, use_bias=False, dtype=precise, name="score")

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        width = self.config.width
        self.embedding.build((None, None))
        self.pool.build((None, None, width))
        self.gru.build((None, None, 2 * width))
        self.past_intent.build((None, None, width))
        self.intent.build((None, None, width))
        self.knrm.build((None, None, width))
        self.score.build((None, None, 6 + self.sizes.features))

    def initialize_as_average(self):
        """Let the score begin as the sum of cosines."""
        weigh_cosines(self.score, slice(5))

    def call(self, batch, training=False):
        mask = batch["text_tokens"] > 0
        words = self.embedding(batch["text_tokens"])
        texts = self.pool(words, padding_mask=mask)
        searches, real = search_vectors(batch, texts)
        query = ops.take(texts, batch["query_text"], axis=0)
        documents = ops.take(texts, batch["candidate_text"], axis=0)

        past = ops.concatenate(
            [padded_history(batch).behaviors, padded_session(batch).behaviors], axis=1
        )
        state, intents = self.read_intents(batch, searches, real)
        signals = [
            cosine(self.read_queries(query, past, searches, real, batch)[:, None], documents),
            cosine(self.read_documents(documents, past, texts, real, batch), query[:, None]),
            cosine(self.past_intent(intents)[:, None], documents),
            cosine(self.intent(state)[:, None], documents),
            cosine(query[:, None], documents),
            match_words(self.knrm, batch, words, mask),
        ]
        features = ops.cast(batch["features"], signals[0].dtype)
        stacked = ops.concatenate([ops.stack(signals, axis=-1), features], axis=-1)
        return self.score(stacked)[..., 0]

    def read(self, keys, values, mask, queries):
        """Read a memory: `[T, M, d]` keys and values, `[T, Q, d]` queries -> `[T, Q, d]`."""
        logits = ops.matmul(queries, ops.transpose(keys, (0, 2, 1))) * self.config.width**-0.5
        weights = ops.cast(masked_softmax(logits, mask[:, None]), self.compute_dtype)
        return ops.matmul(weights, values)

    def read_queries(self, query, past, searches, real, batch):
        """Return o_q, `[T, d]`."""
        clicked = ops.logical_and(real, ops.any(batch["behavior_clicked"] > 0, axis=1))
        keys, values = ops.split(ops.take(searches, past, axis=0), 2, axis=-1)
        return self.read(keys, values, ops.take(clicked, past, axis=0), query[:, None])[:, 0]

    def read_documents(self, documents, past, texts, real, batch):
        """Return o_d of every candidate, `[T, C, d]`."""
        titles = ops.take(batch["behavior_clicked"], past, axis=0)
        queries = ops.take(texts, ops.take(batch["behavior_text"], past, axis=0), axis=0)
        mask = ops.logical_and(titles > 0, ops.take(real, past, axis=0)[..., None])
        clicks, width = ops.shape(titles)[2], self.config.width
        slots = ops.shape(past)[1] * clicks
        values = ops.repeat(queries, clicks, axis=1)
        keys = ops.reshape(ops.take(texts, titles, axis=0), (-1, slots, width))
        return self.read(keys, values, ops.reshape(mask, (-1, slots)), documents)

    def read_intents(self, batch, searches, real):
        """Return g and o_s, each `[T, d]`."""
        states, inside = session_states(self.gru, searches, real, batch["session_behaviors"])
        # A masked step repeats the state before it, so the last one is the session's.
        ends = ops.broadcast_to(states[:, -1:], ops.shape(states))
        current, _ = session_states(self.gru, searches, real, batch["current_behaviors"])
        state = current[:, -1]
        memory = [take_history(batch, x) for x in (states, ends, inside)]
        return state, self.read(*memory, state[:, None])[:, 0]
