"""Rank requests by raw strings, inside the exported graph: signatures `rank` and `explain`.

Axis letters: B requests, H history slots, C candidates, n features, m signals of a score.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from data_pipeline.batching import row_subsets
from data_pipeline.batching.packing import standardise
from data_pipeline.batching.parsing import Tables
from data_pipeline.common.codes import BehaviorType, Task
from data_pipeline.settings import BatchSettings
from data_pipeline.text.words import Tokenizer
from user_tf.models.batch_ops import padded_history, padded_session
from user_tf.serving.graph.distinct_texts import DistinctTexts
from user_tf.serving.graph.history_selection import HistoryLimits, select_history
from user_tf.serving.graph.request_batch import pack, task_of
from user_tf.serving.graph.request_checks import RequestCaps
from user_tf.serving.graph.user_memory import Memory, TextFacts, find_past, remember
from user_tf.serving.graph.user_table import UserTable

# Rare counts reach 25 deviations; a limit of 10 would change what was evaluated.
_DEVIATIONS = 100.0
_BUCKETS = 3
WATCHED = {
    "known_user": ((), tf.bool),
    "history_kept": ((), tf.int32),
    "unknown_words": ((), tf.float32),
}
"""Shape after the rows, and dtype, of the outputs for monitoring."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """The path from raw strings to the Batch that the models score.

    Attributes:
        tokenizer: The dataset's tokenizer, the one that preparation uses.
        users: The dataset's user table.
        limits: Behaviors to keep of a history.
        tables: Standardisation of F, as training uses it.
        settings: Which tasks see F, as training used it.
        features: `RequestFeatures`, which computes F; None for a model without F.
        words: Words of the vocabulary; token ids from here on are of unknown words.
        caps: The largest request that is taken.
        row_subsets: Whether Batches have row subsets.
    """

    tokenizer: Tokenizer
    users: UserTable
    limits: HistoryLimits
    tables: Tables
    settings: BatchSettings
    features: Any
    words: int
    caps: RequestCaps = dataclasses.field(default_factory=RequestCaps)
    row_subsets: bool = False

    @property
    def feature_count(self) -> int:
        """Return n of `rank_with_features`; 0 where the model was trained without F."""
        return len(self.features.names) if self.features else 0

    def encode(self, texts: Any) -> Any:
        """Return the token ids of texts, string [X]: int32 [X, L], L static."""
        return self.features.encode(texts) if self.features else self.tokenizer.encode(texts)

    def batch(
        self, request: Mapping[str, Any], features: Any, task: Task | None = None
    ) -> dict[str, Any]:
        """Return the Batch of raw requests.

        Args:
            request: Arguments of `rank` by name.
            features: float32 [B, C, n] raw F to use instead of the graph's; NaN: the graph's.
            task: The task of all requests. Default: any.
        """
        arguments = {name: value for name, value in request.items() if name != "features"}
        return self._packed(arguments, features, task)

    @functools.cached_property
    def _packed(self) -> Any:
        # Traced once for all signatures.
        return tf.function(self._pack, autograph=False, reduce_retracing=True)

    def _pack(self, request: Mapping[str, Any], features: Any, task: Task | None) -> dict[str, Any]:
        query = request["query"]
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(request["candidates"])[1])
        past: Any = find_past(request) if self._sees_features(task) else None

        def standardised(texts: DistinctTexts) -> Any:
            def compute() -> Any:
                facts = self.features.read(texts)
                memory = remember(past, facts, texts.rows)
                return self.compare(memory, query, facts, texts.rows, mask)

            return self.standardise(query, mask, compute, features, task)

        others = past.texts if past else {}
        if task is None and not self.settings.recommendation_features:
            searched = tf.not_equal(query, "")
            others = {
                name: tf.where(tf.reshape(searched, [-1] + [1] * (len(value.shape) - 1)), value, "")
                for name, value in others.items()
            }
        return pack(request, standardised, self.limits, self.encode, self.users.find, others)

    def compare(
        self, memory: Memory, query: Any, facts: TextFacts, rows: Mapping[str, Any], mask: Any
    ) -> Any:
        """Return raw F of candidates, float32 [B, C, n]; NaN where it is unknown.

        Args:
            memory: What F needs of the users' pasts.
            query: string [B].
            facts: Facts of distinct texts.
            rows: Rows of the queries, `query_text` [B], and of the candidates, `candidate_text`
                [B, C].
            mask: bool [B, C].
        """
        of_query, of_candidates = (facts.at(rows[x]) for x in ("query_text", "candidate_text"))
        searched = tf.not_equal(query, "")
        return self.features.compare(memory, searched, of_query, of_candidates, mask)

    def _sees_features(self, task: Task | None) -> bool:
        """Return whether the model computes F for requests of a task; None: of any task."""
        seen = task != Task.RECOMMENDATION or self.settings.recommendation_features
        return self.features is not None and seen

    def standardise(
        self,
        query: Any,
        mask: Any,
        compute: Callable[[], Any],
        given: Any = None,
        task: Task | None = None,
    ) -> Any:
        """Return F as the models see it, float32 [B, C, n].

        Args:
            query: string [B].
            mask: bool [B, C], real candidates.
            compute: Returns the graph's raw F, float32 [B, C, n].
            given: float32 [B, C, n] raw F to use instead; NaN, or None: the graph's.
            task: The task of all requests. Default: any.
        """
        mean = tf.constant(self.tables.feature_mean, tf.float32)
        raw = tf.broadcast_to(mean, tf.concat([tf.shape(mask), [mean.shape[0]]], 0))
        if self._sees_features(task):
            if task is None and not self.settings.recommendation_features:
                searched, means = tf.reduce_any(tf.not_equal(query, "")), raw
                computed = tf.cond(searched, compute, lambda: means)
            else:
                computed = compute()
            if given is not None:
                reach = _DEVIATIONS * self.tables.feature_std
                clipped = tf.clip_by_value(given, mean - reach, mean + reach)
                computed = tf.where(tf.math.is_nan(given), computed, clipped)
            raw = tf.where(tf.math.is_nan(computed), mean, computed)
        parsed = {"features": raw, "task": task_of(query), "candidate_mask": mask}
        return standardise(parsed, self.tables, self.settings)["features"]

    def score(
        self,
        ranker: Callable[..., Any],
        request: Mapping[str, Any],
        features: Any,
        task: Task | None = None,
    ) -> dict[str, Any]:
        """Return scores and what is watched, by one model for every request; see `batch`."""
        batch = self.batch(request, features, task)
        found = ranker(self.add_row_subsets(batch), training=False)
        return {"scores": tf.cast(found, tf.float32)} | self.watch(batch)

    def add_row_subsets(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a Batch with what saves work and changes no score: see `spec.ROW_SUBSETS`."""
        tokens = batch["text_tokens"]
        batch = batch | self._trim_searches(batch)
        if not self.row_subsets:
            return batch
        wide = {**batch, "text_tokens": self._widen(tokens)}
        chosen = batch | row_subsets.choose(wide, _BUCKETS)
        return chosen | row_subsets.place(chosen)

    def add_buckets(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return a Batch with the buckets of its texts alone, where they save more than they cost."""
        if not self.row_subsets:
            return batch
        chosen = batch | row_subsets.choose_texts(self._widen(batch["text_tokens"]), _BUCKETS)
        return chosen | {"text_place": row_subsets.place_texts(chosen)}

    def _widen(self, tokens: Any) -> Any:
        """Return token ids with all columns that a text may have."""
        length = self.tokenizer.text_length
        wide = tf.pad(tokens, [[0, 0], [0, length - tf.shape(tokens)[1]]])
        wide.set_shape([None, length])
        return wide

    def _trim_searches(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the length of the longest query, and clicked titles without empty columns."""
        length = tf.math.count_nonzero(batch["text_tokens"], axis=1, dtype=tf.int32)
        searched = tf.equal(batch["behavior_type"], BehaviorType.SEARCH)
        of_behaviors = tf.where(searched, tf.gather(length, batch["behavior_text"]), 0)
        of_targets = tf.gather(length, batch["query_text"])
        longest = tf.maximum(tf.reduce_max(of_behaviors), tf.reduce_max(of_targets))
        clicked = batch["behavior_clicked"]
        places = tf.range(1, tf.shape(clicked)[1] + 1)
        columns = tf.maximum(tf.reduce_max(tf.where(clicked > 0, places, 0)), 1)
        return {
            "query_length": tf.maximum(longest, 1),
            "behavior_clicked": clicked[:, :columns],
            "behavior_clicked_docs": batch["behavior_clicked_docs"][:, :columns],
        }

    def explain(
        self,
        ranker: Any,
        request: Mapping[str, Any],
        features: Any,
        task: Task | None = None,
    ) -> dict[str, Any]:
        """Return the outputs of `score`, the attention to past behaviors, and parts of the scores."""
        batch = self.batch(request, features, task)
        mask = batch["candidate_mask"]
        found = ranker.explain(self.add_row_subsets(batch))
        scores = tf.cast(found["scores"], tf.float32)
        attention = self._place_attention(request, batch, found["attention"])
        parts = tf.where(mask[:, :, tf.newaxis], tf.cast(found["contributions"], tf.float32), 0.0)
        outputs = {"scores": scores, "attention": attention, "contributions": parts}
        return outputs | self.watch(batch)

    def _place_attention(
        self, request: Mapping[str, Any], batch: Mapping[str, Any], attention: Any
    ) -> Any:
        """Return the weight of every history slot, float32 [B, H]; 0: not seen."""
        rows = select_history(
            request["session"],
            request["history_count"],
            request["history_session"],
            request["history_query"],
            self.limits,
        )["rows"]
        places = tf.concat([part(batch).behaviors for part in (padded_history, padded_session)], 1)
        seen = places > 0
        slots = tf.gather(rows, tf.boolean_mask(places, seen) - 1)
        weights = tf.boolean_mask(tf.cast(attention, tf.float32), seen)
        return tf.scatter_nd(slots, weights, tf.shape(request["history_session"], tf.int64))

    def watch(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a server watches of each request; `signatures.py` lists it."""
        in_session = tf.math.count_nonzero(batch["session_behaviors"], axis=1, dtype=tf.int32)
        in_past = tf.reduce_sum(tf.gather(in_session, batch["past_sessions"]), axis=1)
        current = tf.math.count_nonzero(batch["current_behaviors"], axis=1, dtype=tf.int32)
        return {
            "known_user": batch["user"] > 0,
            "history_kept": current + in_past,
            "unknown_words": self.unknown_words(batch),
        }

    def unknown_words(self, batch: Mapping[str, Any]) -> Any:
        """Return the share of words of query and candidates outside the vocabulary, float32 [B]."""
        tokens = batch["text_tokens"]
        kinds = tf.stack([tf.greater_equal(tokens, self.words), tf.greater(tokens, 0)], axis=2)
        counts = tf.reduce_sum(tf.cast(kinds, tf.float32), axis=1)
        texts = tf.concat([batch["query_text"][:, tf.newaxis], batch["candidate_text"]], axis=1)
        unknown, every = tf.unstack(tf.reduce_sum(tf.gather(counts, texts), axis=1), axis=1)
        return unknown / tf.maximum(every, 1.0)
