"""Refuse values that break a rule, inside the exported graph, by a message that names the argument."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


class Rules:
    """Rules of one request, checked together: the first one broken gives the message.

    Example:
        >>> rules = Rules()
        >>> count = tf.constant([2, 7], tf.int64)
        >>> rules.need("count", "be at most 3", count <= 3, count, "send fewer")
        >>> rules.guard({"count": count})
        Traceback (most recent call last):
        tensorflow.python.framework.errors_impl.InvalidArgumentError: ... `count` must be at most 3. Got 7. Fix: send fewer...
    """

    def __init__(self) -> None:
        self._starts: list[str] = []
        self._ends: list[str] = []
        self._holds: list[Any] = []
        self._got: list[Any] = []

    def need(self, name: str, rule: str, holds: Any, got: Any, fix: str) -> None:
        """Add a rule.

        Args:
            name: Argument.
            rule: Rest of "`name` must ...".
            holds: bool, any shape.
            got: Values of the argument, in that shape; the largest that breaks the rule is shown.
            fix: What to do.
        """
        self.need_each([name], rule, tf.reshape(tf.reduce_all(holds), [1]), (holds, got), fix)

    def need_each(self, names: Sequence[str], rule: str, holds: Any, got: Any, fix: str) -> None:
        """Add a rule of one value for each argument: `holds` and `got` are vectors of their number."""
        self._starts += [f"`{name}` must {rule}. Got " for name in names]
        self._ends += [f". Fix: {fix}."] * len(names)
        self._holds.append(holds)
        self._got.append(got)

    def guard(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors, to be read only after the check.

        Raises:
            tf.errors.InvalidArgumentError: When run, if a rule is broken.
        """
        holds = tf.concat(self._holds, axis=0)

        def refuse() -> Any:
            first = tf.argmin(tf.cast(holds, tf.int32))
            shown = tf.strings.as_string(tf.concat([_shown(got) for got in self._got], 0)[first])
            start, end = tf.constant(self._starts)[first], tf.constant(self._ends)[first]
            check = tf.debugging.Assert(False, [tf.strings.join([start, shown, end])])
            with tf.control_dependencies([] if check is None else [check]):
                return tf.constant(False)

        checked = tf.cond(tf.reduce_all(holds), lambda: tf.constant(True), refuse)
        with tf.control_dependencies([checked]):
            return {name: tf.identity(value) for name, value in tensors.items()}


def _shown(got: Any) -> Any:
    """Return the values to show of a rule, int64 [arguments]."""
    if not isinstance(got, tuple):
        return tf.cast(got, tf.int64)
    holds, values = got
    broken = tf.where(holds, tf.int64.min, tf.cast(values, tf.int64))
    return tf.reshape(tf.reduce_max(broken), [1])
