"""Build the served graph: signatures `rank` and `rank_with_features` on raw strings.

Arguments, with B requests, H history slots, K history titles, O documents
opened, C candidates, n features:

| argument | dtype, shape | meaning |
|---|---|---|
| user_id | string [B] | masked id as in the log; unknown ids share one row |
| query | string [B] | "" for a recommendation |
| session | int64 [B] | number of the current session, from 1 |
| history_count | int64 [B] | past behaviors of each request |
| history_session | int64 [B, H] | number of each past behavior's session, oldest first |
| history_query | string [B, H] | "" for a browse |
| history_title_count | int64 [B, H] | titles of each past behavior: clicks of a search, 1 of a browse |
| history_titles | string [B, K] | the titles of all past behaviors, one behavior after the other |
| opened_count | int64 [B] | documents the user opened; 0: those of the history count |
| opened_session | int64 [B, O] | number of the session of each, 0: some earlier one; oldest first |
| opened_query | string [B, O] | query of the search of each, "" without one |
| opened_titles | string [B, O] | title of each |
| candidate_count | int64 [B] | candidates of each request |
| candidates | string [B, C] | titles |
| features | float32 [B, C, n] | raw F instead of the graph's; NaN: the graph's. Only `rank_with_features` |

Results:

| result | dtype, shape | meaning |
|---|---|---|
| scores | float32 [B, C] | beyond `candidate_count` the lowest finite float32 (`request.PADDING_SCORE`), which JSON can carry and which sorts last |
| known_user | bool [B] | whether the user has a row of the user table |
| history_kept | int32 [B] | behaviors of the history that the model sees |
| unknown_words | float32 [B] | share of the words of query and candidates outside the vocabulary |

The last three are for monitoring: a wrong masking key or a wrong language shows in them at once.

Nothing beyond the counts is read, whatever stands there: TensorFlow Serving
(`pad_variable_length_inputs`) pads each array with its own first value. No array has more axes for
a history than for none, so that an empty list of a REST request, [1, 0], has the rank of any other.
TensorFlow Serving knows no optional arguments, hence two signatures.

F is computed in the graph (`request_features`). What it cannot know, the counts over all users of a
model without a snapshot, is the mean. Values that are given count up to 100 standard deviations.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from data_pipeline.batching.packing import standardise
from data_pipeline.batching.parsing import Tables
from data_pipeline.common.codes import TASK_LABELS, Task
from data_pipeline.settings import BatchSettings
from data_pipeline.text.words import Tokenizer
from user_tf.serving.graph.history_selection import HistoryLimits
from user_tf.serving.graph.request_batch import pack, task_of
from user_tf.serving.graph.request_features import RequestFeatures
from user_tf.serving.graph.user_table import UserTable
from user_tf.serving.request import PADDING_SCORE

# Rare counts reach 25 deviations; a limit of 10 would change what was evaluated.
_DEVIATIONS = 100.0
_DESCRIBED = {"known_user": tf.bool, "history_kept": tf.int32, "unknown_words": tf.float32}


@dataclasses.dataclass(frozen=True)
class Graph:
    """The path from raw strings to the Batch that the models score.

    Attributes:
        tokenizer: The dataset's tokenizer, the one that preparation uses.
        users: The dataset's user table.
        limits: Behaviors to keep of a history.
        tables: Standardisation of F, as training uses it.
        settings: Which tasks see F, as training used it.
        features: Computes F; None for a model without F.
        words: Words of the vocabulary; token ids from here on are of unknown words.
    """

    tokenizer: Tokenizer
    users: UserTable
    limits: HistoryLimits
    tables: Tables
    settings: BatchSettings
    features: RequestFeatures | None
    words: int

    @property
    def feature_count(self) -> int:
        """Return n of `rank_with_features`; 0 where the model was trained without F."""
        return len(self.features.names) if self.features else 0

    def batch(self, request: Mapping[str, Any], features: Any) -> dict[str, Any]:
        """Return the Batch of raw requests.

        Args:
            request: Arguments of `rank` by name.
            features: float32 [B, C, n] raw F to use instead of the graph's; NaN: the graph's.
        """
        raw = self._raw_features(request, features)
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(raw)[1])
        parsed = {"features": raw, "task": task_of(request["query"]), "candidate_mask": mask}
        standardised = standardise(parsed, self.tables, self.settings)["features"]
        return pack(request, standardised, self.limits, self.tokenizer.encode, self.users.find)

    def _raw_features(self, request: Mapping[str, Any], features: Any) -> Any:
        """Return finite raw F, float32 [B, C, n]: what is given, else what is computed or the mean."""
        mean = tf.constant(self.tables.feature_mean, tf.float32)
        shape = tf.concat([tf.shape(request["candidates"]), [mean.shape[0]]], 0)
        means = tf.broadcast_to(mean, shape)
        if self.features is None:
            return means
        compute = functools.partial(self.features.compute, request)
        if self.settings.recommendation_features:
            computed = compute()
        else:
            # Recommendations see no F.
            searched = tf.reduce_any(tf.not_equal(request["query"], ""))
            computed = tf.cond(searched, compute, lambda: means)
        reach = _DEVIATIONS * self.tables.feature_std
        given = tf.clip_by_value(features, mean - reach, mean + reach)
        raw = tf.where(tf.math.is_nan(features), computed, given)
        return tf.where(tf.math.is_nan(raw), mean, raw)

    def score(
        self, ranker: Callable[..., Any], request: Mapping[str, Any], features: Any
    ) -> dict[str, Any]:
        """Return the outputs of a signature, with the scores of one model for every request."""
        batch = self.batch(request, features)
        scores = tf.cast(ranker(batch, training=False), tf.float32)
        scores = tf.where(batch["candidate_mask"], scores, PADDING_SCORE)
        return {"scores": scores} | _describe(batch, self.words)


def _describe(batch: Mapping[str, Any], words: int) -> dict[str, Any]:
    """Return what a server watches of each request; the module's docstring lists it."""
    in_session = tf.math.count_nonzero(batch["session_behaviors"], axis=1, dtype=tf.int32)
    in_past = tf.reduce_sum(tf.gather(in_session, batch["past_sessions"]), axis=1)
    current = tf.math.count_nonzero(batch["current_behaviors"], axis=1, dtype=tf.int32)
    texts = tf.concat([batch["query_text"][:, tf.newaxis], batch["candidate_text"]], axis=1)
    tokens = tf.gather(batch["text_tokens"], texts)
    unknown = tf.math.count_nonzero(tokens >= words, axis=[1, 2], dtype=tf.float32)
    every = tf.math.count_nonzero(tokens, axis=[1, 2], dtype=tf.float32)
    return {
        "known_user": batch["user"] > 0,
        "history_kept": current + in_past,
        "unknown_words": unknown / tf.maximum(every, 1.0),
    }


