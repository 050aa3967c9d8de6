"""Rank in stages, inside the exported graph: a user's past once, targets against it many times.

Axis letters: B requests, C candidates, S numbers of a state, X texts.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from data_pipeline.common.codes import TASK_LABELS, Task
from user_tf.models.batch_ops import EncodedPast, EncodedTexts, split_by_length
from user_tf.serving.graph.distinct_texts import DistinctTexts, number_texts
from user_tf.serving.graph.ranking import WATCHED, Graph
from user_tf.serving.graph.request_batch import pack, task_of
from user_tf.serving.graph.rules import Rules
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

        def encode(ranker: Any, part: Mapping[str, Any]) -> dict[str, Any]:
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
        return self._route(self._check_task(request), self._score_titles)

    def rank_documents(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scores of documents by a state, and what is watched.

        Args:
            request: Checked arguments of `rank_documents` by name.
        """
        shapes = {"known_documents": ((), tf.float32)}
        return self._route(self._check_task(request), self._score_documents, shapes)

    def _route(self, request: Mapping[str, Any], compute: Any, shapes: Any = None) -> Any:
        count = tf.shape(request["candidates"])[1]
        every = {"scores": ((count,), tf.float32), **WATCHED, **(shapes or {})}
        return route(self.copies, task_of(request["query"]), request, compute, every, self.scope)

    def _check_task(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request, whose state must be of the query's task."""
        rules = Rules()
        task = self.layout.unpack(request["state"]).task
        holds = tf.equal(task, task_of(request["query"]))
        if len({id(ranker) for ranker in self.copies.values()}) == 1:
            # One model for both tasks: a state serves both.
            return dict(request)
        rule = "be a state of the task of the query; its task is shown, 1 for recommendation"
        rules.need("state", rule, holds, task, "encode the user with `task` of the query")
        return rules.guard(request)

    def _score_titles(self, ranker: Any, request: Mapping[str, Any]) -> dict[str, Any]:
        query, titles = request["query"], request["candidates"]
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(titles)[1])
        groups = {"query_text": query, "candidate_text": tf.where(mask, titles, "")}
        texts = number_texts(groups, self.graph.encode)
        state = self._unpack(ranker, request)

        def compare() -> Any:
            facts = self.graph.features.read(texts)
            return self.graph.compare(state.memory, query, facts, texts.rows, mask)

        batch = self._targets(state, query, mask, compare) | dict(texts.rows)
        batch["text_tokens"] = texts.tokens
        batch["query_length"] = _longest(texts)
        buckets, renumbered = split_by_length(self.graph.add_buckets(batch))
        encoded = ranker.encode_texts(buckets)
        return self._score(ranker, renumbered, encoded, state) | {
            "unknown_words": self.graph.unknown_words(batch)
        }

    def _score_documents(self, ranker: Any, request: Mapping[str, Any]) -> dict[str, Any]:
        query = request["query"]
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(request["candidates"])[1])
        rows = tf.where(mask, self.documents.find(request["document_ids"]), 0)
        known = rows > 0
        groups = {
            "query_text": query,
            "candidate_text": tf.where(mask & ~known, request["candidates"], ""),
        }
        texts = number_texts(groups, self.graph.encode)
        state = self._unpack(ranker, request)

        def compare() -> Any:
            features = self.graph.features
            facts = features.read(texts)
            of_rows = self.documents.facts(rows)
            of_titles = facts.at(texts.rows["candidate_text"])
            width = tf.maximum(tf.shape(of_rows.tokens)[2], tf.shape(of_titles.tokens)[2])
            of_rows, of_titles = (
                part._replace(tokens=_pad_end(part.tokens, 2, width))
                for part in (of_rows, of_titles)
            )
            titles = TextFacts(
                *(
                    tf.where(_widen(known, of_row), of_row, of_title)
                    for of_row, of_title in zip(of_rows, of_titles, strict=True)
                )
            )
            of_query = facts.at(texts.rows["query_text"])
            return features.compare(state.memory, tf.not_equal(query, ""), of_query, titles, mask)

        # Rows of the request's own texts, then one of each document.
        tokens = texts.tokens
        own = ranker.encode_texts([tokens])
        kept = self.documents.encoded_texts(ranker, tf.reshape(rows, [-1]))
        place = tf.reshape(tf.range(tf.size(rows)), tf.shape(rows)) + tf.shape(tokens)[0]
        pointers = dict(texts.rows)
        pointers["candidate_text"] = tf.where(known, place, pointers["candidate_text"])
        batch = self._targets(state, query, mask, compare) | pointers
        batch["query_length"] = _longest(texts)
        counted = {
            "text_tokens": _below(tokens, tf.gather(self.documents.tokens, tf.reshape(rows, [-1]))),
            **pointers,
        }
        real = tf.math.count_nonzero(mask, axis=1, dtype=tf.float32)
        share = tf.math.count_nonzero(known, axis=1, dtype=tf.float32) / tf.maximum(real, 1.0)
        return self._score(ranker, batch, _join(own, kept), state) | {
            "unknown_words": self.graph.unknown_words(counted),
            "known_documents": share,
        }

    def _unpack(self, ranker: Any, request: Mapping[str, Any]) -> UserState:
        return self.layout.unpack(request["state"], ranker.compute_dtype)

    def _targets(self, state: UserState, query: Any, mask: Any, compare: Any) -> dict[str, Any]:
        """Return the fields of a Batch that `score_past` reads, without texts."""
        return {
            "task": task_of(query),
            "user": state.user,
            "candidate_mask": mask,
            "features": self.graph.standardise(query, mask, compare, None),
        }

    def _score(
        self, ranker: Any, batch: dict[str, Any], texts: EncodedTexts, state: UserState
    ) -> dict[str, Any]:
        """Return scores, and what is watched of the past."""
        if len(self.copies) == 2 and ranker is self.copies["recommendation"]:
            batch = batch | _no_searches(batch["task"])
        scores = ranker.score_past(batch, texts, state.past)
        return {"scores": tf.cast(scores, tf.float32)} | self._watch_past(state.user, state.past)

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


def _longest(texts: DistinctTexts) -> Any:
    """Return the tokens of the longest query, at least 1."""
    queries = tf.gather(texts.tokens, texts.rows["query_text"])
    return tf.maximum(1, tf.reduce_max(tf.math.count_nonzero(queries, axis=1, dtype=tf.int32)))


def _widen(mask: Any, other: Any) -> Any:
    """Return a mask with axes of size 1 up to the rank of another tensor."""
    return tf.reshape(mask, tf.concat([tf.shape(mask), [1] * (len(other.shape) - 2)], 0))


def _below(tokens: Any, others: Any) -> Any:
    """Return two tables of token ids, one below the other, as wide as the wider one."""
    width = tf.maximum(tf.shape(tokens)[1], tf.shape(others)[1])
    return tf.concat([_pad_end(part, 1, width) for part in (tokens, others)], axis=0)


def _pad_end(table: Any, axis: int, width: Any) -> Any:
    """Return a table with zeros at the end of an axis, up to a width."""
    padding: list[list[Any]] = [[0, 0] for _ in table.shape]
    padding[axis] = [0, width - tf.shape(table)[axis]]
    return tf.pad(table, padding)


def _join(first: EncodedTexts, second: EncodedTexts) -> EncodedTexts:
    """Return the texts of both, `second` after `first`."""
    return EncodedTexts(
        words=_below(first.words, tf.cast(second.words, first.words.dtype)),
        vectors=tf.concat([first.vectors, tf.cast(second.vectors, first.vectors.dtype)], axis=0),
        mask=_below(first.mask, second.mask),
    )
