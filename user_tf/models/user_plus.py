"""USER+: USER's score and a residual that compares single behaviors with candidates."""

from typing import Any, NamedTuple

import keras
from keras import ops

from data_pipeline.common.codes import BehaviorType, Task
from user_tf.config import USER_PLUS_PARTS
from user_tf.layers.masking import count_positions, normalize, precise_dtype
from user_tf.layers.user_plus.aspect_encoder import AspectEncoder
from user_tf.layers.user_plus.behavior_memory import BehaviorMemory
from user_tf.layers.user_plus.kernel_match import AspectKernel, KernelMatch
from user_tf.layers.user_plus.list_context import ListContext
from user_tf.layers.user_plus.residual_head import ResidualHead, centre, places
from user_tf.layers.user_plus.token_dropout import TokenDropout
from user_tf.models.batch_ops import padded_history, padded_session, split_by_length
from user_tf.models.user import User

FEATURE_LIMIT = 5.0
VARIANTS = ("features", "all")
"""Parts a score may have: the head over F alone, or also what is read in texts."""


class Events(NamedTuple):
    """Texts that a user met before each target, a place each.

    Attributes:
        texts: int `[T, E]` -> texts.
        documents: int `[T, E]`, 0 where none is known.
        age: float `[T, E]`: how many behaviors of the user are later.
        groups: G times bool `[T, E]`: events of a kind, of the current session or of past ones.
    """

    texts: Any
    documents: Any
    age: Any
    groups: Any


