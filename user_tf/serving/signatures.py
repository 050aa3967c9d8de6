"""Build the served graph: signatures `rank` and `rank_with_features` on raw strings.

Arguments, with B requests, H history slots, W clicked titles (3), C candidates, n features:

| argument | dtype, shape | meaning |
|---|---|---|
| user_id | string [B] | masked id as in the log; unknown ids share one row |
| query | string [B] | "" for a recommendation |
| session | int64 [B] | number of the current session, from 1 |
| history_session | int64 [B, H] | number of each past behavior's session, oldest first; below 1: padding |
| history_query | string [B, H] | "" for a browse |
| history_titles | string [B, H, W] | a search's clicked titles, or a browsed title first; "" padding |
| candidates | string [B, C] | titles |
| candidate_count | int64 [B] | real candidates of each row: an empty title is a legal one |
| features | float32 [B, C, n] | raw F; not finite: missing. Only `rank_with_features` |

Result: `scores` float32 [B, C]; beyond `candidate_count` it holds the lowest finite float32
(`request.PADDING_SCORE`), which JSON can carry and which sorts last.

Padding of session numbers is 0, so that TensorFlow Serving may batch requests of different
lengths by `pad_variable_length_inputs`. TensorFlow Serving knows no optional arguments, hence two
signatures; F is standardised in the graph, and a missing value counts as the mean.
"""

import dataclasses
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
from user_tf.serving.history_selection import HistoryLimits
from user_tf.serving.request import PADDING_SCORE
from user_tf.serving.request_batch import pack, task_of
from user_tf.serving.user_table import UserTable


@dataclasses.dataclass(frozen=True)
class Graph:
    """The path from raw strings to the Batch that the models score.

    Attributes:
        tokenizer: The dataset's tokenizer, the one that preparation uses.
        users: The dataset's user table.
        limits: Behaviors to keep of a history.
        tables: Standardisation of F, as training uses it.
        settings: Which tasks see F, as training used it.
    """

    tokenizer: Tokenizer
    users: UserTable
    limits: HistoryLimits
    tables: Tables
    settings: BatchSettings

    @property
    def feature_count(self) -> int:
        """Return n of `rank_with_features`; 0 where the model was trained without F."""
        return len(self.tables.feature_mean) if self.settings.features else 0

    def batch(self, request: Mapping[str, Any], features: Any) -> dict[str, Any]:
        """Return the Batch of raw requests.

        Args:
            request: Arguments of `rank` by name.
            features: float32 [B, C, n] raw F; NaN where missing.
        """
        mean = tf.constant(self.tables.feature_mean, tf.float32)
        shape = tf.concat([tf.shape(request["candidates"]), [mean.shape[0]]], 0)
        raw = tf.broadcast_to(mean, shape)
        if self.feature_count:
            raw = tf.where(tf.math.is_finite(features), features, raw)
        mask = tf.sequence_mask(request["candidate_count"], tf.shape(raw)[1])
        parsed = {"features": raw, "task": task_of(request["query"]), "candidate_mask": mask}
        standardised = standardise(parsed, self.tables, self.settings)["features"]
        return pack(request, standardised, self.limits, self.tokenizer.encode, self.users.find)

    def score(self, ranker: Callable[..., Any], request: Mapping[str, Any], features: Any) -> Any:
        """Return float32 [B, C], the scores of one model for every request."""
        batch = self.batch(request, features)
        scores = tf.cast(ranker(batch, training=False), tf.float32)
        return tf.where(batch["candidate_mask"], scores, PADDING_SCORE)


def route(
    graph: Graph,
    copies: Mapping[str, Any],
    request: Mapping[str, Any],
    features: Any,
) -> Any:
    """Score each request by its task's copy; a batch of one task runs one copy only.

    Args:
        graph: Path from strings to the Batch.
        copies: Rankers by task, one or both of `TASK_LABELS`; both may be the same object.
        request: Arguments of `rank` by name.
        features: float32 [B, C, n] raw F; NaN where missing.

    Returns:
        float32 [B, C].

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
    rows, scores = [], []
    for task in TASK_LABELS:
        mine = tf.where(is_task[task])[:, 0]

        def score_some(task: str = task, mine: Any = mine) -> Any:
            part = {name: tf.gather(value, mine) for name, value in request.items()}
            return graph.score(copies[task], part, tf.gather(features, mine))

        def score_none() -> Any:
            return tf.zeros([0, count])

        scores.append(tf.cond(tf.size(mine) > 0, score_some, score_none))
        rows.append(tf.cast(mine, tf.int32))
    return tf.dynamic_stitch(rows, scores)


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
        tf.TensorSpec([None, None], tf.int64, name="history_session"),
        tf.TensorSpec([None, None], tf.string, name="history_query"),
        tf.TensorSpec([None, None, graph.limits.clicked_titles], tf.string, name="history_titles"),
        tf.TensorSpec([None, None], tf.string, name="candidates"),
        tf.TensorSpec([None], tf.int64, name="candidate_count"),
    ]
    names = [spec.name for spec in specs]
    wide = tf.TensorSpec([None, None, graph.feature_count], tf.float32, name="features")

    def score(*arguments: Any) -> dict[str, Any]:
        request = dict(zip(names, arguments[:-1], strict=True))
        return {"scores": route(graph, copies, request, arguments[-1])}

    # One function under both signatures: the models are traced and stored once.
    shared = tf.function(score, input_signature=[*specs, wide], autograph=False)

    def rank(*arguments: Any) -> dict[str, Any]:
        candidates = arguments[names.index("candidates")]
        shape = tf.concat([tf.shape(candidates), [graph.feature_count]], 0)
        return shared(*arguments, tf.fill(shape, math.nan))

    def rank_with_features(*arguments: Any) -> dict[str, Any]:
        return shared(*arguments)

    result = keras.export.ExportArchive()
    for resource in (graph.tokenizer, graph.users, *{id(c): c for c in copies.values()}.values()):
        result.track(resource)
    result.add_endpoint("rank", rank, specs)
    if graph.feature_count:
        result.add_endpoint("rank_with_features", rank_with_features, [*specs, wide])
    return result
