"""Let each request be computed by the weights of its task, inside the exported graph."""

import contextlib
import functools
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
    compute: Callable[[Any, Mapping[str, Any], Task | None], dict[str, Any]],
    shapes: Shapes,
    scope: Callable[[Any], Any] = contextlib.nullcontext,
    argument: str = "query",
) -> dict[str, Any]:
    """Compute each row by its task's copy; rows of one task run one copy only.

    Args:
        copies: Rankers by task, one or both of `TASK_LABELS`; both may be the same object.
        task_codes: int32 [B], task of each row.
        arguments: Tensors of B rows.
        compute: Returns outputs from a ranker, the arguments of some rows, and the task of these
            rows; None: any.
        shapes: Of every output.
        scope: Returns a context in which a ranker is called. Default: none.
        argument: Argument that says the task, `query` or `task`. Default: `query`.

    Raises:
        tf.errors.InvalidArgumentError: When run, on a row of a task that no copy was trained on.
    """
    is_task = {Task.from_label(x): tf.equal(task_codes, Task.from_label(x)) for x in TASK_LABELS}
    if len(copies) == 1:
        (label,) = copies
        rule = "be empty" if label == "recommendation" else "not be empty"
        rule = rule if argument == "query" else f"be {label}"
        message = (
            f"`{argument}` must {rule}: this model was trained for {label} only. Got a request of the "
            "other task. Fix: export a run of both tasks."
        )
        tf.debugging.Assert(tf.reduce_all(is_task[Task.from_label(label)]), [message])
    if len({id(ranker) for ranker in copies.values()}) == 1:
        ranker = next(iter(copies.values()))
        task = Task.from_label(next(iter(copies))) if len(copies) == 1 else None
        with scope(ranker):
            return compute(ranker, arguments, task)

    def compute_some(task: Task, mine: Any) -> dict[str, Any]:
        part = {name: tf.gather(value, mine) for name, value in arguments.items()}
        ranker = copies[task.label]
        with scope(ranker):
            return compute(ranker, part, task)

    def compute_none() -> dict[str, Any]:
        return {name: tf.zeros([0, *shape], dtype) for name, (shape, dtype) in shapes.items()}

    rows, outputs = [], []
    for task, holds in is_task.items():
        mine = tf.where(holds)[:, 0]
        # In one piece: a copy without rows costs one operation, not one for each of its own.
        some = tf.function(
            functools.partial(compute_some, task, mine),
            autograph=False,
            experimental_attributes={"_noinline": True},
        )
        outputs.append(tf.cond(tf.size(mine) > 0, some, compute_none))
        rows.append(tf.cast(mine, tf.int32))
    return {
        name: tf.dynamic_stitch(rows, [output[name] for output in outputs]) for name in outputs[0]
    }
