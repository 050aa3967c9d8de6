"""Tables of Unicode and HTML, made from Python's `unicodedata` and `html`.

A table over all code points is stored in pages of 256, equal pages once. Hangul syllables are in no
table: they are computed, as Unicode defines them.
"""

import functools
import html
import html.entities
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers

PAGE = 256
HANGUL = 0xAC00
_SYLLABLES = range(HANGUL, HANGUL + 11172)
_SURROGATES = range(0xD800, 0xE000)


class Jamo(NamedTuple):
    """The letters of one place in a Hangul syllable: first code point, and number of letters."""

    first: int
    size: int


LEADS, VOWELS = Jamo(0x1100, 19), Jamo(0x1161, 21)
TAILS = Jamo(0x11A7, 28)
"""The first one stands for no tail and is no letter."""

Paged = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


@functools.cache
def _code_points() -> list[int]:
    """Return the code points that are characters and no Hangul syllables."""
    return [
        code
        for code in range(sys.maxunicode + 1)
        if code not in _SYLLABLES
        and code not in _SURROGATES
        and unicodedata.category(chr(code)) != "Cn"
    ]


def paged(values: npt.NDArray[np.int32]) -> Paged:
    """Return a table over all code points as pages.

    Args:
        values: int32 [0x110000].

    Returns:
        int32 [0x1100], page of each 256 code points; int32 [pages * 256].
    """
    numbers: dict[bytes, int] = {}
    rows = values.reshape(-1, PAGE)
    index = [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows]
    pages = np.frombuffer(b"".join(numbers), np.int32)
    return np.array(index, np.int32), pages


@functools.cache
def _decomposed() -> dict[int, str]:
    """Return the complete compatibility decomposition of each code point that has one."""
    texts = {code: unicodedata.normalize("NFKD", chr(code)) for code in _code_points()}
    return {code: text for code, text in texts.items() if text != chr(code)}


@functools.cache
def decompositions() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return all decompositions.

    Returns:
        Their code points one after another, int32 [n]; where each begins, int32 [entries + 2]. Entry
        0 is empty: no decomposition.
    """
    texts = list(_decomposed().values())
    flat = np.array([ord(character) for text in texts for character in text], np.int32)
    return flat, np.cumsum([0, 0, *map(len, texts)], dtype=np.int32)


@functools.cache
def decomposition_pages() -> Paged:
    """Return the entry of `decompositions` of each code point, 0 if none, as pages."""
    values = np.zeros(sys.maxunicode + 1, np.int32)
    values[list(_decomposed())] = np.arange(1, len(_decomposed()) + 1)
    return paged(values)


@functools.cache
def mark_classes() -> Paged:
    """Return the canonical combining class of each code point, 0 for a base, as pages."""
    values = np.zeros(sys.maxunicode + 1, np.int32)
    for code in _code_points():
        values[code] = unicodedata.combining(chr(code))
    return paged(values)


def pair_key(first: Any, second: Any) -> Any:
    """Return one integer for two code points, also of arrays."""
    return first * 0x110000 + second


@functools.cache
def compositions() -> tuple[Integers, npt.NDArray[np.int32]]:
    """Return `pair_key` of two code points that compose, ascending, and what they compose to."""
    found = {}
    for code in _code_points():
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            first, second = (int(part, 16) for part in parts)
            # Some characters are never composed again.
            if unicodedata.normalize("NFC", chr(first) + chr(second)) == chr(code):
                found[pair_key(first, second)] = code
    pairs = sorted(found)
    return np.array(pairs, np.int64), np.array([found[pair] for pair in pairs], np.int32)


@functools.cache
def changing() -> str:
    """Return the characters that NFKC may change, alone or after others, as the ranges of a pattern."""
    codes = set(_decomposed())
    codes.update(code for code in _code_points() if unicodedata.combining(chr(code)))
    codes.update((compositions()[0] % 0x110000).tolist())
    for jamo in (VOWELS, TAILS):
        codes.update(range(jamo.first, jamo.first + jamo.size))
    return "".join(rf"\x{{{first:x}}}-\x{{{last:x}}}" for first, last in _ranges(codes))


def _ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Return the runs of consecutive integers as first and last."""
    ordered = np.array(sorted(codes))
    ends = np.flatnonzero(np.diff(ordered) > 1)
    first = ordered[np.concatenate([[0], ends + 1])]
    last = ordered[np.concatenate([ends, [len(ordered) - 1]])]
    return list(zip(first.tolist(), last.tolist(), strict=True))


@functools.cache
def entity_names() -> list[str]:
    """Return the names of HTML5 that end in a semicolon, such as "amp;"."""
    return [name for name in html.entities.html5 if name.endswith(";")]


def entity_texts() -> list[str]:
    """Return the text of each name of `entity_names`."""
    return [html.entities.html5[name] for name in entity_names()]


@functools.cache
def special_numbers() -> tuple[npt.NDArray[np.int32], list[str]]:
    """Return the numbers whose entity is not the character of that number, and their texts.

    Returns:
        int32 [n], ascending: control characters, some of which are letters of Windows, and code
        points that are no characters; n texts.
    """
    numbers = [
        *range(0x100),
        *range(0xFDD0, 0xFDF0),
        *(plane * 0x10000 + low for plane in range(17) for low in (0xFFFE, 0xFFFF)),
    ]
    texts = {number: html.unescape(f"&#{number};") for number in sorted(numbers)}
    special = {number: text for number, text in texts.items() if text != chr(number)}
    return np.array(list(special), np.int32), list(special.values())
