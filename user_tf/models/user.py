"""Rank for personalised search and recommendation by one model: USER (Yao et al., CIKM 2021)."""

import keras
from keras import ops

from data_pipeline.common.codes import Task
from user_tf.layers.knrm import Knrm
from user_tf.layers.masking import precise_dtype
from user_tf.layers.rows import take_rows
from user_tf.layers.user.behavior_encoder import BehaviorEncoder
from user_tf.layers.user.history_encoder import HistoryEncoder
from user_tf.layers.user.scorer import Scorer
from user_tf.layers.user.session_encoder import SessionEncoder
from user_tf.layers.user.text_encoder import TextEncoder
from user_tf.models.batch_ops import (
    EncodedPast,
    EncodedTexts,
    encode_buckets,
    match_words,
    padded_history,
    padded_session,
    split_by_length,
    take_history,
)
from user_tf.models.initial_weights import average_user
from user_tf.models.ranker import Ranker


@keras.saving.register_keras_serializable(package="user_tf")
class User(Ranker):
    """Rank by USER over packed tables; each stage encodes every distinct thing of the batch once.

        texts      -> TextEncoder      -> word vectors C [X, L, d], text vectors r [X, d]
        behaviors  -> BehaviorEncoder  -> [N, d]
        sessions   -> SessionEncoder   -> contextual behaviors [S, 5, d]
        targets    -> SessionEncoder   -> I_s [T, d]
                   -> HistoryEncoder   -> I_l [T, d], r_l [T, C, d]
                   -> Knrm, Scorer     -> scores [T, C]

        I_0 = r_Q for a search, e_user for a recommendation
        I_s = last position of Transformer_s([H_s, I_0] + Position + Type)
        I_l = last position of Transformer_h([H_l, I_s] + Position);   r_l likewise from r_D
        p   = Linear([cos(I_s, r_D), cos(I_s, r_l), cos(I_l, r_D), cos(I_l, r_l), KNRM, F])

    with H_s the behaviors of the current session and H_l the contextual behaviors of past sessions.
    The result is that of encoding every target alone; a target's scores depend only on what the
    target points at. Padding is masked in every stage; an empty text, session or history gives a
    zero vector or no weight, never NaN.

    Ablations: without session encoder I_s = I_0, the current session is not seen (as in the paper), and
    the plain vectors of past behaviors go to the history encoder. Without history encoder there are no
    I_l and r_l: f = [cos(I_s, r_D), KNRM, F]. Weights without a gradient do not exist.

    Args:
        config: `ModelConfig`.
        sizes: `Sizes` of the dataset.

    Example:
        >>> from user_tf.config import ModelConfig
        >>> from user_tf.models.ranker import Sizes
        >>> user = User(ModelConfig(width=8), Sizes(vocabulary=10, users=3)).build_from_sizes()
        >>> user.text_encoder.num_heads, user.scorer.linear.kernel.shape[0]
        (8, 5)

    Reference:
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    staged = True

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        transformer = {**config.transformer, "dtype": policy}
        self.text_encoder = TextEncoder(
            sizes.vocabulary,
            config.width,
            num_layers=config.word_layers,
            name="text_encoder",
            **transformer,
        )
        self.text_encoder.embedding.trainable = config.train_words
        self.user_embedding = keras.layers.Embedding(
            sizes.users,
            config.width,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=policy,
            name="user_embedding",
        )
        if config.session_encoder or config.history_encoder:
            self.behavior_encoder = BehaviorEncoder(
                config.co_attention, dtype=policy, name="behavior_encoder"
            )
        if config.session_encoder:
            self.session_encoder = SessionEncoder(
                session_positions=config.session_positions,
                session_types=config.session_types,
                session_passes=config.session_passes,
                num_layers=config.session_layers,
                name="session_encoder",
                **transformer,
            )
        if config.history_encoder:
            self.history_encoder = HistoryEncoder(
                history_positions=config.history_positions,
                num_layers=config.history_layers,
                name="history_encoder",
                **transformer,
            )
        precise = precise_dtype(self.compute_dtype)
        if config.knrm:
            self.knrm = Knrm(dtype=precise, name="knrm")
        hidden_dim = config.head_dim if config.head == "mlp" else 0
        self.scorer = Scorer(config.score_tanh, hidden_dim, dtype=precise, name="scorer")

    @property
    def word_embedding(self):
        return self.text_encoder.embedding

    def unread_weights(self, task):
        return [self.user_embedding.embeddings] if task == Task.SEARCH else []

    def build(self, batch_shape=None):
        """Make the weights of every layer; they do not depend on the sizes of a batch."""
        width = self.config.width
        self.text_encoder.build((None, None))
        self.user_embedding.build((None,))
        rows = (None, None, width)
        if self.config.session_encoder or self.config.history_encoder:
            self.behavior_encoder.build(rows)
        cosines = 1
        if self.config.session_encoder:
            self.session_encoder.build(rows)
        if self.config.history_encoder:
            self.history_encoder.build(rows)
            cosines = 2
        signals = [(None, None, self.sizes.features)]
        if self.config.knrm:
            self.knrm.build(rows)
            signals.insert(0, (None, None, 1))
        self.scorer.build([(None, width)] * cosines, [rows] * cosines, signals)

    def initialize_as_average(self):
        average_user(self)

    def call(self, batch, training=False):
        batch, texts, past = self.encode_tables(batch, training)
        return self.score_past(batch, texts, past, training)

    def score_past(self, batch, texts, past, training=False):
        """Return the scores `[T, C]` of targets with their `EncodedPast`; no behavior is read."""
        return self.scorer.score(self.score_signals(batch, texts, past, training))

    def score_signals(self, batch, texts, past, training=False):
        """Return f, the cosines, KNRM and F that the score weighs, `[T, C, m]`."""
        intents, candidates = self.encode_targets(batch, texts, past, training)
        return self.scorer.features(intents, candidates, self.signals(batch, texts))

    def encode_targets(self, batch, texts, past, training=False):
        """Return the intents [I_s, I_l], each `[T, d]`, and candidates [r_D, r_l], each `[T, C, d]`."""
        intents = [self.encode_intents(batch, texts, past, training)]
        candidates = [take_rows(texts.vectors, batch["candidate_text"])]
        if self.config.history_encoder:
            rows = self.history_encoder(
                ops.concatenate([intents[0][:, None], candidates[0]], axis=1),
                history=past.history,
                padding_mask=past.history_mask,
                longest=self.sizes.history_behaviors,
                training=training,
            )
            intents.append(rows[:, 0])
            candidates.append(rows[:, 1:])
        return intents, candidates

    def attention(self, batch):
        """Return the attention of each target to the user's earlier behaviors, for figures.

            past sessions:   history encoder, from I_s
            current session: session encoder, from I_0

        Args:
            batch: A Batch.

        Returns:
            `[T, n]` over the places of `padded_history`, then of `padded_session`: 0 at padding, of sum
            1 over the behaviors an encoder sees, if any; one that a setting turns off sees none.
        """
        return self.explain(batch)["attention"]

    def explain(self, batch):
        """Return scores, attention, and contributions `[T, C, m]` that sum to scores before a tanh."""
        batch, texts, past = self.encode_tables(batch)
        intents, candidates = self.encode_targets(batch, texts, past)
        signals = self.scorer.features(intents, candidates, self.signals(batch, texts))
        scores, parts = self.scorer.explain(signals)
        attention = self._attention(batch, texts, past, intents[0])
        return {"scores": scores, "attention": attention, "contributions": parts}

    def _attention(self, batch, texts, encoded, intents):
        past, current = (
            ops.zeros_like(places(batch).mask, self.compute_dtype)
            for places in (padded_history, padded_session)
        )
        if self.config.history_encoder:
            past = self.history_encoder.behavior_weights(
                intents[:, None],
                encoded.history,
                encoded.history_mask,
                longest=self.sizes.history_behaviors,
            )[:, 0]
        if self.config.session_encoder:
            session = self.current_session(batch, texts, encoded)
            current = self.session_encoder.behavior_weights(**session)
        return ops.concatenate([past, current], axis=1)

    def encode_tables(self, batch, training=False):
        """Return the Batch with renumbered texts, its `EncodedTexts`, and its `EncodedPast`."""
        buckets, batch = split_by_length(batch)
        texts = self.encode_texts(buckets, training)
        behaviors = self.encode_behaviors(batch, texts)
        return batch, texts, self.encode_past(batch, behaviors, training)

    def encode_texts(self, buckets, training=False):
        """Return `EncodedTexts` of buckets of token ids, see `split_by_length`."""
        return EncodedTexts(*encode_buckets(self.text_encoder, buckets, training))

    def encode_behaviors(self, batch, texts):
        """Return vectors of the distinct behaviors, `[N, d]`; None where no encoder reads them."""
        if not (self.config.session_encoder or self.config.history_encoder):
            return None
        return self.behavior_encoder(
            texts.words,
            vectors=texts.vectors,
            words_mask=texts.mask,
            types=batch["behavior_type"],
            texts=batch["behavior_text"],
            clicked=batch["behavior_clicked"],
            searches=batch.get("clicked_searches"),
            places=batch.get("behavior_place"),
            query_length=batch.get("query_length"),
        )

    def encode_past(self, batch, behaviors, training=False):
        """Return `EncodedPast` of the targets: what their scores need of the users' behaviors."""
        history = history_mask = session = None
        if self.config.history_encoder:
            history, history_mask = self.encode_history(batch, behaviors, training)
        current = padded_session(batch)
        if self.config.session_encoder:
            session = take_rows(behaviors, current.behaviors)
        return EncodedPast(history, history_mask, session, current.types)

    def encode_intents(self, batch, texts, past, training=False):
        """Return the session-level intents I_s of the targets, `[T, d]`."""
        if not self.config.session_encoder:
            return self.initial_intents(batch, texts)
        return self.session_encoder(**self.current_session(batch, texts, past), training=training)

    def initial_intents(self, batch, texts):
        """Return the initial intents I_0 of the targets, `[T, d]`."""
        # A select: multiplying by 0 would let a non-finite vector through.
        return ops.where(
            (batch["task"] == Task.SEARCH)[:, None],
            take_rows(texts.vectors, batch["query_text"]),
            self.user_embedding(batch["user"]),
        )

    def current_session(self, batch, texts, past):
        """Return the call arguments of the session encoder for the targets' current sessions."""
        return {
            "behaviors": past.session,
            "types": past.session_types,
            "padding_mask": past.session_types > 0,
            "target": self.initial_intents(batch, texts),
            "target_types": batch["task"],
        }

    def encode_history(self, batch, behaviors, training=False):
        """Return contextual behaviors of the targets' past sessions, `[T, K, d]`, and their mask."""
        members = batch["session_behaviors"]
        real = members > 0
        sessions = take_rows(behaviors, members)
        if self.config.session_encoder:
            sessions = self.session_encoder(
                sessions,
                types=take_rows(batch["behavior_type"], members),
                padding_mask=real,
                training=training,
            )
        return take_history(batch, sessions), take_history(batch, real)

    def signals(self, batch, texts):
        """Return KNRM, zero for recommendations, and the features F; each `[T, C, m]`."""
        signals = [batch["features"]]
        if self.config.knrm:
            matched = match_words(self.knrm, batch, texts.words, texts.mask)
            signals.insert(0, matched[..., None])
        return signals
