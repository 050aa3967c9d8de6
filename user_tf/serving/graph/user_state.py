"""Pack what a model needs of a user's past as numbers that a client keeps, and unpack them.

A state is one row of int32, floats by their bits, so that it survives JSON and gRPC unchanged:

    version, checksum, task, user row, events | fixed parts | events, 5 numbers each

The fixed parts are the encoded past (`EncodedPast`) and the directions of `Memory`; an event is a
document opened or a search. Columns beyond a row's events are not read.

Axis letters: B requests, S numbers of a state, O openings, H history slots, E events.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from user_tf.models.batch_ops import EncodedPast
from user_tf.serving.graph.rules import Rules
from user_tf.serving.graph.user_memory import Memory

_HEADER = 5
_EVENT = 5
# Marks of an event.
_OPENED, _HERE, _TOGETHER, _ASKED = 1, 2, 4, 8


class UserState(NamedTuple):
    """An unpacked state.

    Attributes:
        task: int32 [B], the task whose weights encoded the past.
        user: int32 [B], row of the user table.
        past: `EncodedPast` of the users.
        memory: `Memory` of the users; None for a model without F.
    """

    task: Any
    user: Any
    past: EncodedPast
    memory: Any


@dataclasses.dataclass(frozen=True)
class StateLayout:
    """The layout of a model's states.

    Attributes:
        version: Stamp of the export; states of others are refused.
        history, session: Places of the long-term history and of the current session; 0: none read.
        types: Places of the types of the current session.
        width: Width of a vector.
        word_width: Width of a word vector of F; 0: the model has no F.
    """

    version: int
    history: int
    session: int
    types: int
    width: int
    word_width: int

    @property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the fixed parts, in order."""
        return {
            "session_types": (self.types,),
            "history_mask": (self.history,),
            "history": (self.history, self.width),
            "session": (self.session, self.width),
            "last_query": (self.word_width,),
            "opened_mean": (self.word_width,),
        }

    @property
    def fixed(self) -> int:
        """Return the numbers of a state without events."""
        return _HEADER + sum(math.prod(shape) for shape in self._parts.values())

    def pack(self, state: UserState) -> Any:
        """Return int32 [B, S]."""
        rows = tf.shape(state.user)[0]
        known = {**state.past._asdict(), **(state.memory._asdict() if state.memory else {})}
        parts = [
            tf.reshape(_to_int32(known[name]), [rows, math.prod(shape)])
            for name, shape in self._parts.items()
            if math.prod(shape)
        ]
        events, count = tf.zeros([rows, 0], tf.int32), tf.zeros([rows], tf.int32)
        if state.memory is not None:
            events, count = _pack_events(state.memory)
        version = tf.fill([rows], tf.constant(self.version, tf.int32))
        header = tf.stack([version, tf.zeros_like(version), state.task, state.user, count], axis=1)
        packed = tf.concat([header, *parts, events], axis=1)
        checksum = _checksum(packed)[:, tf.newaxis]
        return tf.concat([packed[:, :1], checksum, packed[:, 2:]], axis=1)

    def unpack(self, packed: Any, dtype: str = "float32") -> UserState:
        """Return the parts of int32 [B, S]; vectors in `dtype`."""
        sizes = [_HEADER, *(math.prod(shape) for shape in self._parts.values())]
        header, *parts, events = tf.split(packed, [*sizes, -1], axis=1, num=len(sizes) + 1)
        _, _, task, user, count = tf.unstack(header, axis=1)
        places = {
            name: tf.reshape(part, [-1, *shape])
            for (name, shape), part in zip(self._parts.items(), parts, strict=True)
        }

        def vectors(name: str) -> Any:
            return tf.cast(tf.bitcast(places[name], tf.float32), dtype)

        past = EncodedPast(
            history=vectors("history") if self.history else None,
            history_mask=places["history_mask"] > 0 if self.history else None,
            session=vectors("session") if self.session else None,
            session_types=places["session_types"],
        )
        memory = None
        if self.word_width:
            directions = [tf.cast(places[n], tf.float64) for n in ("last_query", "opened_mean")]
            memory = Memory(*_unpack_events(events, count), *directions)
        return UserState(task, user, past, memory)

    def check(self, request: Mapping[str, Any], task: Any = None) -> dict[str, Any]:
        """Return the arguments of a request with a state, checked.

        Args:
            request: Arguments by name, `state` among them.
            task: int32 [B], the task that each state must be of. Default: any.

        Raises:
            tf.errors.InvalidArgumentError: When run, on a state of another export, or a changed one.
        """
        packed, rules = request["state"], Rules()
        columns = tf.shape(packed)[1]
        # A narrow array is read as zeros, which no state is.
        wide = tf.pad(packed, [[0, 0], [0, tf.maximum(self.fixed - columns, 0)]])
        version, stored, of_task, _, count = tf.unstack(wide[:, :_HEADER], num=_HEADER, axis=1)
        fix = "encode the user again by encode_user of this version"
        rule = f"be of this export, whose version stamp is {self.version}"
        rules.need("state", rule, tf.equal(version, self.version), version, fix)
        fits = (count >= 0) & (count <= (columns - self.fixed) // _EVENT)
        last = self.fixed + tf.where(fits, count, 0) * _EVENT
        cleared = tf.where(tf.sequence_mask(last, tf.shape(wide)[1]), wide, 0)
        # The sum was made with 0 in its own column.
        same = fits & tf.equal(_checksum(cleared) - _checksum_weight(1) * stored, stored)
        got = tf.fill(tf.shape(count), columns)
        rule = "hold the numbers of encode_user, unchanged"
        rules.need("state", f"{rule}; the number of columns is shown", same, got, fix)
        if task is not None:
            rule = "be a state of the task of the query; its task is shown, 1 for recommendation"
            fix = "encode the user with `task` of the query"
            rules.need("state", rule, tf.equal(of_task, task), of_task, fix)
        return rules.guard({**request, "state": cleared})


def _to_int32(value: Any) -> Any:
    """Return floats as their bits, and whole numbers and truths as int32."""
    if value.dtype in (tf.float32, tf.bfloat16, tf.float16):
        return tf.bitcast(tf.cast(value, tf.float32), tf.int32)
    return tf.cast(value, tf.int32)


def _checksum(packed: Any) -> Any:
    """Return a sum of weighted columns modulo 2^32, int32 [B]."""
    return tf.reduce_sum(packed * _checksum_weight(tf.range(tf.shape(packed)[1])), axis=1)


def _checksum_weight(column: Any) -> Any:
    return 2 * column + 1


def _pack_events(memory: Memory) -> tuple[Any, Any]:
    """Return the real events, int32 [B, 5 E], openings before searches, and their numbers [B]."""
    marks = ((memory.opened_here, _HERE), (memory.opened_together, _TOGETHER))
    kind = _OPENED + sum(mark * tf.cast(holds, tf.int32) for holds, mark in marks)
    kinds = [tf.where(memory.opened, kind, 0), tf.where(memory.asked, _ASKED, 0)]
    first = tf.concat([memory.opened_title, memory.asked_query], axis=1)
    second = tf.concat([memory.opened_query, tf.zeros_like(memory.asked_query)], axis=1)
    kind = tf.concat(kinds, axis=1)
    events = tf.concat(
        [kind[:, :, tf.newaxis], tf.bitcast(first, tf.int32), tf.bitcast(second, tf.int32)], axis=2
    )
    # Real ones first, in their order.
    order = tf.argsort(tf.cast(tf.equal(kind, 0), tf.int32), axis=1, stable=True)
    events = tf.gather(tf.where(kind[:, :, tf.newaxis] > 0, events, 0), order, batch_dims=1)
    count = tf.math.count_nonzero(kind, axis=1, dtype=tf.int32)
    events = events[:, : tf.reduce_max(count)]
    return tf.reshape(events, [tf.shape(kind)[0], -1]), count


def _unpack_events(packed: Any, count: Any) -> tuple[Any, ...]:
    """Return the fields of `Memory` that are lists, from `opened` to `asked_query`."""
    longest = tf.reduce_max(count)
    events = tf.reshape(packed[:, : _EVENT * longest], [tf.size(count), longest, _EVENT])
    kind, first, second = tf.split(events, [1, 2, 2], axis=2)
    marks = tf.not_equal(tf.bitwise.bitwise_and(kind, [_OPENED, _HERE, _TOGETHER, _ASKED]), 0)
    opened, here, together, asked = tf.unstack(marks, axis=2)
    first, second = tf.bitcast(first, tf.int64), tf.bitcast(second, tf.int64)
    return opened, first, second, here, together, asked, first
