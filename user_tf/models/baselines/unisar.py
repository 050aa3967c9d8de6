"""UniSAR: transitions between searching and browsing (Shi et al., SIGIR 2024)."""

import keras
from keras import ops

from data_pipeline.common.codes import BehaviorType, Task
from user_tf.layers.masked_block import MaskedBlock
from user_tf.layers.masking import count_positions, masked_softmax, normalize, precise_dtype
from user_tf.layers.positions import Positions
from user_tf.layers.progressive_experts import ProgressiveExperts
from user_tf.layers.user.text_encoder import TextEncoder
from user_tf.models.batch_ops import (
    encode_buckets,
    padded_history,
    padded_session,
    split_by_length,
)
from user_tf.models.ranker import Ranker

TRANSITION_TEMPERATURE, CLICK_TEMPERATURE = 0.1, 0.5
TRANSITION_WEIGHT, CLICK_WEIGHT = 0.1, 0.001
PREDICTION = (200, 80)


@keras.saving.register_keras_serializable(package="user_tf")
class Unisar(Ranker):
    """UniSAR over packed tables: what follows a search or a browse, of the same kind and of the other.

        extraction  s2s, b2b: transformers over searches alone and over browses alone
                    s2b, b2s: a transformer over all behaviors, each attending to the OTHER kind only
        alignment   InfoNCE of the means of b2b and s2b (of s2s and b2s) of a user against those of
                    the batch; InfoNCE of a query and the titles clicked under it
        fusion      decoder layers: b2b with memory s2b, s2s with memory b2s; then attention of the
                    candidate over each, softmax(h W d)
        prediction  PLE over [browse interest, search interest, candidate, user, query], then an MLP

    An adaptation: the authors' model reads ids, this one the vectors of a shared text encoder; it is
    trained by the listwise softmax as all rankers are, and positions are sinusoids. A browse is its
    title, a search its query plus the mean of its clicked titles. Of a recommendation the query is a
    learned vector. F is not read. Losses of alignment are sums over the real targets of the batch
    (`Ranker`).

    Args:
        config: `ModelConfig`; `width`, `num_heads`, `key_dim`, `intermediate_dim`, `dropout` and
            `train_words` are used.
        sizes: `Sizes` of the dataset.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(config, sizes, **kwargs)
        policy = self.dtype_policy
        self.text_encoder = TextEncoder(
            sizes.vocabulary,
            config.width,
            dtype=policy,
            name="text_encoder",
            **config.transformer,
        )
        self.text_encoder.embedding.trainable = config.train_words
        self.user_embedding = keras.layers.Embedding(
            sizes.users, config.width, dtype=policy, name="user_embedding"
        )
        kinds = ("browse", "search", "transition")

        def blocks_of(kind, names):
            return {
                name: MaskedBlock(dtype=policy, name=f"{name}_{kind}", **config.transformer)
                for name in names
            }

        self.encoders = blocks_of("encoder", kinds)
        self.decoders = blocks_of("decoder", kinds[:2])
        self.positions = Positions(config.width, dtype=policy, name="positions")
        names = (*(f"{kind}_pool" for kind in kinds[:2]), "browse_alignment", "search_alignment")
        self.bilinear = {
            name: keras.layers.Dense(config.width, use_bias=False, dtype=policy, name=name)
            for name in names
        }
        self.experts = ProgressiveExperts(dropout=config.dropout, dtype=policy, name="experts")
        precise_type = precise_dtype(self.compute_dtype)
        self.prediction = [
            keras.layers.Dense(width, activation="relu", dtype=precise_type, name=f"hidden_{width}")
            for width in PREDICTION
        ]
        self.score = keras.layers.Dense(1, use_bias=False, dtype=precise_type, name="score")

    @property
    def word_embedding(self):
        return self.text_encoder.embedding

    def build(self, batch_shape=None):
        """Create the weights of every layer; they do not depend on the sizes of a batch."""
        width = self.config.width
        rows = (None, None, width)
        self.text_encoder.build((None, None))
        self.user_embedding.build((None,))
        for layer in (*self.encoders.values(), *self.bilinear.values()):
            layer.build(rows)
        for layer in self.decoders.values():
            layer.build(rows, rows)
        self.no_query = self.add_weight((width,), name="no_query")
        self.experts.build((None, None, 5 * width))
        widths = (self.experts.tower[-1], *PREDICTION)
        for layer, inputs in zip((*self.prediction, self.score), widths, strict=True):
            layer.build((None, None, inputs))

    def call(self, batch, training=False):
        groups, batch = split_by_length(batch)
        _, texts, real = encode_buckets(self.text_encoder, groups, training)
        behaviors, clicked = self.encode_behaviors(batch, texts, ops.any(real, axis=1))
        sequences = self.extract(batch, behaviors, training)
        candidates = ops.take(texts, batch["candidate_text"], axis=0)
        interests = [
            self.interest(kind, *sequences[kind], candidates, training)
            for kind in ("browse", "search")
        ]
        if training:
            self.align(batch, texts, clicked, sequences)
        query = ops.where(
            (batch["task"] == Task.SEARCH)[:, None],
            ops.take(texts, batch["query_text"], axis=0),
            ops.cast(self.no_query, texts.dtype),
        )
        count = ops.shape(candidates)[1]
        about = [
            ops.repeat(x[:, None], count, axis=1)
            for x in (self.user_embedding(batch["user"]), query)
        ]
        x = ops.concatenate([*interests, candidates, *about], axis=-1)
        x = self.experts(x, tasks=batch["task"], training=training)
        for layer in self.prediction:
            x = layer(x)
        return self.score(x)[..., 0]

    def encode_behaviors(self, batch, texts, real_texts):
        """Return vectors of behaviors, `[N, d]`; means of clicked titles, and where there are any, `[N]`."""
        inside = ops.take(real_texts, batch["behavior_clicked"], axis=0)
        number = ops.sum(ops.cast(inside, texts.dtype), axis=1, keepdims=True)
        titles = ops.take(texts, batch["behavior_clicked"], axis=0)
        titles = titles * ops.cast(inside, texts.dtype)[..., None]
        clicked = ops.sum(titles, axis=1) / ops.maximum(number, 1)
        own = ops.take(texts, batch["behavior_text"], axis=0)
        search = (batch["behavior_type"] == BehaviorType.SEARCH)[:, None]
        found = ops.logical_and(search[:, 0], number[:, 0] > 0)
        return ops.where(search, own + clicked, own), (own, clicked, found)

    def extract(self, batch, behaviors, training):
        """Return by kind: same-kind rows, other-kind rows `[T, n, d]`, mask of its places `[T, n]`."""
        history, session = padded_history(batch), padded_session(batch)
        places = ops.concatenate([history.behaviors, session.behaviors], axis=1)
        types = ops.take(batch["behavior_type"], places, axis=0)
        rows = ops.take(behaviors, places, axis=0)
        masks = {"browse": types == BehaviorType.BROWSE, "search": types == BehaviorType.SEARCH}
        slots = ops.shape(places)[1]
        x = rows + self.positions(count_positions(places > 0), longest=slots)

        def encode(kind, attention_mask):
            return self.encoders[kind](x, attention_mask=attention_mask, training=training)

        other = ops.logical_or(
            ops.logical_and(masks["browse"][:, :, None], masks["search"][:, None]),
            ops.logical_and(masks["search"][:, :, None], masks["browse"][:, None]),
        )
        # A row that may attend to nothing is nothing, not an average of padding.
        met = ops.any(other, axis=2, keepdims=True)
        transition = ops.where(met, encode("transition", other), 0.0)
        return {
            kind: (
                ops.where(
                    mask[..., None],
                    encode(kind, ops.repeat(mask[:, None], slots, 1)),
                    0.0,
                ),
                ops.where(mask[..., None], transition, 0.0),
                mask,
            )
            for kind, mask in masks.items()
        }

    def interest(self, kind, same, other, mask, candidates, training):
        """Return the interest of each candidate in a user's behaviors of one kind, `[T, C, d]`; 0 without any."""
        columns = ops.repeat(mask[:, None], ops.shape(mask)[1], axis=1)
        fused = self.decoders[kind](
            same,
            attention_mask=columns,
            memory=other,
            memory_mask=columns,
            training=training,
        )
        fused = ops.where(mask[..., None], fused, 0.0)
        logits = ops.einsum("tnd,tcd->tcn", self.bilinear[f"{kind}_pool"](fused), candidates)
        weights = ops.cast(masked_softmax(logits, mask[:, None]), fused.dtype)
        return ops.einsum("tcn,tnd->tcd", weights, fused)

    def align(self, batch, texts, clicked, sequences):
        """Add the losses of alignment."""
        weight = ops.cast(batch["target_weight"], precise_dtype(self.compute_dtype))
        total = 0.0
        for kind, (same, other, mask) in sequences.items():
            number = ops.maximum(ops.sum(ops.cast(mask, same.dtype), axis=1, keepdims=True), 1)
            left = self.bilinear[f"{kind}_alignment"](ops.sum(same, axis=1) / number)
            losses = contrast(left, ops.sum(other, axis=1) / number, TRANSITION_TEMPERATURE)
            known = ops.cast(ops.any(other != 0, axis=(1, 2)), losses.dtype)
            total = total + TRANSITION_WEIGHT * ops.sum(losses * known * weight)
        queries, titles, found = clicked
        real = ops.cast(found, weight.dtype)
        mean = ops.sum(contrast(queries, titles, CLICK_TEMPERATURE, found) * real)
        mean = mean / ops.maximum(ops.sum(real), 1.0)
        self.add_loss(total + CLICK_WEIGHT * mean * ops.sum(weight))


def contrast(left, right, temperature, mask=None):
    """Return the InfoNCE loss of each row: -log softmax of its own pair among all of `right`.

    Args:
        left, right: Float tensors `[n, d]`, row i of one belonging to row i of the other.
        temperature: Divisor of the cosines.
        mask: Boolean tensor `[n]`, rows of `right` that count; None: all.

    Example:
        >>> round(float(contrast(ops.eye(2), ops.eye(2), 1.0)[0]), 4)
        0.3133
    """
    logits = ops.matmul(normalize(left), ops.transpose(normalize(right))) / temperature
    if mask is not None:
        logits = ops.where(mask[None], logits, ops.cast(-1e9, logits.dtype))
    return ops.logsumexp(logits, axis=1) - ops.diagonal(logits)
