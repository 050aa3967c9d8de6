"""Serialised tf.train.Example messages of many windows at once.

Same as `tf.train.Example.SerializeToString(deterministic=True)`, byte for byte, without a message
object for every window: the numbers of all windows are encoded together, then cut into windows.
Wire format of protocol buffers: a field is its tag, the length of what follows,
and the content; integers are varints, seven bits a byte, the lowest first.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers

Rows = tuple[npt.NDArray, Integers]
"""Values of all messages, along the first axis, and the first value of each message, with the end."""

# Tags: number of the field, and that a length follows.
_FEATURES, _ENTRY, _NAME, _VALUE, _PACKED = 0x0A, 0x0A, 0x0A, 0x12, 0x0A
_FLOATS, _INTEGERS = 0x12, 0x1A


def varints(values: Integers) -> tuple[npt.NDArray[np.uint8], Integers]:
    """Encode integers as varints, one after another.

    Args:
        values: int64 [n], not negative.

    Returns:
        (uint8 [bytes], int64 [n + 1]: first byte of each number, with the end).

    Example:
        >>> encoded, begins = varints(np.array([1, 300]))
        >>> encoded.tolist(), begins.tolist()
        ([1, 172, 2], [0, 1, 3])
    """
    if values.max(initial=0) < 0x80:
        return values.astype(np.uint8), np.arange(len(values) + 1)
    width = _width(values)
    begins = np.concatenate([[0], np.cumsum(width, dtype=np.int64)])
    encoded = np.empty(int(begins[-1]), np.uint8)
    longer, position, left = width, begins[:-1], values
    while len(longer):
        more = longer > 1
        encoded[position] = (left & 0x7F) | (more << 7)
        longer, position, left = longer[more] - 1, position[more] + 1, left[more] >> 7
    return encoded, begins


def _width(values: Integers) -> npt.NDArray[np.uint8]:
    """Return the number of bytes of each number's varint."""
    width, bits, most = np.ones(len(values), np.uint8), 7, int(values.max(initial=0))
    while most >> bits:
        width += values >= 1 << bits
        bits += 7
    return width


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _field(tag: int, content: bytes, more: int = 0) -> bytes:
    """Return a field up to its content, of which `more` bytes follow later."""
    return bytes([tag]) + _varint(len(content) + more) + content


@functools.lru_cache(maxsize=2**16)
def _head(name: str, size: int, kind: int) -> bytes:
    """Return the bytes before the numbers of one feature.

    Args:
        name: Key of the feature.
        size: Bytes of its numbers.
        kind: Tag of its kind.
    """
    numbers = _field(_PACKED, b"", size) if size else b""
    value = _field(_VALUE, _field(kind, numbers, size), size)
    return _field(_ENTRY, _field(_NAME, name.encode("ascii")) + value, size)


def examples(fields: Mapping[str, Rows]) -> Iterator[bytes]:
    """Serialise messages.

    Args:
        fields: By name (ASCII, below 128 characters), values of all messages (int64 not negative,
            or float32) and edges.

    Yields:
        Each message in order.

    Example:
        >>> (message,) = examples({"a": (np.array([3]), np.array([0, 1]))})
        >>> message.hex()
        '0a0c0a0a0a016112051a030a0103'
    """
    parts: list[list[bytes]] = []
    for name, (values, edges) in sorted(fields.items()):
        floats, width = values.dtype.kind == "f", int(np.prod(values.shape[1:]))
        if floats:
            data = np.ascontiguousarray(values, "<f4").tobytes()
            bounds = edges * (4 * width)
        else:
            encoded, begins = varints(values.ravel().astype(np.int64, copy=False))
            data = encoded.tobytes()
            bounds = begins[edges * width]
        sizes = np.diff(bounds).tolist()
        kind = _FLOATS if floats else _INTEGERS
        # Few sizes are distinct, so few heads are made.
        heads = {size: _head(name, size, kind) for size in set(sizes)}
        parts.append([heads[size] for size in sizes])
        parts.append([data[begin:end] for begin, end in itertools.pairwise(bounds.tolist())])
    for message in zip(*parts, strict=True):
        yield _field(_FEATURES, b"".join(message))
