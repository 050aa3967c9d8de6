"""Compare the rankings of one run with the original order of the lists."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from data_pipeline.common.codes import Task
from user_tf.evaluation import differences, metrics, slices
from user_tf.evaluation.evaluator import Evaluation
from user_tf.evaluation.heuristics import BEST, ORIGINAL

ALL_METRICS = (*metrics.METRICS, metrics.POOLED)


def compare(
    evaluations: Mapping[str, Evaluation], task: str, samples: int = 1000, seed: int = 1
) -> dict[str, Any]:
    """Compare rankings of the same targets with the original order.

    Args:
        evaluations: By name of the ranking; the original order is one of them.
        task: `search` or `recommendation`.
        samples: Resamplings of the users.
        seed: Seed of the resamplings.

    Returns:
        `queries`, `left_out`, `users` and `rankings`. A ranking holds by metric `metrics` (mean
        over queries) and `interval` (95 % bounds over users). All but the original order hold
        `improvement` to it in %, positive where better; `p_value` of the paired t-test over
        queries; `difference_interval`; and, where the best ranking is known,
        `fraction_of_oracle_gain`. `slices` holds means on parts of the queries. A number that does
        not exist is None.

    Raises:
        ValueError: The rankings are not of the same targets.
    """
    original = evaluations[ORIGINAL]
    for name, evaluation in evaluations.items():
        if not np.array_equal(evaluation.targets.target_id, original.targets.target_id):
            raise ValueError(
                "`evaluations` must be of the same targets. Got "
                f"{len(evaluation.targets)} targets of {name!r}, {len(original.targets)} of "
                f"{ORIGINAL!r}. Fix: evaluate all rankings on `Evaluation.targets` of one of them."
            )
    rows = original.targets.task == Task.from_label(task)
    used = rows & original.counted
    users = original.targets.take(used).user
    means = {name: evaluation.summarize(rows) for name, evaluation in evaluations.items()}
    values = {
        name: np.stack([evaluation.values[key][used] for key in metrics.METRICS], axis=1)
        for name, evaluation in evaluations.items()
    }
    compared = differences.compare_rankings(values, ORIGINAL, users, samples, seed)
    rankings: dict[str, Any] = {}
    for name, numbers in compared.items():
        by_metric = dict(zip(metrics.METRICS, numbers, strict=True))
        entry: dict[str, Any] = {
            "metrics": {key: means[name][key] for key in ALL_METRICS},
            "interval": {key: number.interval for key, number in by_metric.items()},
        }
        if name != ORIGINAL:
            entry["improvement"] = {
                key: differences.improvement(key, means[name][key], means[ORIGINAL][key])
                for key in ALL_METRICS
            }
            for part in ("p_value", "difference_interval"):
                entry[part] = {key: getattr(number, part) for key, number in by_metric.items()}
            if BEST in means:
                entry["fraction_of_oracle_gain"] = {
                    key: differences.fraction_of_oracle_gain(
                        means[name][key], means[ORIGINAL][key], means[BEST][key]
                    )
                    for key in ALL_METRICS
                }
        entry["slices"] = slices.summarize(evaluations[name], task)
        rankings[name] = entry
    return {
        "queries": means[ORIGINAL]["queries"],
        "left_out": means[ORIGINAL]["left_out"],
        "users": len(users.unique()),
        "rankings": rankings,
    }