def route(
    graph: Graph,
    copies: Mapping[str, Any],
    request: Mapping[str, Any],
    features: Any,
) -> dict[str, Any]:
    """Score each request by its task's copy; a batch of one task runs one copy only.

    Args:
        graph: Path from strings to the Batch.
        copies: Rankers by task, one or both of `TASK_LABELS`; both may be the same object.
        request: Arguments of `rank` by name.
        features: float32 [B, C, n] raw F to use instead of the graph's; NaN: the graph's.

    Returns:
        The outputs of a signature.

    Raises:
        tf.errors.InvalidArgumentError: When run, on a request of a task that no copy was trained
            on.
    """
    task_codes = task_of(request["query"])
    is_task = {task: tf.equal(task_codes, Task.from_label(task)) for task in TASK_LABELS}
    if len(copies) == 1:
        (task,) = copies
        rule = "be empty" if task == "recommendation" else "not be empty"
        message = (
            f"`query` must {rule}: this model was trained for {task} only. Got a request of the "
            "other task. Fix: export a run of both tasks."
        )
        tf.debugging.Assert(tf.reduce_all(is_task[task]), [message])
    if len({id(ranker) for ranker in copies.values()}) == 1:
        return graph.score(next(iter(copies.values())), request, features)

    count = tf.shape(request["candidates"])[1]
    rows, outputs = [], []
    for task in TASK_LABELS:
        mine = tf.where(is_task[task])[:, 0]

        def score_some(task: str = task, mine: Any = mine) -> Any:
            part = {name: tf.gather(value, mine) for name, value in request.items()}
            return graph.score(copies[task], part, tf.gather(features, mine))

        def score_none() -> Any:
            return {"scores": tf.zeros([0, count])} | {
                name: tf.zeros([0], dtype) for name, dtype in _DESCRIBED.items()
            }

        outputs.append(tf.cond(tf.size(mine) > 0, score_some, score_none))
        rows.append(tf.cast(mine, tf.int32))
    return {
        name: tf.dynamic_stitch(rows, [output[name] for output in outputs]) for name in outputs[0]
    }


def archive(graph: Graph, copies: Mapping[str, Any]) -> Any:
    """Return an ExportArchive with the signatures; `rank` is also `serving_default`.

    Args:
        graph: Path from strings to the Batch.
        copies: Built rankers by task, one or both of `TASK_LABELS`; both may be the same object.

    Returns:
        keras.export.ExportArchive, ready for `write_out`.
    """
    specs = [
        tf.TensorSpec([None], tf.string, name="user_id"),
        tf.TensorSpec([None], tf.string, name="query"),
        tf.TensorSpec([None], tf.int64, name="session"),
        tf.TensorSpec([None], tf.int64, name="history_count"),
        tf.TensorSpec([None, None], tf.int64, name="history_session"),
        tf.TensorSpec([None, None], tf.string, name="history_query"),
        tf.TensorSpec([None, None], tf.int64, name="history_title_count"),
        tf.TensorSpec([None, None], tf.string, name="history_titles"),
        tf.TensorSpec([None], tf.int64, name="opened_count"),
        tf.TensorSpec([None, None], tf.int64, name="opened_session"),
        tf.TensorSpec([None, None], tf.string, name="opened_query"),
        tf.TensorSpec([None, None], tf.string, name="opened_titles"),
        tf.TensorSpec([None], tf.int64, name="candidate_count"),
        tf.TensorSpec([None, None], tf.string, name="candidates"),
    ]
    names = [spec.name for spec in specs]
    wide = tf.TensorSpec([None, None, graph.feature_count], tf.float32, name="features")

    def score(*arguments: Any) -> dict[str, Any]:
        request = dict(zip(names, arguments[:-1], strict=True))
        return route(graph, copies, request, arguments[-1])

    # One function under both signatures: the models are traced and stored once.
    shared = tf.function(score, input_signature=[*specs, wide], autograph=False)

    def rank(*arguments: Any) -> dict[str, Any]:
        candidates = arguments[names.index("candidates")]
        shape = tf.concat([tf.shape(candidates), [graph.feature_count]], 0)
        return shared(*arguments, tf.fill(shape, math.nan))

    def rank_with_features(*arguments: Any) -> dict[str, Any]:
        return shared(*arguments)

    result = keras.export.ExportArchive()
    models = {id(ranker): ranker for ranker in copies.values()}.values()
    for resource in (graph.tokenizer, graph.users, graph.features, *models):
        if resource is not None:
            result.track(resource)
    result.add_endpoint("rank", rank, specs)
    if graph.feature_count:
        result.add_endpoint("rank_with_features", rank_with_features, [*specs, wide])
    return result
