"""Let each request be computed by the weights of its task, inside the exported graph."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from data_pipeline.common.codes import TASK_LABELS, Task

Shapes = Mapping[str, tuple[tuple[Any, ...], Any]]
"""By output: its shape after the rows, and its dtype."""


def route(
    copies: Mapping[str, Any],
    task_codes: Any,
    arguments: Mapping[str, Any],
    compute: Callable[[Any, Mapping[str, Any]], dict[str, Any]],
    shapes: Shapes,
    scope: Callable[[Any], Any] = contextlib.nullcontext,
    argument: str = "query",
) -> dict[str, Any]:
    """Compute each row by its task's copy; rows of one task run one copy only.

    Args:
        copies: Rankers by task, one or both of `TASK_LABELS`; both may be the same object.
        task_codes: int32 [B], task of each row.
        arguments: Tensors of B rows.
        compute: Returns outputs from a ranker and the arguments of some rows.
        shapes: Of every output.
        scope: Returns a context in which a ranker is called. Default: none.
        argument: Argument that says the task, `query` or `task`. Default: `query`.

    Raises:
        tf.errors.InvalidArgumentError: When run, on a row of a task that no copy was trained on.
    """
    is_task = {task: tf.equal(task_codes, Task.from_label(task)) for task in TASK_LABELS}
    if len(copies) == 1:
        (task,) = copies
        rule = "be empty" if task == "recommendation" else "not be empty"
        rule = rule if argument == "query" else f"be {task}"
        message = (
            f"`{argument}` must {rule}: this model was trained for {task} only. Got a request of the "
            "other task. Fix: export a run of both tasks."
        )
        tf.debugging.Assert(tf.reduce_all(is_task[task]), [message])
    if len({id(ranker) for ranker in copies.values()}) == 1:
        ranker = next(iter(copies.values()))
        with scope(ranker):
            return compute(ranker, arguments)

    rows, outputs = [], []
    for task in TASK_LABELS:
        mine = tf.where(is_task[task])[:, 0]

        def compute_some(task: str = task, mine: Any = mine) -> Any:
            part = {name: tf.gather(value, mine) for name, value in arguments.items()}
            with scope(copies[task]):
                return compute(copies[task], part)

        def compute_none() -> Any:
            return {name: tf.zeros([0, *shape], dtype) for name, (shape, dtype) in shapes.items()}

        outputs.append(tf.cond(tf.size(mine) > 0, compute_some, compute_none))
        rows.append(tf.cast(mine, tf.int32))
    return {
        name: tf.dynamic_stitch(rows, [output[name] for output in outputs]) for name in outputs[0]
    }
