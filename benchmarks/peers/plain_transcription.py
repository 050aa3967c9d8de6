"""A plain Keras transcription of USER in the layout of the authors' released code.

The reference peer of the speed measurements (`benchmarks.layout_speed`). It computes the equations
of `user_tf.models.user.User` with stock Keras layers in the layout of the released code: every
target alone with its full padded history, every text padded to 30 tokens, full self-attention
wherever the paper writes a transformer, nothing shared between targets and no work left out. On
equal weights its scores equal USER's (a test holds both to 1e-5).

The released code pads a history to 104 behaviors. Here it is 20 past sessions of 5 behaviors and
the 5 of the current session, 105 in all, because a dataset keeps that many and none may be cut.

Axis letters: T targets, N behaviors of a target, L tokens of a text, C candidates, d width.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from data_pipeline.common.codes import BehaviorType, Task

LENGTH, PAST_SESSIONS = 30, 20
KERNELS = ((1.0, 0.001), *((mean / 10, 0.1) for mean in range(9, -10, -2)))
"""Mean and deviation of each kernel of KNRM."""
HIDDEN = -1e9
"""Logit of a masked place."""
SMALLEST = 1e-6
"""Smallest squared length that a vector is divided by."""

Arrays = dict[str, np.ndarray]


def pad_layout(batch: Mapping[str, Any]) -> Arrays:
    """Return the real targets of a packed Batch, each with everything it sees, padded.

    Args:
        batch: A Batch (`data_pipeline.batching`).

    Returns:
        Arrays by name: `behavior_text` int32 [T, N, L] and `behavior_type` [T, N], past sessions
        first, then the current one; `titles` [T, 1 + M, L], the clicked titles of a target after an
        empty one, M the most of any target; `clicked` [T, N, 3] -> titles, 0 for none;
        `query_text` [T, L]; `candidate_text` [T, C, L]; `task`, `user` [T]; `candidate_mask`,
        `labels` [T, C]; `features` [T, C, n].

    Raises:
        ValueError: A text or a history of the Batch is longer than the layout.
    """
    batch = {name: np.asarray(value) for name, value in batch.items()}
    real = np.flatnonzero(batch["task"] > 0)
    tokens = _widen(batch["text_tokens"], LENGTH)
    past = batch["session_behaviors"][_widen(batch["past_sessions"][real], PAST_SESSIONS)]
    behaviors = np.concatenate(
        [past.reshape(len(real), -1), batch["current_behaviors"][real]], axis=1
    )
    texts = batch["behavior_clicked"][behaviors]
    is_title = texts > 0
    place = np.cumsum(is_title.reshape(len(real), -1), axis=1).reshape(texts.shape) * is_title
    titles = np.zeros([len(real), 1 + place.max(initial=0)], np.int32)
    titles[np.nonzero(is_title)[0], place[is_title]] = texts[is_title]
    return {
        "behavior_text": tokens[batch["behavior_text"][behaviors]],
        "behavior_type": batch["behavior_type"][behaviors],
        "titles": tokens[titles],
        "clicked": place.astype(np.int32),
        "query_text": tokens[batch["query_text"][real]],
        "candidate_text": tokens[batch["candidate_text"][real]],
        **{
            name: batch[name][real]
            for name in ("task", "user", "candidate_mask", "labels", "features")
        },
    }


def _widen(values: np.ndarray, width: int) -> np.ndarray:
    if values.shape[1] > width:
        raise ValueError(
            f"`batch` must have rows of at most {width} tokens or sessions. Got {values.shape[1]}. "
            "Fix: prepare the dataset with shorter texts or fewer past sessions."
        )
    return np.pad(values, [(0, 0), (0, width - values.shape[1])])


def normalize(x):
    """Return `x` [..., d] with length 1 along the last axis; a zero vector stays zero."""
    squares = ops.sum(ops.square(x), axis=-1, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, SMALLEST))


def masked_softmax(logits, mask):
    """Return weights [..., n]: 0 where masked, of sum 1 or, where all is masked, 0."""
    return ops.softmax(ops.where(mask, logits, HIDDEN), axis=-1) * ops.cast(mask, logits.dtype)


def sinusoids(longest, width, dtype):
    """Return the vectors of positions 0 to `longest`, [1 + longest, d]; position 0 is zero."""
    angles = np.arange(longest + 1)[:, None] / 10000 ** (2 * (np.arange(width) // 2) / width)
    table = np.where(np.arange(width) % 2, np.cos(angles), np.sin(angles))
    return ops.convert_to_tensor(table * (np.arange(longest + 1)[:, None] > 0), dtype)


class PlainBlock(keras.layers.Layer):
    """Post-norm transformer layer of stock Keras layers: all rows attend to all real rows."""

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.attention = keras.layers.MultiHeadAttention(
            config.num_heads, config.key_dim, dropout=config.dropout
        )
        self.attention_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.hidden = keras.layers.Dense(config.intermediate_dim, activation="relu")
        self.outer = keras.layers.Dense(config.width)
        self.outer_norm = keras.layers.LayerNormalization(epsilon=1e-6)
        self.dropout = keras.layers.Dropout(config.dropout)

    def call(self, x, mask, training=None):
        """Return [B, n, d] for rows [B, n, d] and a mask [B, n]."""
        mixed = self.attention(x, x, attention_mask=mask[:, None, :], training=training)
        x = self.attention_norm(x + self.dropout(mixed, training=training))
        changed = self.dropout(self.outer(self.hidden(x)), training=training)
        return self.outer_norm(x + changed)


class PlainTranscription(keras.Model):
    """USER over the padded layout, one transformer layer a level, the paper's settings.

    Args:
        config: `ModelConfig`; widths and dropout are read.
        sizes: `Sizes` of the dataset: vocabulary and users are read.

    Call arguments:
        layout: Result of `pad_layout`.
        training: Whether dropout is on.

    Returns:
        Scores [T, C], -1e9 at padded candidates.
    """

    def __init__(self, config, sizes, **kwargs):
        super().__init__(autocast=False, **kwargs)
        width = config.width
        self.words = keras.layers.Embedding(sizes.vocabulary, width)
        self.users = keras.layers.Embedding(sizes.users, width)
        self.types = keras.layers.Embedding(2, width)
        self.word_block = PlainBlock(config)
        self.session_block = PlainBlock(config)
        self.history_block = PlainBlock(config)
        self.pool_hidden = keras.layers.Dense(width, activation="tanh")
        self.pool_score = keras.layers.Dense(1, use_bias=False)
        self.affinity = keras.layers.Dense(width, use_bias=False)
        self.query_map = keras.layers.Dense(width, use_bias=False)
        self.title_map = keras.layers.Dense(width, use_bias=False)
        self.query_score = keras.layers.Dense(1, use_bias=False)
        self.title_score = keras.layers.Dense(1, use_bias=False)
        self.fuse = keras.layers.Dense(width)
        self.knrm_score = keras.layers.Dense(1, activation="tanh")
        self.score = keras.layers.Dense(1, use_bias=False)

    def call(self, layout, training=None):
        groups = [layout["behavior_text"], layout["titles"], layout["query_text"][:, None]]
        groups.append(layout["candidate_text"])
        counts = np.cumsum([group.shape[1] for group in groups])[:-1].tolist()
        tokens = ops.concatenate(groups, axis=1)
        words, vectors = self.encode_texts(tokens, training)
        behavior_words, title_words, query_words, candidate_words = ops.split(words, counts, axis=1)
        behavior_vectors, _, query_vector, candidates = ops.split(vectors, counts, axis=1)

        behaviors = self.encode_behaviors(layout, behavior_words, behavior_vectors, title_words)
        types, session = layout["behavior_type"], behaviors.shape[1] // (PAST_SESSIONS + 1)
        past, current = behaviors[:, :-session], behaviors[:, -session:]
        past_types, current_types = types[:, :-session], types[:, -session:]

        is_search = layout["task"] == Task.SEARCH
        intent = ops.where(is_search[:, None], query_vector[:, 0], self.users(layout["user"]))
        intent = self.encode_sequence(
            self.session_block,
            ops.concatenate([current, intent[:, None]], axis=1),
            ops.concatenate([current_types, layout["task"][:, None]], axis=1),
            training,
            typed=True,
        )[:, -1]

        slots, width = past.shape[1], past.shape[2]
        history = self.encode_sequence(
            self.session_block,
            ops.reshape(past, (-1, session, width)),
            ops.reshape(past_types, (-1, session)),
            training,
            typed=True,
        )
        history = ops.reshape(history, (-1, slots, width))
        rows = ops.concatenate([intent[:, None], candidates], axis=1)
        count = rows.shape[1]
        # Every candidate has the complete history before it, as in the released code.
        sequences = ops.concatenate(
            [ops.repeat(history, count, axis=0), ops.reshape(rows, (-1, 1, width))], axis=1
        )
        kinds = ops.repeat(past_types, count, axis=0)
        kinds = ops.concatenate([kinds, ops.ones_like(kinds[:, :1])], axis=1)
        long = self.encode_sequence(self.history_block, sequences, kinds, training)[:, -1]
        long = ops.reshape(long, (-1, count, width))

        intents = normalize(ops.stack([intent, long[:, 0]], axis=1))
        documents = normalize(ops.stack([candidates, long[:, 1:]], axis=1))
        cosines = ops.einsum("tid,tkcd->tcik", intents, documents)
        matched = self.match_words(tokens, query_words, candidate_words, counts)
        matched = ops.where(is_search[:, None], matched, ops.zeros_like(matched))
        signals = [
            ops.reshape(cosines, (-1, count - 1, 4)),
            matched[..., None],
            ops.cast(layout["features"], cosines.dtype),
        ]
        scores = self.score(ops.concatenate(signals, axis=-1))[..., 0]
        return ops.where(layout["candidate_mask"], scores, HIDDEN)

    def encode_texts(self, tokens, training):
        """Return word vectors [T, X, L, d] and text vectors [T, X, d] of tokens [T, X, L]."""
        count, length = tokens.shape[1:]
        flat = ops.reshape(tokens, (-1, length))
        mask = flat > 0
        words = self.word_block(self.words(flat), mask, training=training)
        weights = masked_softmax(self.pool_score(self.pool_hidden(words))[..., 0], mask)
        vectors = ops.sum(weights[..., None] * words, axis=1)
        width = words.shape[-1]
        return (
            ops.reshape(words, (-1, count, length, width)),
            ops.reshape(vectors, (-1, count, width)),
        )

    def encode_behaviors(self, layout, words, vectors, title_words):
        """Return vectors [T, N, d]: co-attention for searches with clicks, else the text's."""
        count, length, width = words.shape[1:]
        clicked = layout["clicked"]
        titles = ops.take_along_axis(
            title_words, ops.reshape(clicked, (-1, count * clicked.shape[2], 1, 1)), axis=1
        )
        titles = ops.reshape(titles, (-1, count, clicked.shape[2] * length, width))
        title_tokens = ops.take_along_axis(
            layout["titles"], ops.reshape(clicked, (-1, count * clicked.shape[2], 1)), axis=1
        )
        title_mask = ops.reshape(title_tokens, (-1, count, clicked.shape[2] * length)) > 0
        query_mask = layout["behavior_text"] > 0
        both = ops.cast(query_mask[..., :, None], words.dtype)
        both = both * ops.cast(title_mask[..., None, :], words.dtype)
        affinity = ops.tanh(ops.einsum("tnqd,tnmd->tnqm", self.affinity(words), titles)) * both
        mapped_query, mapped_titles = self.query_map(words), self.title_map(titles)
        query = ops.tanh(mapped_query + ops.matmul(affinity, mapped_titles))
        title = ops.tanh(
            mapped_titles + ops.matmul(ops.transpose(affinity, (0, 1, 3, 2)), mapped_query)
        )
        query_weights = masked_softmax(self.query_score(query)[..., 0], query_mask)
        title_weights = masked_softmax(self.title_score(title)[..., 0], title_mask)
        pooled = [
            ops.sum(query_weights[..., None] * words, axis=2),
            ops.sum(title_weights[..., None] * titles, axis=2),
        ]
        fused = self.fuse(ops.concatenate(pooled, axis=-1))
        with_clicks = ops.any(title_mask, axis=-1)
        with_clicks = with_clicks & (layout["behavior_type"] == BehaviorType.SEARCH)
        return ops.where(with_clicks[..., None], fused, vectors)

    def encode_sequence(self, block, rows, kinds, training, typed=False):
        """Return `block` of rows [B, n, d] at positions 1, 2, ... of the real ones, [B, n, d]."""
        mask = kinds > 0
        ids = ops.cumsum(ops.cast(mask, "int32"), axis=1) * ops.cast(mask, "int32")
        table = sinusoids(rows.shape[1], rows.shape[2], rows.dtype)
        rows = rows + ops.take(table, ids, axis=0)
        if typed:
            rows = rows + self.types(ops.maximum(kinds - 1, 0))
        return block(rows, mask, training=training)

    def match_words(self, tokens, query_words, candidate_words, counts):
        """Return KNRM [T, C] of the query's words [T, 1, L, d] and the candidates' [T, C, L, d]."""
        query_mask = ops.cast(tokens[:, counts[1] : counts[2]] > 0, query_words.dtype)
        candidate_mask = ops.cast(tokens[:, counts[2] :] > 0, query_words.dtype)
        cosines = ops.einsum(
            "tqd,tcmd->tcqm", normalize(query_words)[:, 0], normalize(candidate_words)
        )
        features = []
        for mean, deviation in KERNELS:
            kernel = ops.exp(-ops.square(cosines - mean) / (2 * deviation**2))
            totals = ops.sum(kernel * candidate_mask[:, :, None, :], axis=-1)
            logs = 0.01 * ops.log(ops.maximum(totals, 1e-10))
            features.append(ops.sum(logs * query_mask, axis=-1))
        return self.knrm_score(ops.stack(features, axis=-1))[..., 0]
