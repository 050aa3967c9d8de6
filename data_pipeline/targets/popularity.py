"""Popularity: opens of every document, at a time that moves forward."""

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers


class Popularity:
    """Opens of every document that are known at a time, and their logarithms.

    Args:
        opened: int64 [opens], the document of each open.
        known_at: int64 [opens], when it counts.
        documents: Number of documents.

    Attributes:
        known: Opens counted so far.
        count: int64 [documents], opens of each document among them.
        logarithm: float32 [documents], log(1 + count), rounded.
        most: The largest count.

    Example:
        >>> popularity = Popularity(np.array([1, 1, 2]), np.array([30, 10, 20]), 3)
        >>> popularity.advance(int(popularity.known_before(np.array(25))))
        >>> popularity.count.tolist(), popularity.shares(np.array([2, 0])).tolist()
        ([0, 1, 1], [1.0, 0.0])
    """

    def __init__(self, opened: Integers, known_at: Integers, documents: int) -> None:
        order = np.argsort(known_at, kind="stable")
        self._opened, self._known_after = opened[order], known_at[order]
        self._table = np.log1p(np.arange(np.bincount(opened, minlength=1).max() + 1))
        self.known, self.most = 0, 0
        self.count = np.zeros(documents, np.int64)
        self.logarithm = np.zeros(documents, np.float32)

    def known_before(self, time: Integers) -> Integers:
        """Return the number of opens known strictly before each time: int64 like `time`."""
        return np.searchsorted(self._known_after, time)

    def opened(self, first: int, stop: int) -> Integers:
        """Return the documents of the opens `first` to `stop`, in the order they became known."""
        return self._opened[first:stop]

    def advance(self, known: int) -> None:
        """Count the opens up to number `known`, which never decreases."""
        if known > self.known:
            documents = self._opened[self.known : known]
            np.add.at(self.count, documents, 1)
            counts = self.count[documents]
            self.logarithm[documents] = self._table[counts]
            self.most, self.known = max(self.most, int(counts.max())), known

    @property
    def norm(self) -> float:
        """Return log(1 + the largest count), 1 if nothing was opened yet."""
        return float(self._table[self.most]) if self.most else 1.0

    def shares(self, documents: Integers, scale: float = 1.0) -> npt.NDArray[np.float64]:
        """Return log(1 + count) times (scale / norm): float64 like `documents`."""
        return self._table[self.count[documents]] * (scale / self.norm)
