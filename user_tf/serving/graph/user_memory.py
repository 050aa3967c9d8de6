"""Keep what the relevance features F need of a user's past, inside the exported graph.

Strings are compared by their keys (`count_tables.hash_of`): numbers are compared many times faster,
and a state can carry them.

Axis letters: B requests, O openings, H history slots, L tokens, d width of word vectors.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from data_pipeline.text.word_vectors import SCALE
from user_tf.serving.graph.count_tables import hash_of
from user_tf.serving.graph.distinct_texts import DistinctTexts
from user_tf.serving.graph.openings import find_openings


class TextFacts(NamedTuple):
    """Directions and tokens of texts, as F reads them, of any shape.

    Attributes:
        key: int64 [...], `hash_of` their strings.
        tokens: int32 [..., L].
        direction: float64 [..., d], `word_vectors.unit` of the sum of word vectors: whole numbers.
    """

    key: Any
    tokens: Any
    direction: Any

    def at(self, rows: Any) -> "TextFacts":
        """Return the facts of the texts at `rows`."""
        return TextFacts(*(tf.gather(part, rows) for part in self))


class Memory(NamedTuple):
    """The pasts of users, as F needs them.

    Attributes:
        opened: bool [B, O], real openings, in the order of becoming known.
        opened_title, opened_query: int64 [B, O], keys of title and query of each.
        opened_here: bool [B, O], those of the current session.
        opened_together: bool [B, O], those that became known with the one before.
        asked: bool [B, H], real searches.
        asked_query: int64 [B, H], keys of their queries.
        last_query: float64 [B, d], direction of the last query.
        opened_mean: float64 [B, d], direction of the sum of the opened titles' directions.
    """

    opened: Any
    opened_title: Any
    opened_query: Any
    opened_here: Any
    opened_together: Any
    asked: Any
    asked_query: Any
    last_query: Any
    opened_mean: Any


def read_facts(texts: DistinctTexts, vectors: Any) -> TextFacts:
    """Return the facts of distinct texts.

    Args:
        texts: The texts.
        vectors: float32 [V + B, d] word vectors by token id, row 0 zero.
    """
    total = tf.reduce_sum(tf.cast(tf.gather(vectors, texts.tokens), tf.float64), axis=1)
    return TextFacts(hash_of(texts.strings), texts.tokens, unit(total))


class Past(NamedTuple):
    """The past of each request in strings.

    Attributes:
        openings: Result of `find_openings`.
        asked: bool [B, H], real searches.
        queries: string [B, H], the queries of the history.
        texts: The strings whose words count, by group.
        session: int64 [B].
    """

    openings: Mapping[str, Any]
    asked: Any
    queries: Any
    texts: Mapping[str, Any]
    session: Any


def find_past(request: Mapping[str, Any]) -> Past:
    """Return the past of each request.

    Args:
        request: The arguments of signature `rank`, by name; query and candidates are not read.
    """
    openings = find_openings(request)
    asked, last_query = _find_searches(request)
    titles = tf.where(openings["real"], openings["title"], "")
    texts = {"last_query": last_query, "opened_titles": titles}
    return Past(openings, asked, request["history_query"], texts, request["session"])


def remember(past: Past, facts: TextFacts, rows: Mapping[str, Any]) -> Memory:
    """Return what F needs of the past of each request.

    Args:
        past: Result of `find_past`.
        facts: Facts of distinct texts, those of `past.texts` among them.
        rows: Rows of the strings of `past.texts`, by group.
    """
    opened = tf.gather(facts.direction, rows["opened_titles"])
    return Memory(
        opened=past.openings["real"],
        opened_title=tf.gather(facts.key, rows["opened_titles"]),
        opened_query=hash_of(past.openings["query"]),
        opened_here=tf.equal(past.openings["session"], past.session[:, tf.newaxis]),
        opened_together=past.openings["together"] > 0,
        asked=past.asked,
        asked_query=hash_of(past.queries),
        last_query=tf.gather(facts.direction, rows["last_query"]),
        opened_mean=unit(tf.reduce_sum(opened, axis=1)),
    )


def unit(vectors: Any) -> Any:
    """Return `word_vectors.unit` of float64 [..., d], as float64 whole numbers."""
    norm = tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True))
    return tf.round(vectors * (SCALE / tf.where(norm > 0, norm, 1.0)))


def _find_searches(request: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the searches of a history, bool [B, H], and each user's last query, string [B]."""
    asked = request["history_query"]
    slots = tf.shape(asked)[1]
    real = tf.sequence_mask(request["history_count"], slots) & tf.not_equal(asked, "")
    real &= request["history_session"] <= request["session"][:, tf.newaxis]
    # Slot 0 is one of its own: no search.
    last = tf.reduce_max(
        tf.pad(tf.where(real, tf.range(1, slots + 1), 0), [[0, 0], [1, 0]]), axis=1
    )
    padded = tf.pad(asked, [[0, 0], [1, 0]])
    return real, tf.gather(padded, last, batch_dims=1)
