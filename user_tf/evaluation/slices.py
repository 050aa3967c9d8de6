"""Slices of queries that are reported beside the whole."""

from collections.abc import Callable

from user_tf.evaluation.evaluator import Evaluation, Summary
from user_tf.evaluation.metrics import Array
from user_tf.evaluation.targets import TASKS, Targets

# What a row of the slice table covers, by name.
SLICES: dict[str, Callable[[Targets], Array]] = {
    "first of the user": lambda targets: targets.slices["first_of_task"].astype(bool),
    "session with both behaviors": lambda targets: targets.slices["session_has_both"].astype(bool),
    "unknown user": lambda targets: ~targets.slices["known_user"].astype(bool),
    "no past behavior": lambda targets: targets.slices["past_behaviors"] == 0,
    "repeated query": lambda targets: targets.slices["query_seen"].astype(bool),
    "pseudo-negatives": lambda targets: targets.slices["pseudo"].astype(bool),
}


def summarize(evaluation: Evaluation, task: str) -> dict[str, Summary]:
    """Summary of every slice of a task that holds a query.

    Example:
        >>> import numpy as np
        >>> from user_tf.evaluation import evaluator, targets
        >>> rows = targets.from_table(targets.example_table())
        >>> result = evaluator.evaluate(rows, np.array([3]), np.array([[1.0, 2, 3]]))
        >>> {name: row["queries"] for name, row in summarize(result, "search").items()}
        {'session with both behaviors': 1}
    """
    of_task = evaluation.targets.task == TASKS[task]
    rows = {name: of_task & holds(evaluation.targets) for name, holds in SLICES.items()}
    return {name: evaluation.summarize(row) for name, row in rows.items() if row.any()}
