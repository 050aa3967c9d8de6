"""Find the documents that the user of a request had opened, inside the exported graph.

Axis letters: B requests, O openings, H history slots, K history titles.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from user_tf.serving.graph.request_batch import title_counts


def find_openings(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the openings of each request, in the order of becoming known.

    They are those the request gives, otherwise the titles of its history: satisfied clicks, and
    browses.

    Args:
        request: The arguments of signature `rank`, by name.

    Returns:
        `real` bool [B, O]; `title`, `query` (of the search, "" otherwise) string [B, O]; `session`
        int64 [B, O]; `together` int64 [B, O], 1 where it became known with the one before. Openings of
        sessions above the request's are not real.

    Example:
        >>> request = {"session": [2], "history_count": [2], "history_session": [[1, 2]]}
        >>> request |= {"history_query": [["hat", ""]], "history_title_count": [[2, 1]]}
        >>> request |= {"history_titles": [["a", "b", "c"]], "opened_count": [0]}
        >>> request |= {"opened_session": [[0]], "opened_query": [[""]], "opened_titles": [["x"]]}
        >>> request |= {"opened_together": [[0]]}
        >>> found = find_openings({name: tf.constant(value) for name, value in request.items()})
        >>> found["title"].numpy().tolist(), found["query"].numpy().tolist()
        ([[b'a', b'b', b'c']], [[b'hat', b'hat', b'']])
    """
    counts, titles = title_counts(request), request["history_titles"]
    # The slot of each title; one more slot, so that a request without any has one.
    places = tf.broadcast_to(tf.range(tf.shape(titles)[1], dtype=counts.dtype), tf.shape(titles))
    ends = tf.cumsum(tf.pad(counts, [[0, 0], [0, 1]]), axis=1)
    slot = tf.minimum(tf.searchsorted(ends, places, side="right"), tf.shape(counts)[1])

    def of_slot(name: str) -> Any:
        return tf.gather(tf.pad(request[name], [[0, 0], [0, 1]]), slot, batch_dims=1)

    in_history = {
        "title": titles,
        "query": of_slot("history_query"),
        "session": of_slot("history_session"),
        "together": tf.zeros_like(places),
    }
    given = {
        "title": request["opened_titles"],
        "query": request["opened_query"],
        "session": request["opened_session"],
        "together": request["opened_together"],
    }
    width = tf.maximum(tf.shape(titles)[1], tf.shape(given["title"])[1])
    is_given = request["opened_count"] > 0

    def choose(name: str) -> Any:
        first, second = (
            tf.pad(value, [[0, 0], [0, width - tf.shape(value)[1]]])
            for value in (given[name], in_history[name])
        )
        return tf.where(is_given[:, tf.newaxis], first, second)

    found = {name: choose(name) for name in given}
    count = tf.where(is_given, request["opened_count"], ends[:, -1])
    real = tf.sequence_mask(count, width) & (found["session"] <= request["session"][:, tf.newaxis])
    return found | {"real": real}
