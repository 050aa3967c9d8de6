"""Serialised tf.train.Example messages of many windows at once.

What `tf.train.Example.SerializeToString(deterministic=True)` gives, byte for byte, without making a
message object of every window: the numbers of all windows are encoded together, each window then
takes its part. Wire format of protocol buffers: a field is its tag, the length of what follows,
and the content; integers are varints, seven bits a byte, the lowest first.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Rows = tuple[npt.NDArray, Integers]
"""Values of all messages, along the first axis, and where each message's begin, with the end."""

_FEATURES, _ENTRY, _NAME, _VALUE, _PACKED = b"\x0a", b"\x0a", b"\x0a", b"\x12", b"\x0a"
_FLOATS, _INTEGERS = b"\x12", b"\x1a"


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
    width = np.ones(len(values), np.int64)
    left = values >> 7
    while left.any():
        width += left > 0
        left >>= 7
    begins = np.concatenate([[0], np.cumsum(width)])
    encoded = np.zeros(int(begins[-1]), np.uint8)
    for byte in range(int(width.max(initial=0))):
        longer = np.flatnonzero(width > byte)
        part = (values[longer] >> (7 * byte)) & 0x7F
        encoded[begins[longer] + byte] = part | np.where(width[longer] > byte + 1, 0x80, 0)
    return encoded, begins


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def examples(fields: Mapping[str, Rows], count: int) -> Iterator[bytes]:
    """Serialises messages.

    Args:
        fields: By name, values of all messages (int64 not negative, or float32) and edges.
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
        key = _field(_NAME, name.encode())
        if floats:
            data = np.ascontiguousarray(values, "<f4").tobytes()
            bounds = (edges * (4 * width)).tolist()
        else:
            encoded, begins = varints(values.ravel().astype(np.int64, copy=False))
            data = encoded.tobytes()
            bounds = begins[edges * width].tolist()
        kind = _FLOATS if floats else _INTEGERS
        for message, (begin, end) in enumerate(itertools.pairwise(bounds)):
            packed = _field(_PACKED, data[begin:end]) if end > begin else b""
            parts[message].append(_field(_ENTRY, key + _field(_VALUE, _field(kind, packed))))
    for part in parts:
        yield _field(_FEATURES, b"".join(part))
