"""Histograms of session lengths and of the behavior after a search or a browse."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence as Items

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import BehaviorType
from data_pipeline.common.sorted_arrays import run_starts

KINDS = ("searches only", "browses only", "both")
"""Kinds of sessions by the types of their behaviors."""
Transitions = dict[str, dict[str, int]]


def session_lengths(blocks: Iterable[Columns]) -> dict[str, list[int]]:
    """Count sessions by their number of behaviors and their kind.

    Args:
        blocks: Columns type, session of behaviors, in the order (session, time); a session is in one
            block.

    Returns:
        `behaviors`: the lengths that occur, ascending; for each of `KINDS`: number of sessions of
        each of these lengths.

    Example:
        >>> session_lengths([{"type": np.array([2, 2, 1]), "session": np.array([1, 1, 2])}])
        {'behaviors': [1, 2], 'searches only': [0, 1], 'browses only': [1, 0], 'both': [0, 0]}
    """
    counts: dict[str, Counter[int]] = {kind: Counter() for kind in KINDS}
    for behaviors in blocks:
        edges = run_starts(behaviors["session"])
        length = np.diff(edges)
        searches = np.diff(np.append(0, np.cumsum(behaviors["type"] == BehaviorType.SEARCH))[edges])
        of_kind = (searches == length, searches == 0, (searches > 0) & (searches < length))
        for kind, held in zip(KINDS, of_kind, strict=True):
            found = np.unique(length[held], return_counts=True)
            counts[kind].update(dict(zip(*(column.tolist() for column in found), strict=True)))
    lengths = sorted(set().union(*counts.values()))
    return {
        "behaviors": lengths,
        **{kind: [counts[kind][length] for length in lengths] for kind in KINDS},
    }


def transitions(blocks: Iterable[Columns]) -> Transitions:
    """Count how often one behavior follows another within a session.

    Args:
        blocks: As for `session_lengths`.

    Returns:
        Counts by predecessor (`begin`, `search`, `browse`), then by successor (`search`,
        `browse`, `end`).

    Example:
        >>> found = transitions([{"type": np.array([1, 2, 2]), "session": np.array([1, 1, 2])}])
        >>> found["begin"], found["search"]
        ({'search': 1, 'browse': 1}, {'search': 0, 'browse': 0, 'end': 2})
    """
    types = {"search": BehaviorType.SEARCH, "browse": BehaviorType.BROWSE}
    # 0 marks the begin and the end of a session.
    codes = 1 + max(types.values())
    counts = np.zeros((codes, codes), np.int64)
    for behaviors in blocks:
        kind, edges = behaviors["type"], run_starts(behaviors["session"])
        before = np.append(0, kind)[:-1]
        before[edges[:-1]] = 0
        pairs = np.append(before * codes + kind, kind[edges[1:] - 1] * codes)
        counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
    return {
        "begin": {name: int(counts[0, code]) for name, code in types.items()},
        **{
            name: {later: int(counts[code, types.get(later, 0)]) for later in (*types, "end")}
            for name, code in types.items()
        },
    }


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Frequencies of values.

    Attributes:
        values: int64 [n], ascending, each once.
        counts: int64 [n].
    """

    values: Integers
    counts: Integers

    @classmethod
    def of(cls, values: npt.NDArray) -> "Histogram":
        """Return the histogram of values in any order."""
        found, counts = np.unique(values, return_counts=True)
        return cls(found.astype(np.int64), counts)

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def longest(self) -> int:
        """Largest value."""
        return int(self.values[-1])

    @property
    def mean(self) -> float:
        """Mean of the values; nan if there are none."""
        return float(self.values @ self.counts) / self.total if self.total else float("nan")

    def quantile(self, share: float) -> int:
        """Return the least value that at least `share` of all values do not exceed.

        Example:
            >>> Histogram.of(np.array([1, 1, 5, 9])).quantile(0.5)
            1
        """
        return int(self.values[np.searchsorted(np.cumsum(self.counts), share * self.total)])

    def binned(self, firsts: Items[int]) -> list[int]:
        """Return counts by bin.

        Args:
            firsts: Least value of each bin, ascending; the last bin has no end.

        Example:
            >>> Histogram.of(np.array([0, 3, 4, 70])).binned([0, 1, 3, 5])
            [1, 0, 2, 1]
        """
        place = np.searchsorted(firsts, self.values, side="right") - 1
        return np.bincount(place, self.counts, len(firsts)).astype(np.int64).tolist()


def names_of_bins(firsts: Items[int], longest: int) -> list[str]:
    """Return names of the bins that begin at `firsts`; the last one ends at `longest`.

    Example:
        >>> names_of_bins([0, 1, 3, 5], 9)
        ['0', '1–2', '3–4', '5–9']
    """
    ends = [*(after - 1 for after in firsts[1:]), longest]
    return [
        str(first) if first == end else f"{first}–{end}"
        for first, end in zip(firsts, ends, strict=True)
    ]


def doubling(longest: int) -> list[int]:
    """Return first values of the bins 0, 1, 2, 3–4, 5–8, ... (widths double), up to `longest`.

    Example:
        >>> doubling(9)
        [0, 1, 2, 3, 5, 9]
    """
    firsts = [0, 1]
    while firsts[-1] < longest:
        firsts.append(2 ** (len(firsts) - 2) + 1)
    return [first for first in firsts if first <= longest]
