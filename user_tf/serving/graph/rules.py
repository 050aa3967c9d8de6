"""Refuse values that break a rule, inside the exported graph, by a message that names the argument."""

from collections.abc import Callable, Mapping, Sequence
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
        self._parts: list[tuple[list[str], str, Any, Any]] = []
        self._rare: list[tuple[Any, Callable[[], None]]] = []

    def need(self, name: str, rule: str, holds: Any, got: Any, fix: str) -> None:
        """Add a rule.

        Args:
            name: Argument.
            rule: Rest of "`name` must ...".
            holds: bool, any shape.
            got: Values of the argument, in that shape; the largest that breaks the rule is shown.
            fix: What to do.
        """
        self.need_each([name], rule, holds, got, fix)

    def need_each(self, names: Sequence[str], rule: str, holds: Any, got: Any, fix: str) -> None:
        """Add a rule of one value for each argument: `holds` and `got` are vectors of their number."""
        starts = [f"`{name}` must {rule}. Got " for name in names]
        self._parts.append((starts, f". Fix: {fix}.", holds, got))

    def need_unless(self, fine: Any, add: Callable[[], None]) -> None:
        """Add the rules that `add` adds, which surely hold where `fine`, bool [], is true."""
        self._rare.append((fine, add))

    def guard(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors, to be read only after the check.

        Raises:
            tf.errors.InvalidArgumentError: When run, if a rule is broken.
        """
        fine = _flat([holds for _, _, holds, _ in self._parts] + [fine for fine, _ in self._rare])
        checked = tf.cond(tf.reduce_all(fine), lambda: tf.constant(True), self._look)
        with tf.control_dependencies([checked]):
            return {name: tf.identity(value) for name, value in tensors.items()}

    def _look(self) -> Any:
        """Refuse by the message of the first rule that is broken, if one is."""
        for _, add in self._rare:
            add()
        holds = _flat([holds for _, _, holds, _ in self._parts])
        got = _flat([tf.cast(got, tf.int64) for *_, got in self._parts])
        starts: list[str] = []
        ends: list[str] = []
        numbers = []
        for first, end, part, _ in self._parts:
            size = tf.size(part)
            own = tf.range(size) if len(first) > 1 else tf.zeros([size], tf.int32)
            numbers.append(own + len(starts))
            starts, ends = starts + first, ends + [end] * len(first)
        number = tf.concat(numbers, 0)
        broken = tf.reduce_min(tf.where(holds, len(starts) - 1, number))
        shown = tf.reduce_max(tf.where(holds | tf.not_equal(number, broken), tf.int64.min, got))
        message = [
            tf.constant(starts)[broken],
            tf.strings.as_string(shown),
            tf.constant(ends)[broken],
        ]
        check = tf.debugging.Assert(tf.reduce_all(holds), [tf.strings.join(message)])
        with tf.control_dependencies([] if check is None else [check]):
            return tf.constant(True)


def _flat(tensors: Sequence[Any]) -> Any:
    """Return the values of tensors one after the other."""
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)
