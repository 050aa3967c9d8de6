"""Compute the relevance features F of requests, inside the exported graph.

The formulas of counts are preparation's own (`feature_columns.compute_values`); what differs is where
the counts come from: history and openings of the request, and a snapshot of the log's counts.

Axis letters: B requests, C candidates, O openings, H history slots, X texts, L tokens, d width.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow.experimental.numpy as tnp

from data_pipeline.features.feature_columns import FEATURES, compute_values
from data_pipeline.text.word_vectors import SCALE
from user_tf.serving.graph.count_tables import CountTables
from user_tf.serving.graph.openings import find_openings

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
        self._encode = encode

    def compute(self, request: Mapping[str, Any]) -> Any:
        """Return float32 [B, C, n], raw F; NaN where it is unknown.

        Args:
            request: The arguments of signature `rank`, by name.
        """
        query, titles = request["query"], request["candidates"]
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(titles)[1])
        titles = tf.where(mask, titles, "")
        openings = find_openings(request)
        searches = _summarise_searches(request)
        counts = _count_openings(query, titles, request["session"], openings)
        of_target = {
            "user_opens": counts.pop("user_opens_all"),
            "user_query_opens": counts.pop("user_query_opens_all"),
            "repeated": _double(searches["repeated"]),
            **self.counts.of_queries(query),
        }
        of_target = {name: value[:, tf.newaxis] for name, value in of_target.items()}
        counts |= self.counts.of_candidates(query, titles)
        position = tf.ones_like(counts["opens"]) * tf.range(tf.shape(titles)[1], dtype=tf.float64)
        values = compute_values(tnp, position, counts, of_target)
        values |= self._compare_texts(query, searches["last_query"], titles, openings)
        values["below_last_opened"] = _below_last_opened(mask, position, counts["last_rank"])
        searched = tf.not_equal(query, "")[:, tf.newaxis]
        unknown = ~self.counts.present
        columns = []
        for feature in self._columns:
            value = tf.broadcast_to(_double(values[feature.name]), tf.shape(position))
            if feature.name in OF_SNAPSHOT:
                value = tf.where(unknown, tf.constant(np.nan, tf.float64), value)
            if not feature.query_free:
                value = tf.where(searched, value, 0.0)
            columns.append(tf.cast(value, tf.float32))
        return tf.stack(columns, axis=-1)

    def _compare_texts(
        self, query: Any, last_query: Any, titles: Any, openings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the cosines and the token overlap of each candidate, float64 [B, C]."""
        opened = tf.where(openings["real"], openings["title"], "")
        groups = (query, last_query, titles, opened)
        texts, row = tf.unique(tf.concat([tf.reshape(group, [-1]) for group in groups], 0))
        rows = [
            tf.reshape(part, tf.shape(group))
            for part, group in zip(
                tf.split(row, [tf.size(group) for group in groups], num=4), groups, strict=True
            )
        ]
        tokens = self._encode(texts)
        total = tf.reduce_sum(_double(tf.gather(self.vectors, tokens)), axis=1)
        direction = _unit(total)
        of_query, of_last, of_title, of_opened = rows
        title = tf.gather(direction, of_title)
        history = _unit(tf.reduce_sum(tf.gather(direction, of_opened), axis=1))
        return {
            "query_cosine": _cosine(title, tf.gather(direction, of_query)),
            "last_query_cosine": _cosine(title, tf.gather(direction, of_last)),
            "history_cosine": _cosine(title, history),
            "token_overlap": _overlap(tf.gather(tokens, of_query), tf.gather(tokens, of_title)),
        }


def _summarise_searches(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return each user's last query, string [B], and whether the request's was asked before."""
    asked = request["history_query"]
    slots = tf.shape(asked)[1]
    real = tf.sequence_mask(request["history_count"], slots) & tf.not_equal(asked, "")
    real &= request["history_session"] <= request["session"][:, tf.newaxis]
    # Slot 0 is one of its own: no search.
    last = tf.reduce_max(
        tf.pad(tf.where(real, tf.range(1, slots + 1), 0), [[0, 0], [1, 0]]), axis=1
    )
    padded = tf.pad(asked, [[0, 0], [1, 0]])
    return {
        "last_query": tf.gather(padded, last, batch_dims=1),
        "repeated": tf.reduce_any(real & tf.equal(asked, request["query"][:, tf.newaxis]), axis=1),
    }


def _count_openings(
    query: Any, titles: Any, session: Any, openings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the counts of `feature_columns.compute_values` that are of the user, float64.

    Returns:
        [B, C]: user_opens, user_query_opens, session_opens, last_rank; [B]: user_opens_all,
        user_query_opens_all.
    """
    real = openings["real"]
    same_query = real & tf.equal(openings["query"], query[:, tf.newaxis])
    same_query &= tf.not_equal(query, "")[:, tf.newaxis]
    same_session = real & tf.equal(openings["session"], session[:, tf.newaxis])
    # Numbers are compared many times faster than strings.
    _, number = tf.unique(
        tf.concat([tf.reshape(titles, [-1]), tf.reshape(openings["title"], [-1])], 0)
    )
    of_title, of_opening = tf.split(number, [tf.size(titles), tf.size(openings["title"])], num=2)
    of_title = tf.reshape(of_title, tf.shape(titles))[:, :, tf.newaxis]
    of_opening = tf.reshape(of_opening, tf.shape(real))[:, tf.newaxis]
    same = tf.equal(of_title, of_opening) & real[:, tf.newaxis]
    rank = tf.cumsum(_double(real), axis=1)

    def count(holds: Any) -> Any:
        return tf.reduce_sum(_double(same & holds[:, tf.newaxis]), axis=2)

    return {
        "user_opens": count(real),
        "user_query_opens": count(same_query),
        "session_opens": count(same_session),
        # An empty axis has the lowest number as its maximum.
        "last_rank": tf.maximum(
            tf.reduce_max(tf.where(same, rank[:, tf.newaxis], -1.0), axis=2), -1.0
        ),
        "user_opens_all": tf.reduce_sum(_double(real), axis=1),
        "user_query_opens_all": tf.reduce_sum(_double(same_query), axis=1),
    }


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


def _unit(vectors: Any) -> Any:
    """Return `word_vectors.unit` of float64 [..., d], as float64 whole numbers."""
    norm = tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True))
    return tf.round(vectors * (SCALE / tf.where(norm > 0, norm, 1.0)))


def _cosine(title: Any, other: Any) -> Any:
    """Return the cosines of float64 [B, C, d] with [B, d]: [B, C]; 0 for a zero vector."""
    dots = tf.einsum("bcd,bd->bc", title, other)
    return dots / (_length(title) * _length(other)[:, tf.newaxis])


def _length(vectors: Any) -> Any:
    squares = tf.reduce_sum(tf.square(vectors), axis=-1)
    return tf.sqrt(tf.where(squares > 0, squares, 1.0))


def _double(value: Any) -> Any:
    return tf.cast(value, tf.float64)
