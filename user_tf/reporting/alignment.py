"""Align the sequences of behaviors that different scenarios show.

The alignment is exact: `difflib` pairs fewer items, and earlier ones where items repeat.
"""

from collections.abc import Hashable, Sequence


def align(sequences: Sequence[Sequence[Hashable]]) -> list[list[int | None]]:
    """Align sequences: equal items share a row if the order allows it.

    In a gap between shared rows, the items of a later sequence come first: with the same number of
    behaviors, the scenario of one task reaches further back than the unified one.

    Args:
        sequences: Each in the order of time, the unified scenario first.

    Returns:
        Rows with an index into every sequence, None if it has no such item; the indices of a
        sequence ascend.

    Example:
        >>> align(["aXb", "zab"])
        [[None, 0], [0, 1], [1, None], [2, 2]]
    """
    merged: list[tuple[Hashable, list[int | None]]] = []
    for number, sequence in enumerate(sequences):
        before, merged = merged, []
        row, index = 0, 0
        for next_row, next_index in common([item for item, _ in before], sequence):
            merged += _alone(sequence, index, next_index, number)
            merged += [(item, [*indices, None]) for item, indices in before[row:next_row]]
            item, indices = before[next_row]
            merged.append((item, [*indices, next_index]))
            row, index = next_row + 1, next_index + 1
        merged += _alone(sequence, index, len(sequence), number)
        merged += [(item, [*indices, None]) for item, indices in before[row:]]
    return [indices for _, indices in merged]


def common(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the indices of a longest common subsequence; of several, the one that ends latest.

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
    """Return rows of the items that only sequence `number` has so far."""
    return [(sequence[index], [*[None] * number, index]) for index in range(begin, end)]
