"""Rank in stages, inside the exported graph: a user's past once, targets against it many times.

Axis letters: B requests, C candidates, S numbers of a state, X texts.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from data_pipeline.common.codes import TASK_LABELS, Task
from user_tf.models.batch_ops import EncodedPast, EncodedTexts, split_by_length
from user_tf.serving.graph.distinct_texts import number_texts
from user_tf.serving.graph.ranking import WATCHED, Graph
from user_tf.serving.graph.request_batch import pack, task_of
from user_tf.serving.graph.task_routing import route
from user_tf.serving.graph.user_memory import TextFacts
from user_tf.serving.graph.user_state import StateLayout, UserState


@dataclasses.dataclass(frozen=True)
class StagedRanking:
    """Rankers whose `encode_past` and `score_past` are served apart.

    Attributes:
        graph: Path from strings to what the models score.
        copies: Rankers by task.
        scope: Returns a context in which a ranker is called.
        layout: Layout of the states.
        documents: `DocumentTable`. Default: none.
    """

    graph: Graph
    copies: Mapping[str, Any]
    scope: Callable[[Any], Any]
    layout: StateLayout
    documents: Any = None

    def encode_user(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the state of each user, and what is watched.

        Args:
            request: Checked arguments of `encode_user` by name.
        """
        graph, rows = self.graph, tf.shape(request["user_id"])[0]
        task = _task_codes(request["task"])
        past = [name for name in request if name != "task"]
        shapes = {
            name: (shape, dtype) for name, (shape, dtype) in self._past_shapes().items() if shape[0]
        }

        def encode(ranker: Any, part: Mapping[str, Any], _: Task | None) -> dict[str, Any]:
            count = tf.shape(part["user_id"])[0]
            target = {
                "query": tf.fill([count], ""),
                "candidates": tf.zeros([count, 0], tf.string),
                "candidate_count": tf.zeros([count], tf.int64),
            }

            def no_features(texts: Any) -> Any:
                return tf.zeros([count, 0, graph.feature_count])

            batch = pack(
                {**part, **target},
                no_features,
                graph.limits,
                graph.encode,
                graph.users.find,
            )
            encoded = ranker.encode_tables(graph.add_row_subsets(batch))[2]._asdict()
            return {name: tf.cast(encoded[name], dtype) for name, (_, dtype) in shapes.items()}

        part = {name: request[name] for name in past}
        found = route(self.copies, task, part, encode, shapes, self.scope, "task")
        encoded = EncodedPast(**{name: found.get(name) for name in EncodedPast._fields})
        memory = graph.features.remember(request) if graph.features else None
        user = graph.users.find(request["user_id"])
        state = self.layout.pack(UserState(task, user, encoded, memory))
        return {"state": tf.reshape(state, [rows, -1])} | self._watch_past(user, encoded)

    def rank_with_state(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scores of titles by a state, and what is watched.

        Args:
            request: Checked arguments of `rank_with_state` by name.
        """
        return self._route(self._check(request), self._score_titles)

    def rank_documents(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scores of documents by a state, and what is watched.

        Args:
            request: Checked arguments of `rank_documents` by name.
        """
        shapes = {"known_documents": ((), tf.float32)}
        return self._route(self._check(request), self._score_documents, shapes)

    def _route(self, request: Mapping[str, Any], compute: Any, shapes: Any = None) -> Any:
        count = tf.shape(request["candidates"])[1]
        every = {"scores": ((count,), tf.float32), **WATCHED, **(shapes or {})}
        return route(self.copies, task_of(request["query"]), request, compute, every, self.scope)

    def _check(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request, whose state must be of this export and of the query's task."""
        # One model for both tasks: a state serves both.
        one = len({id(ranker) for ranker in self.copies.values()}) == 1
        return self.layout.check(request, None if one else task_of(request["query"]))

    def _score_titles(
        self, ranker: Any, request: Mapping[str, Any], task: Task | None
    ) -> dict[str, Any]:
        titles = tf.where(_mask(request), request["candidates"], "")
        groups = {"query_text": request["query"], "candidate_text": titles}
        texts = number_texts(groups, self.graph.encode)
        batch = {**texts.rows, "text_tokens": texts.tokens}
        buckets, renumbered = split_by_length(self.graph.add_buckets(batch))
        encoded = ranker.encode_texts(buckets)
        rows = _Texts(texts.rows, texts.tokens, lambda: self.graph.features.read(texts))
        return self._score(ranker, request, task, rows, renumbered, encoded)

    def _score_documents(
        self, ranker: Any, request: Mapping[str, Any], task: Task | None
    ) -> dict[str, Any]:
        mask = _mask(request)
        rows = tf.where(mask, self.documents.find(request["document_ids"]), 0)
        known = rows > 0
        groups = {
            "query_text": request["query"],
            "candidate_text": tf.where(mask & ~known, request["candidates"], ""),
        }
        texts = number_texts(groups, self.graph.encode)
        # Rows of the request's own texts, then one of each document.
        listed = tf.reshape(rows, [-1])
        tokens = _below(texts.tokens, tf.gather(self.documents.tokens, listed))
        place = tf.reshape(tf.range(tf.size(rows)), tf.shape(rows)) + tf.size(texts.strings)
        pointers = dict(texts.rows)
        pointers["candidate_text"] = tf.where(known, place, pointers["candidate_text"])

        def facts() -> TextFacts:
            own, kept = self.graph.features.read(texts), self.documents.facts(listed)
            return TextFacts(
                key=tf.concat([own.key, kept.key], 0),
                tokens=tokens,
                direction=tf.concat([own.direction, kept.direction], 0),
            )

        own = ranker.encode_texts([texts.tokens])
        kept = self.documents.encoded_texts(ranker, listed)
        found = _Texts(pointers, tokens, facts)
        real = tf.math.count_nonzero(mask, axis=1, dtype=tf.float32)
        share = tf.math.count_nonzero(known, axis=1, dtype=tf.float32) / tf.maximum(real, 1.0)
        scored = self._score(ranker, request, task, found, pointers, _join(own, kept))
        return scored | {"known_documents": share}

    def _score(
        self,
        ranker: Any,
        request: Mapping[str, Any],
        task: Task | None,
        texts: "_Texts",
        pointers: Mapping[str, Any],
        encoded: EncodedTexts,
    ) -> dict[str, Any]:
        """Return scores, and what is watched.

        Args:
            ranker: The ranker.
            request: Arguments of the requests.
            task: The task of all requests; None: any.
            texts: Texts of queries and candidates.
            pointers: Rows of queries and candidates in `encoded`, as fields of a Batch.
            encoded: The encoded texts.
        """
        graph, query, mask = self.graph, request["query"], _mask(request)
        state = self.layout.unpack(request["state"], ranker.compute_dtype)

        def compare() -> Any:
            return graph.compare(state.memory, query, texts.facts(), texts.rows, mask)

        batch = {
            **pointers,
            "query_length": _longest(texts),
            "task": task_of(query),
            "user": state.user,
            "candidate_mask": mask,
            "features": graph.standardise(query, mask, compare, task=task),
        }
        if task == Task.RECOMMENDATION:
            batch |= _no_searches(batch["task"])
        scores = ranker.score_past(batch, encoded, state.past)
        return {
            "scores": tf.cast(scores, tf.float32),
            "unknown_words": graph.unknown_words({**texts.rows, "text_tokens": texts.tokens}),
            **self._watch_past(state.user, state.past),
        }

    def _watch_past(self, user: Any, past: EncodedPast) -> dict[str, Any]:
        kept = tf.math.count_nonzero(past.session_types, axis=1, dtype=tf.int32)
        if past.history_mask is not None:
            kept += tf.math.count_nonzero(past.history_mask, axis=1, dtype=tf.int32)
        return {"known_user": user > 0, "history_kept": kept}

    def _past_shapes(self) -> dict[str, tuple[tuple[int, ...], Any]]:
        layout = self.layout
        return {
            "history": ((layout.history, layout.width), tf.float32),
            "history_mask": ((layout.history,), tf.bool),
            "session": ((layout.session, layout.width), tf.float32),
            "session_types": ((layout.types,), tf.int32),
        }


def _task_codes(labels: Any) -> Any:
    """Return int32 [B] codes of the labels of tasks, string [B]."""
    search, recommendation = (Task.from_label(label) for label in TASK_LABELS)
    return tf.where(tf.equal(labels, TASK_LABELS[0]), int(search), int(recommendation))


def _no_searches(task: Any) -> dict[str, Any]:
    """Return the row subset of searches of a Batch without any: KNRM is computed for one row."""
    return {
        "search_targets": tf.zeros([1], tf.int64),
        "target_place": tf.zeros_like(task),
    }


class _Texts(NamedTuple):
    """Texts of queries and candidates.

    Attributes:
        rows: Rows of the queries, `query_text`, and of the candidates, `candidate_text`.
        tokens: int32 [X, L].
        facts: Returns their facts.
    """

    rows: Mapping[str, Any]
    tokens: Any
    facts: Callable[[], TextFacts]


def _mask(request: Mapping[str, Any]) -> Any:
    """Return bool [B, C], the real candidates."""
    return tf.sequence_mask(request["candidate_count"], tf.shape(request["candidates"])[1])


def _longest(texts: _Texts) -> Any:
    """Return the tokens of the longest query, at least 1."""
    queries = tf.gather(texts.tokens, texts.rows["query_text"])
    return tf.maximum(1, tf.reduce_max(tf.math.count_nonzero(queries, axis=1, dtype=tf.int32)))


def _below(tokens: Any, others: Any) -> Any:
    """Return two tables of token ids, one below the other, as wide as the wider one."""
    width = tf.maximum(tf.shape(tokens)[1], tf.shape(others)[1])
    return tf.concat([_widen(part, width) for part in (tokens, others)], axis=0)


def _widen(table: Any, width: Any) -> Any:
    """Return a table with zeros at the end of its second axis, up to a width."""
    others = [[0, 0] for _ in table.shape[2:]]
    return tf.pad(table, [[0, 0], [0, width - tf.shape(table)[1]], *others])


def _join(first: EncodedTexts, second: EncodedTexts) -> EncodedTexts:
    """Return the texts of both, `second` after `first`."""
    return EncodedTexts(
        words=_below(first.words, tf.cast(second.words, first.words.dtype)),
        vectors=tf.concat([first.vectors, tf.cast(second.vectors, first.vectors.dtype)], axis=0),
        mask=_below(first.mask, second.mask),
    )
