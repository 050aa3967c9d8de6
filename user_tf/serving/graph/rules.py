"""Refuse values that break a rule, inside the exported graph, by a message that names the argument."""

from collections.abc import Mapping
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
        self._broken: list[Any] = []
        self._messages: list[tuple[str, Any, Any, str]] = []

    def need(self, name: str, rule: str, holds: Any, got: Any, fix: str) -> None:
        """Add a rule.

        Args:
            name: Argument.
            rule: Rest of "`name` must ...".
            holds: bool, any shape.
            got: Values of the argument, integers or strings, in that shape.
            fix: What to do.
        """
        self._broken.append(~tf.reduce_all(holds))
        self._messages.append((f"`{name}` must {rule}. Got ", holds, got, f". Fix: {fix}."))

    def guard(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors, to be read only after the check.

        Raises:
            tf.errors.InvalidArgumentError: When run, if a rule is broken.
        """
        broken = tf.stack(self._broken)

        def refuse() -> Any:
            # The first `True`.
            first = tf.argmax(tf.cast(broken, tf.int32))
            message = tf.stack([self._write(*parts) for parts in self._messages])[first]
            check = tf.debugging.Assert(False, [message])
            with tf.control_dependencies([] if check is None else [check]):
                return tf.constant(False)

        checked = tf.cond(tf.reduce_any(broken), refuse, lambda: tf.constant(True))
        with tf.control_dependencies([checked]):
            return {name: tf.identity(value) for name, value in tensors.items()}

    @staticmethod
    def _write(start: str, holds: Any, got: Any, end: str) -> Any:
        """Return the message of a rule with the first value that breaks it, string []."""
        got = tf.broadcast_to(got, tf.shape(holds))
        values = tf.boolean_mask(tf.reshape(got, [-1]), ~tf.reshape(holds, [-1]))
        shown = values if values.dtype == tf.string else tf.strings.as_string(values)
        return tf.strings.join([start, tf.concat([shown, [""]], 0)[0], end])
