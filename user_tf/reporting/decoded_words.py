"""Texts of a dataset as words."""

from collections.abc import Sequence

UNKNOWN_WORD = "▯"


def decode(tokens: Sequence[int], vocabulary: Sequence[str]) -> str:
    """Return the words of a text, with a mark for each that is not in the vocabulary.

    Example:
        >>> decode([2, 9, 1, 0], ["", "hat", "sun"])
        'sun ▯ hat'
    """
    known = len(vocabulary)
    return " ".join(vocabulary[t] if t < known else UNKNOWN_WORD for t in tokens if t)
