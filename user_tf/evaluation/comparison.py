"""A task's rankings beside each other: improvement, significance, intervals, share of the gain."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from data_pipeline.common.codes import Task
from user_tf.evaluation import metrics, significance, slices
from user_tf.evaluation.evaluator import Evaluation
from user_tf.evaluation.heuristics import BEST, ORIGINAL

ALL_METRICS = (*metrics.METRICS, metrics.POOLED)


def compare(
    evaluations: Mapping[str, Evaluation], task: str, samples: int = 1000, seed: int = 1
) -> dict[str, Any]:
    """Compares rankings of the same targets with the original order.

    Args:
        evaluations: By name of the ranking; the original order is one of them.
        task: `search` or `recommendation`.
        samples: Resamplings of the users.
        seed: Seed of the resamplings.

    Returns:
        `queries`, `left_out`, `users` and `rankings`; a ranking holds, by name of a metric,
        `metrics`: the mean over queries; `interval`: its 95 % bounds over users; and beside the
        original order `improvement`: relative improvement in %, positive where better; `p_value`:
        paired t-test over queries; `difference`: 95 % bounds over users of the difference;
        `share_of_gain`, where the best ranking is known: (M - M_original) / (M_best -
        M_original); and `slices`: means on parts of the queries. None stands where a number does
        not exist.

    Raises:
        ValueError: The rankings are not of the same targets.
    """
    original = evaluations[ORIGINAL]
    for name, evaluation in evaluations.items():
        if not np.array_equal(evaluation.targets.target_id, original.targets.target_id):
            raise ValueError(
                "`evaluations` should be of the same targets. Received: "
                f"{len(evaluation.targets)} targets of {name!r}, {len(original.targets)} of "
                f"{ORIGINAL!r}. Evaluate all rankings on `Evaluation.targets` of one of them."
            )
    rows = original.targets.task == Task.from_label(task)
    used = rows & original.counted
    users = original.targets.take(used).user
    means = {name: evaluation.summarize(rows) for name, evaluation in evaluations.items()}
    columns = {name: _columns(evaluation, used) for name, evaluation in evaluations.items()}
    # Every ranking's means and differences are resampled together: the same users in each.
    values = [columns[name] - base for base in (0.0, columns[ORIGINAL]) for name in evaluations]
    bounds = significance.user_bootstrap(np.concatenate(values, axis=1), users, samples, seed)
    pairs: list[list[float] | None] = [[bound.low, bound.high] for bound in bounds]
    pairs = pairs or [None] * (2 * len(evaluations) * len(metrics.METRICS))
    width = len(metrics.METRICS)
    rankings: dict[str, Any] = {}
    for index, (name, evaluation) in enumerate(evaluations.items()):
        entry: dict[str, Any] = {
            "metrics": {key: means[name][key] for key in ALL_METRICS},
            "interval": dict(zip(metrics.METRICS, pairs[index * width :], strict=False)),
        }
        if name != ORIGINAL:
            after = (index + len(evaluations)) * width
            entry["improvement"] = {
                key: improvement(key, means[name][key], means[ORIGINAL][key]) for key in ALL_METRICS
            }
            entry["p_value"] = {
                key: significance.paired_t_test(columns[name][:, i], columns[ORIGINAL][:, i])
                for i, key in enumerate(metrics.METRICS)
            }
            entry["difference"] = dict(zip(metrics.METRICS, pairs[after:], strict=False))
            if BEST in means:
                entry["share_of_gain"] = {
                    key: share_of_gain(means[name][key], means[ORIGINAL][key], means[BEST][key])
                    for key in ALL_METRICS
                }
        entry["slices"] = slices.summarize(evaluation, task)
        rankings[name] = entry
    return {
        "queries": means[ORIGINAL]["queries"],
        "left_out": means[ORIGINAL]["left_out"],
        "users": len(users.unique()),
        "rankings": rankings,
    }


def improvement(metric: str, value: float | None, original: float | None) -> float | None:
    """Relative improvement in %, positive where better; None where it does not exist.

    Example:
        >>> improvement("map", 0.6, 0.5), improvement("average_click_position", 3.0, 4.0)
        (20.0, 25.0)
    """
    if value is None or not original:
        return None
    change = 100 * (value - original) / original
    return round(-change if metric == metrics.LOWER_IS_BETTER else change, 10)


def share_of_gain(value: float | None, original: float | None, best: float | None) -> float | None:
    """(value - original) / (best - original); None where the best is the original.

    Example:
        >>> share_of_gain(0.5, 0.25, 0.75)
        0.5
    """
    if value is None or original is None or best is None or best == original:
        return None
    return (value - original) / (best - original)


def _columns(evaluation: Evaluation, used: metrics.Array) -> metrics.Array:
    return np.stack([evaluation.values[name][used] for name in metrics.METRICS], axis=1)
