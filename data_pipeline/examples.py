"""Serialised tf.train.Example messages of many windows at once.

What `tf.train.Example.SerializeToString(deterministic=True)` gives, byte for byte, without making a
message object of every window: numbers and lengths of all windows are encoded together, each window
then takes its parts. Wire format of protocol buffers: a field is its tag, the length of what follows,
and the content; integers are varints, seven bits a byte, the lowest first.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Rows = tuple[npt.NDArray, Integers]
"""Values of all messages, along the first axis, and where each message's begin, with the end."""

# Tags: number of the field, and that a length follows.
_FEATURES, _ENTRY, _NAME, _VALUE, _PACKED = 0x0A, 0x0A, 0x0A, 0x12, 0x0A
_FLOATS, _INTEGERS = 0x12, 0x1A


def varints(values: Integers) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Varints of whole numbers, one after another.

    Args:
        values: int64 [n], not negative.

    Returns:
        (uint8 [bytes], int64 [n + 1]: where each number's bytes begin, with the end).

    Example:
        >>> encoded, begins = varints(np.array([1, 300]))
        >>> encoded.tolist(), begins.tolist()
        ([1, 172, 2], [0, 1, 3])
    """
    width = _width(values)
    begins = np.concatenate([[0], np.cumsum(width)])
    encoded = np.zeros(int(begins[-1]), np.uint8)
    for byte in range(int(width.max(initial=0))):
        longer = np.flatnonzero(width > byte)
        part = (values[longer] >> (7 * byte)) & 0x7F
        encoded[begins[longer] + byte] = part | np.where(width[longer] > byte + 1, 0x80, 0)
    return encoded, begins


def _width(values: Integers) -> Integers:
    """Bytes of each number's varint."""
    width = np.ones(len(values), np.int64)
    left = values >> 7
    while left.any():
        width += left > 0
        left >>= 7
    return width


def _lengths(content: Integers) -> Integers:
    """Bytes of fields with contents of so many bytes: tag, varint of the length, content."""
    return 1 + _width(content) + content


def _heads(packed: Integers, key: int, kind: int) -> tuple[bytes, list[int], bytes, list[int]]:
    """What stands before and after the key of one feature, up to its numbers, in all messages.

    Args:
        packed: int64 [messages], bytes of the numbers.
        key: Bytes of the key with its own tag and length.
        kind: Tag of the feature's kind.

    Returns:
        Twice (bytes of all messages, where each message's begin, with the end): entry tag and
        length; then tag and length of value, kind and, where there are numbers, of their list.
    """
    numbers = np.where(packed > 0, _lengths(packed), 0)
    value = _lengths(numbers)
    entry = key + _lengths(value)
    before, begins = varints(_columns(_ENTRY, entry))
    # A tag is below 128, so it is a varint of itself.
    rows = _columns(_VALUE, value, kind, numbers, _PACKED, packed).reshape(-1, 6)
    there = np.ones(rows.shape, bool)
    there[:, 4:] = packed[:, np.newaxis] > 0
    after, ends = varints(rows[there])
    edges = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return before.tobytes(), begins[::2].tolist(), after.tobytes(), ends[edges].tolist()


def _columns(*columns: int | Integers) -> Integers:
    """Columns, some of them one number throughout, as rows one after another."""
    return np.stack(np.broadcast_arrays(*columns), axis=1).ravel()


def examples(fields: Mapping[str, Rows], count: int) -> Iterator[bytes]:
    """Serialises messages.

    Args:
        fields: By name (ASCII, below 128 characters), values of all messages (int64 not negative,
            or float32) and edges.
        count: Messages.

    Yields:
        Each message in order.

    Example:
        >>> (message,) = examples({"a": (np.array([3]), np.array([0, 1]))}, 1)
        >>> message.hex()
        '0a0c0a0a0a016112051a030a0103'
    """
    parts: list[list[bytes]] = [[] for _ in range(count)]
    for name, (values, edges) in sorted(fields.items()):
        floats, width = values.dtype.kind == "f", int(np.prod(values.shape[1:]))
        key = bytes([_NAME, len(name)]) + name.encode("ascii")
        if floats:
            data = np.ascontiguousarray(values, "<f4").tobytes()
            bounds = edges * (4 * width)
        else:
            encoded, begins = varints(values.ravel().astype(np.int64, copy=False))
            data = encoded.tobytes()
            bounds = begins[edges * width]
        kind = _FLOATS if floats else _INTEGERS
        before, starts, after, ends = _heads(np.diff(bounds), len(key), kind)
        for part, (a, b), (c, d), (first, end) in zip(
            parts,
            itertools.pairwise(starts),
            itertools.pairwise(ends),
            itertools.pairwise(bounds.tolist()),
            strict=True,
        ):
            part += before[a:b], key, after[c:d], data[first:end]
    sizes = np.array([sum(map(len, part)) for part in parts], np.int64)
    heads, edges = varints(_columns(_FEATURES, sizes))
    content = heads.tobytes()
    for part, (begin, end) in zip(parts, itertools.pairwise(edges[::2].tolist()), strict=True):
        yield content[begin:end] + b"".join(part)