@keras.saving.register_keras_serializable(package="user_tf")
class UserPlus(User):
    """USER and, per candidate D, what the user's single behaviors say of it.

        score(D) = USER(D) + head(x(D))
        x = centred [cosines, KNRM, F, match, same, near, query] and the places by F

        match   m_ag(D): kernel density of D among the behaviors of group g (`KernelMatch`); groups are
                browses, queries, clicked titles, each of the current session and of past ones, in
                each memory h (`BehaviorMemory`)
        same    log(1 + sum_e w_he [e is D]) of browses and of clicks; 0 where ids are not known
        near    the density of D among the other candidates of its list (`ListContext`)
        query   log k_a(D, q)
        places  by each feature of F, 1 / (1 + how many candidates of the list are better)

    Some logs have nothing to read in their texts (titles are ids). So for some targets, drawn at
    random in training, all but F is left out, which makes each of `VARIANTS` a ranker of its own;
    validation chooses one (`choose_variant`).

    Args:
        config: `ModelConfig`; `parts`, `aspects`, `aspect_dim`, `head_dim`, `token_dropout` and
            `text_dropout` beside those of `User`.
        sizes: `Sizes` of the dataset.
    """

    # Scores need single behaviors.
    staged = False
    variants = VARIANTS

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        precise_type = precise_dtype(self.compute_dtype)
        self.token_dropout = TokenDropout(config.token_dropout, name="token_dropout")
        self.aspect_encoder = AspectEncoder(
            config.aspects, config.aspect_dim, dtype=self.dtype_policy, name="aspect_encoder"
        )
        self.memory = BehaviorMemory(dtype=precise_type, name="memory")
        self.kernel = AspectKernel(dtype=precise_type, name="kernel")
        self.text_match = KernelMatch(dtype=precise_type, name="text_match")
        self.click_match = KernelMatch(dtype=precise_type, name="click_match")
        self.list_context = ListContext(dtype=precise_type, name="list_context")
        self.head = ResidualHead(config.head_dim, config.dropout, dtype=precise_type, name="head")
        self.text_seeds = keras.random.SeedGenerator()

    def build(self, batch_shape=None):
        """Create the weights of every layer; they do not depend on the sizes of a batch."""
        super().build(batch_shape)
        aspects, width = self.config.aspects, self.config.aspect_dim
        vectors = (None, None, aspects, width)
        self.aspect_encoder.build((None, None, self.config.width))
        self.memory.build((None, None))
        memories = self.memory.decay.shape[0]
        self.kernel.build(vectors)
        kernels = (None, aspects, None, None)
        self.text_match.build(kernels, (None, 4 * memories, None))
        self.click_match.build(kernels, (None, 2 * memories, None))
        self.list_context.build(kernels)
        widths = {
            "match": 6 * memories * aspects,
            "same": 2 * memories,
            "near": aspects,
            "query": aspects,
            "places": self.sizes.features,
        }
        signals = self.scorer.linear.kernel.shape[0] + sum(widths[x] for x in self.config.parts)
        self.head.build((None, None, signals), (None, len(Task) + 6 * memories))
        self.variant = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="variant"
        )
        self.choose_variant("all")

    def choose_variant(self, name):
        """Let the score have the parts of a variant from now on; training always has them all."""
        self.variant.assign(self.variants.index(name))

    def call(self, batch, training=False):
        batch = self.token_dropout(batch, training=training)
        aspects = self.encode_aspects(batch)
        batch, texts, past = self.encode_tables(batch, training)
        features = self.score_signals(batch, texts, past, training)
        found, known = self.match(batch, aspects, texts.vectors, ops.any(texts.mask, axis=1))
        reads = self.reads_texts(batch, training)
        mask = batch["candidate_mask"]
        own, count = features.shape[-1] - self.sizes.features, self.sizes.features
        clipped = ops.clip(features[..., own:], -FEATURE_LIMIT, FEATURE_LIMIT)
        found = {part: centre(signal, mask) * reads for part, signal in found.items()}
        found["places"] = places(clipped, mask)
        signals = [
            centre(features[..., :own], mask) * reads,
            centre(clipped, mask) if count else clipped,
            *(found[part] for part in USER_PLUS_PARTS if part in self.config.parts),
        ]
        tasks = ops.one_hot(batch["task"] - 1, len(Task), dtype=known.dtype)
        residual = self.head(
            ops.concatenate(signals, axis=-1),
            context=ops.concatenate([tasks, known], axis=-1),
            tasks=batch["task"],
            training=training,
        )
        return self.scorer.score(features) * reads[..., 0] + residual

    def encode_aspects(self, batch):
        """Return the aspect vectors of the distinct texts, `[X, A, w]`."""
        groups, _ = split_by_length(batch)
        return ops.concatenate(
            [
                self.aspect_encoder(self.word_embedding(tokens), words_mask=tokens > 0)
                for tokens in groups
            ]
        )

    def explain_match(self, batch):
        """Return what is compared of single behaviors and candidates, and by which words.

        Args:
            batch: A Batch without buckets of short texts.

        Returns:
            `shares` `[X, A, L]`, of each word in each aspect of a text; `likeness` `[T, C, E, A]`,
            log k_a of a candidate and the title or query of a behavior: E places of past sessions,
            then those of the current one.
        """
        tokens = batch["text_tokens"]
        words, words_mask = self.word_embedding(tokens), tokens > 0
        aspects = self.aspect_encoder(words, words_mask=words_mask)
        candidates = ops.take(aspects, batch["candidate_text"], axis=0)
        sequences = padded_history(batch), padded_session(batch)
        slots = ops.concatenate([sequence.behaviors for sequence in sequences], axis=1)
        texts = ops.take(batch["behavior_text"], slots, axis=0)
        kernel = self.kernel(candidates, y=ops.take(aspects, texts, axis=0))
        return {
            "shares": self.aspect_encoder.shares(words, words_mask),
            "likeness": ops.transpose(ops.log(kernel), (0, 2, 3, 1)),
        }

    def reads_texts(self, batch, training):
        """Return 1 for targets whose texts count, otherwise 0, `[T, 1, 1]`."""
        precise_type = precise_dtype(self.compute_dtype)
        targets = ops.shape(batch["task"])[0]
        reads = ops.repeat((self.variant == VARIANTS.index("all"))[None], targets)
        if training:
            drawn = keras.random.uniform((targets,), dtype=precise_type, seed=self.text_seeds)
            reads = drawn >= self.config.text_dropout
        return ops.cast(reads, precise_type)[:, None, None]

    def match(self, batch, aspects, vectors, real_texts):
        """Compare every candidate with single behaviors, with its list and with the query.

        Args:
            batch: A Batch, renumbered by `split_by_length`.
            aspects: Float tensor `[X, A, w]`.
            vectors: Float tensor `[X, d]`, text vectors.
            real_texts: Boolean tensor `[X]`: texts that are not empty.

        Returns:
            Signals `[T, C, S]` by part, and how much is known of each group, `[T, 6 * H]`.
        """
        kernel, searching = self.kernel, batch["task"] == Task.SEARCH
        candidates = ops.take(aspects, batch["candidate_text"], axis=0)
        directions = normalize(vectors)
        query = ops.take(directions, batch["query_text"], axis=0)
        match, same, known = [], [], []
        for layer, events in zip(
            (self.text_match, self.click_match), self.read_events(batch), strict=True
        ):
            weights = self.weigh(events, query, directions, searching, real_texts)
            texts = ops.take(aspects, events.texts, axis=0)
            match.append(layer(kernel(candidates, y=texts), weights=weights))
            same.append(self.same_document(batch["candidate_doc"], events.documents, weights))
            known.append(ops.sum(weights, axis=-1))
        found = {
            "match": ops.concatenate(match, axis=-1),
            "same": ops.concatenate(same, axis=-1),
            "near": self.list_context(
                kernel(candidates, y=candidates),
                ranks=batch["candidate_rank"],
                padding_mask=batch["candidate_mask"],
            ),
            "query": self.match_query(
                candidates, ops.take(aspects, batch["query_text"], axis=0), searching
            ),
        }
        return found, ops.log1p(ops.concatenate(known, axis=1))

    def read_events(self, batch):
        """Return `Events` of browses and queries, and of titles clicked in searches."""
        history, session = padded_history(batch), padded_session(batch)
        slots = ops.concatenate([history.behaviors, session.behaviors], axis=1)
        mask = ops.concatenate([history.mask, session.mask], axis=1)
        current = ops.arange(ops.shape(slots)[1]) >= ops.shape(history.mask)[1]
        position = count_positions(mask)
        age = ops.cast(ops.max(position, axis=1, keepdims=True) - position, self.kernel.dtype)
        types = ops.take(batch["behavior_type"], slots, axis=0)

        def groups(kinds):
            return [
                ops.logical_and(types == kind, when)
                for kind in kinds
                for when in (current, ops.logical_not(current))
            ]

        clicks = ops.shape(batch["behavior_clicked"])[1]

        def clicked(field):
            return ops.reshape(
                ops.take(batch[field], slots, axis=0), (-1, ops.shape(slots)[1] * clicks)
            )

        return (
            Events(
                ops.take(batch["behavior_text"], slots, axis=0),
                ops.take(batch["behavior_doc"], slots, axis=0),
                age,
                groups(BehaviorType),
            ),
            Events(
                clicked("behavior_clicked"),
                clicked("behavior_clicked_docs"),
                ops.repeat(age, clicks, axis=1),
                [ops.repeat(group, clicks, axis=1) for group in groups([BehaviorType.SEARCH])],
            ),
        )

    def weigh(self, events, query, directions, searching, real_texts):
        """Return the weights of events in each group and memory, `[T, G * H, E]`."""
        titles = ops.take(directions, events.texts, axis=0)
        weights = self.memory(
            events.age,
            likeness=ops.einsum("td,ted->te", query, titles),
            searching=searching,
            padding_mask=ops.take(real_texts, events.texts, axis=0),
        )
        return ops.concatenate(
            [weights * ops.cast(group, weights.dtype)[:, None] for group in events.groups], axis=1
        )

    def match_query(self, candidates, query, searching):
        """Return log k_a(D, q), `[T, C, A]`; 0 for recommendations."""
        logs = ops.log(self.kernel(candidates, y=query[:, None]))[..., 0]
        return ops.where(searching[:, None, None], ops.transpose(logs, (0, 2, 1)), 0.0)

    def same_document(self, candidates, documents, weights):
        """Return log(1 + sum_e w_he [e is D]), `[T, C, H]`; ids of 0 are not known.

        Args:
            candidates: int tensor `[T, C]`.
            documents: int tensor `[T, E]`.
            weights: Float tensor `[T, G * H, E]`, summed over the groups.
        """
        memories = self.memory.decay.shape[0]
        weights = ops.reshape(
            weights, (-1, weights.shape[1] // memories, memories, ops.shape(documents)[1])
        )
        weights = ops.sum(weights, axis=1)
        same = ops.logical_and(
            candidates[:, :, None] == documents[:, None, :], documents[:, None, :] > 0
        )
        found = ops.matmul(ops.cast(same, weights.dtype), ops.transpose(weights, (0, 2, 1)))
        return ops.log1p(found)
