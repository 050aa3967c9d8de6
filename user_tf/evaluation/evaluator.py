"""The evaluator: metrics of the scores of a split's targets, in training and after it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from data_pipeline.common.codes import TASK_LABELS, Task
from user_tf.evaluation import metrics
from user_tf.evaluation.evaluated_targets import SLICE_COLUMNS, Targets
from user_tf.evaluation.metrics import Array

Summary = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Metrics of one ranking.

    Attributes:
        targets: The targets evaluated, in ascending order of id. Q of them.
        scores: float64 [Q, C], NaN at padding.
        values: [Q] for each name of `metrics.METRICS`, NaN where a query is not counted.
    """

    targets: Targets
    scores: Array
    values: dict[str, Array]

    @property
    def counted(self) -> Array:
        """bool [Q]: queries with a relevant and an irrelevant candidate."""
        return ~np.isnan(self.values["map"])

    def summary(self) -> dict[str, Summary]:
        """Summarize each task that has targets: {"search": {"map": ...}, ...}."""
        return {
            task: self.summarize(self.targets.task == Task.from_label(task))
            for task in TASK_LABELS
            if (self.targets.task == Task.from_label(task)).any()
        }

    def summarize(self, rows: Array) -> Summary:
        """Return means over the counted queries among `rows`, bool [Q].

        Returns:
            `queries` counted, `left_out` (no relevant or no irrelevant candidate), every name of
            `metrics.METRICS` and `auc_pooled`; None instead of a mean of no query.
        """
        used = rows & self.counted
        queries = int(used.sum())
        result: Summary = {"queries": queries, "left_out": int(rows.sum()) - queries}
        for name in metrics.METRICS:
            result[name] = float(self.values[name][used].mean()) if queries else None
        pooled = metrics.pooled_auc(
            self.targets.labels[used], self.scores[used], self.targets.mask[used]
        )
        result[metrics.POOLED] = pooled if queries else None
        return result

    def table(self) -> pa.Table:
        """Return one row a query: target_id, task, user_id, slice columns, counted, metrics (or null)."""
        columns: dict[str, Any] = {
            "target_id": self.targets.target_id,
            "task": [Task(code).label for code in self.targets.task.tolist()],
            "user_id": self.targets.user,
        }
        columns |= {name: self.targets.slices[name] for name in SLICE_COLUMNS}
        columns["counted"] = self.counted
        for name in metrics.METRICS:
            columns[name] = pa.array(self.values[name], pa.float64(), from_pandas=True)
        return pa.table(columns)


def evaluate(targets: Targets, target_ids: Array, scores: Array) -> Evaluation:
    """Compute the metrics of scores keyed by target id, for the keyed targets.

    Args:
        targets: The split's targets.
        target_ids: int64 [n], in any order.
        scores: [n, C'], in the candidates' original order.

    Raises:
        ValueError: An id is not of the split; a candidate has no finite score.

    Example:
        >>> from user_tf.evaluation.evaluated_targets import example_table, from_table
        >>> result = evaluate(from_table(example_table()), np.array([3]), np.array([[1.0, 2, 3]]))
        >>> result.summary()["search"]["mrr"]
        0.5
    """
    rows, lists = targets.align(target_ids, scores)
    chosen = targets.take(rows)
    return Evaluation(chosen, lists, metrics.query_metrics(chosen.labels, lists, chosen.mask))


def compiled_forward(model: Any, element_spec: Any = None) -> Callable[[Mapping[str, Any]], Any]:
    """Return a `tf.function` of `model(batch, training=False)`; keep it, so that it is traced once.

    Args:
        model: A Keras model.
        element_spec: `batches.element_spec`, whose open sizes let one trace serve every padded
            size. Default: one trace for each padded size.
    """
    import tensorflow as tf

    signature = None if element_spec is None else [element_spec]
    return tf.function(
        lambda batch: model(batch, training=False), input_signature=signature, autograph=False
    )


def score_targets(
    model_or_forward: Any, batches: Iterable[Mapping[str, Any]]
) -> tuple[Array, Array]:
    """Score every target of evaluation batches.

    Args:
        model_or_forward: A Keras model, or a function from a batch to scores [T, C], such as
            `compiled_forward` gives.
        batches: Batches with `target_id` [T] (-1 padding) and `candidate_mask` [T, C].

    Returns:
        target ids int64 [n]; scores float64 [n, longest list], NaN at padding.

    Example:
        >>> batch = {"target_id": np.array([8, -1]), "candidate_mask": np.array([[True], [False]])}
        >>> score_targets(lambda batch: np.array([[0.5], [0.0]]), [batch])
        (array([8]), array([[0.5]]))
    """
    forward = model_or_forward
    if hasattr(forward, "trainable_variables"):
        forward = compiled_forward(forward, getattr(batches, "element_spec", None))
    ids, parts = [], []
    for batch in batches:
        target_id = np.asarray(batch["target_id"])
        real = target_id >= 0
        scores = np.asarray(forward(batch)).astype(np.float64)
        mask = np.asarray(batch["candidate_mask"])
        ids.append(target_id[real])
        parts.append(np.where(mask, scores, np.nan)[real])
    width = max((part.shape[1] for part in parts), default=0)
    padded = [
        np.pad(part, [(0, 0), (0, width - part.shape[1])], constant_values=np.nan) for part in parts
    ]
    if not padded:
        return np.zeros(0, np.int64), np.zeros((0, 0))
    return np.concatenate(ids), np.concatenate(padded)
