"""Sequences of behaviors that different views of the data show, laid beside each other."""

from collections.abc import Hashable, Sequence


def align(sequences: Sequence[Sequence[Hashable]]) -> list[list[int | None]]:
    """Lays sequences beside each other, so that equal items share a row where order allows.

    Items that no other sequence has come before those of earlier sequences in the same gap: a view
    of one task reaches further back than one of both.

    Args:
        sequences: Each in the order of time, the fullest first.

    Returns:
        Rows with a place in every sequence, None where it has no such item; a sequence's places
        ascend.

    Example:
        >>> align(["aXb", "zab"])
        [[None, 0], [0, 1], [1, None], [2, 2]]
    """
    merged: list[tuple[Hashable, list[int | None]]] = []
    for number, sequence in enumerate(sequences):
        before, merged = merged, []
        row, place = 0, 0
        for next_row, next_place in common([item for item, _ in before], sequence):
            merged += _alone(sequence, place, next_place, number)
            merged += [(item, [*places, None]) for item, places in before[row:next_row]]
            item, places = before[next_row]
            merged.append((item, [*places, next_place]))
            row, place = next_row + 1, next_place + 1
        merged += _alone(sequence, place, len(sequence), number)
        merged += [(item, [*places, None]) for item, places in before[row:]]
    return [places for _, places in merged]


def common(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence, of several the one that ends latest.

    Example:
        >>> common("abca", "ca")
        [(2, 0), (3, 1)]
    """
    # lengths[i][j]: longest common subsequence of left[:i] and right[:j].
    lengths = [[0] * (len(right) + 1)]
    for item in left:
        above, row = lengths[-1], [0]
        for j, other in enumerate(right):
            row.append(above[j] + 1 if item == other else max(above[j + 1], row[j]))
        lengths.append(row)
    pairs, i, j = [], len(left), len(right)
    while i and j:
        if left[i - 1] == right[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif lengths[i - 1][j] >= lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _alone(
    sequence: Sequence[Hashable], begin: int, end: int, number: int
) -> list[tuple[Hashable, list[int | None]]]:
    """Rows of the items that only sequence `number` has so far."""
    return [(sequence[place], [*[None] * number, place]) for place in range(begin, end)]
