"""Compute the relevance features F of requests, inside the exported graph.

The formulas of counts are preparation's own (`feature_columns.compute_values`); what differs is where
the counts come from: history and openings of the request (`user_memory`), and a snapshot of the
log's counts.

Axis letters: B requests, C candidates, O openings, L tokens, d width.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from data_pipeline.features.feature_columns import FEATURES, compute_values
from user_tf.serving.graph.count_tables import CountTables
from user_tf.serving.graph.distinct_texts import DistinctTexts, number_texts
from user_tf.serving.graph.user_memory import (
    Memory,
    TextFacts,
    find_past,
    read_facts,
    remember,
)

OF_SNAPSHOT = (
    "document_clicks",
    "query_document_clicks",
    "query_click_entropy",
    "query_frequency",
    "satisfied_rate",
)
"""Columns of F that count what all users did; NaN without a snapshot."""


class RequestFeatures(tf.Module):
    """F of requests.

    Args:
        names: Columns to compute, names of `feature_columns.FEATURES`.
        word_vectors: float32 [V + B, d] of the dataset, row 0 zero.
        encode: string [X] -> int32 [X, L] token ids.
        counts: Snapshot of counts.
    """

    def __init__(
        self,
        names: Sequence[str],
        word_vectors: Any,
        encode: Callable[[Any], Any],
        counts: CountTables,
    ) -> None:
        super().__init__(name="features")
        self.names = tuple(names)
        known = {feature.name: feature for feature in FEATURES}
        self._columns = tuple(known[name] for name in names)
        self.counts = counts
        self.vectors = tf.Variable(
            np.asarray(word_vectors, np.float32), trainable=False, name="word_vectors"
        )
        # Traced once: tokenizing takes more operations than anything else.
        self.encode = tf.function(
            encode, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )

    @property
    def width(self) -> int:
        """Return d, the width of the word vectors."""
        return int(self.vectors.shape[1])

    def compute(self, request: Mapping[str, Any]) -> Any:
        """Return float32 [B, C, n], raw F; NaN where it is unknown.

        Args:
            request: The arguments of signature `rank`, by name.
        """
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(request["candidates"])[1])
        titles = tf.where(mask, request["candidates"], "")
        texts = number_texts({"query": request["query"], "titles": titles}, self.encode)
        facts = self.read(texts)
        query, candidates = (facts.at(texts.rows[name]) for name in ("query", "titles"))
        searched = tf.not_equal(request["query"], "")
        return self.compare(self.remember(request), searched, query, candidates, mask)

    def read(self, texts: DistinctTexts) -> TextFacts:
        """Return what F reads of distinct texts."""
        return read_facts(texts, self.vectors)

    def remember(self, request: Mapping[str, Any]) -> Memory:
        """Return what F needs of the past of each request."""
        past = find_past(request)
        texts = number_texts(past.texts, self.encode)
        return remember(past, self.read(texts), texts.rows)

    def compare(
        self, memory: Memory, searched: Any, query: TextFacts, titles: TextFacts, mask: Any
    ) -> Any:
        """Return float32 [B, C, n], raw F of candidates; NaN where it is unknown.

        Args:
            memory: What F needs of the users' pasts.
            searched: bool [B], whether the query is not empty.
            query: Facts of the queries, [B].
            titles: Facts of the candidates, [B, C].
            mask: bool [B, C], real candidates.
        """
        counts = _count_openings(memory, searched, query.key, titles.key)
        repeated = memory.asked & tf.equal(memory.asked_query, query.key[:, tf.newaxis])
        of_target = {
            "user_opens": counts.pop("user_opens_all"),
            "user_query_opens": counts.pop("user_query_opens_all"),
            "repeated": _double(tf.reduce_any(repeated, axis=1)),
            **self.counts.of_queries(query.key),
        }
        of_target = {name: value[:, tf.newaxis] for name, value in of_target.items()}
        counts |= self.counts.of_candidates(query.key, titles.key)
        zeros = tf.zeros_like(counts["opens"])
        position = zeros + tf.range(tf.shape(mask)[1], dtype=tf.float64)
        others = tf.stack([query.direction, memory.last_query, memory.opened_mean], axis=1)
        of_query, of_last_query, of_history = _cosines(titles.direction, others)
        values = compute_values(tnp, position, counts, of_target) | {
            "query_cosine": of_query,
            "last_query_cosine": of_last_query,
            "history_cosine": of_history,
            "token_overlap": _overlap(query.tokens, titles.tokens),
            "below_last_opened": _below_last_opened(mask, position, counts["last_rank"]),
        }
        columns = [_double(values[feature.name]) for feature in self._columns]
        # Columns of a query alone have one value a request.
        columns = [column if column.shape[1] != 1 else column + zeros for column in columns]
        result = tf.cast(tf.stack(columns, axis=-1), tf.float32)
        of_snapshot = tf.constant([feature.name in OF_SNAPSHOT for feature in self._columns])
        # Added, since choosing value by value is slow where the choice is broadcast.
        result += tf.where(of_snapshot & ~self.counts.present, np.float32(np.nan), 0.0)
        query_free = tf.constant([feature.query_free for feature in self._columns])
        return tf.where(searched[:, tf.newaxis, tf.newaxis] | query_free, result, 0.0)


def _count_openings(memory: Memory, searched: Any, query: Any, titles: Any) -> dict[str, Any]:
    """Return the counts of `feature_columns.compute_values` that are of the user, float64.

    Args:
        memory: What F needs of the users' pasts.
        searched: bool [B].
        query: int64 [B], keys.
        titles: int64 [B, C], keys.

    Returns:
        [B, C]: user_opens, user_query_opens, session_opens, last_rank; [B]: user_opens_all,
        user_query_opens_all.
    """
    real = memory.opened
    same_query = tf.equal(memory.opened_query, query[:, tf.newaxis]) & searched[:, tf.newaxis]
    kinds = tf.stack([real, real & same_query, real & memory.opened_here], axis=2)
    kinds = tf.cast(kinds, tf.float32)
    same = tf.equal(titles[:, :, tf.newaxis], memory.opened_title[:, tf.newaxis])
    same &= real[:, tf.newaxis]
    # Exact: float32 holds counts up to 2^24.
    counts = tf.unstack(_double(tf.matmul(tf.cast(same, tf.float32), kinds)), axis=2)
    totals = tf.unstack(_double(tf.reduce_sum(kinds, axis=1)), axis=1)
    rank = _double(_rank_openings(real, memory.opened_together))
    last = tf.reduce_max(tf.where(same, rank[:, tf.newaxis], -1.0), axis=2)
    return {
        **dict(zip(("user_opens", "user_query_opens", "session_opens"), counts, strict=True)),
        # An empty axis has the lowest number as its maximum.
        "last_rank": tf.maximum(last, -1.0),
        "user_opens_all": totals[0],
        "user_query_opens_all": totals[1],
    }


def _rank_openings(real: Any, together: Any) -> Any:
    """Return how many openings were known when each one became known, int32 [B, O].

    Args:
        real: bool [B, O], the first ones of each row.
        together: bool [B, O], those that became known with the one before.

    Example:
        >>> real, together = tf.constant([[True] * 3]), tf.constant([[False, True, False]])
        >>> _rank_openings(real, together).numpy().tolist()
        [[2, 2, 3]]
    """
    moment = tf.cumsum(tf.cast(~together, tf.int32), axis=1)
    moment = tf.where(real, moment, tf.int32.max)
    # One more column, so that there is one.
    moment = tf.pad(moment, [[0, 0], [0, 1]], constant_values=tf.int32.max)
    return tf.searchsorted(moment, moment, side="right")[:, :-1]


def _below_last_opened(mask: Any, position: Any, last_rank: Any) -> Any:
    """Return `feature_columns.below_last_opened` of lists side by side, float64 [B, C]."""
    width = tf.cast(tf.shape(position)[1], tf.float64)
    key = tf.where(mask & (last_rank > 0), last_rank * width + position, -1.0)
    last = tf.reduce_max(key, axis=1, keepdims=True)
    below = position - tf.math.floormod(last, tf.maximum(width, 1.0))
    return tf.where((last >= 0) & (below > 0), 1.0 / tf.maximum(below, 1.0), 0.0)


def _overlap(query: Any, title: Any) -> Any:
    """Return the share of a query's distinct tokens that are in a title, float64 [B, C].

    Args:
        query: int32 [B, L].
        title: int32 [B, C, L].
    """
    slots = tf.range(tf.shape(query)[1])
    earlier = slots[tf.newaxis, :] < slots[:, tf.newaxis]
    again = tf.reduce_any(tf.equal(query[:, :, tf.newaxis], query[:, tf.newaxis]) & earlier, axis=2)
    distinct = tf.not_equal(query, 0) & ~again
    there = tf.reduce_any(
        tf.equal(title[:, :, :, tf.newaxis], query[:, tf.newaxis, tf.newaxis]), axis=2
    )
    shared = tf.reduce_sum(_double(there & distinct[:, tf.newaxis]), axis=2)
    count = tf.reduce_sum(_double(distinct), axis=1)[:, tf.newaxis]
    return shared / tf.maximum(count, 1.0)


def _cosines(titles: Any, others: Any) -> list[Any]:
    """Return the cosines of whole numbers float64 [B, C, d] and [B, n, d]: n times [B, C].

    That of a zero vector is 0.
    """
    dots = tf.matmul(titles, others, transpose_b=True)
    lengths = _length(titles)[:, :, tf.newaxis] * _length(others)[:, tf.newaxis]
    return tf.unstack(dots / lengths, axis=2)


def _length(vectors: Any) -> Any:
    return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(vectors), axis=-1), 1.0))


def _double(value: Any) -> Any:
    return tf.cast(value, tf.float64)
