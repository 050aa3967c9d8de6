"""Search for the best-scored documents of targets, each as of its own time: exact or approximate.

The score (`pseudo_negatives`) is an inner product: the target has [(1 - a) * title, a], a document [title,
popularity]. Title products are whole numbers that float32 holds exactly; they come from one matrix
product for a block of targets. The popularity dimension is added target by target, since it changes
with every open. The error of these float32 scores is below `_SLACK`, so every document within it of
the best `pool` is kept, and the score in whole numbers decides among those few.

Above a number of available documents an approximate index proposes those few (`data_pipeline.targets.approximate_index`).
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.settings import PseudoNegativeSettings
from data_pipeline.targets.approximate_index import DocumentIndex
from data_pipeline.targets.popularity import Popularity
from data_pipeline.text.word_vectors import SCALE

Floats = npt.NDArray[np.float32]

_WEIGHT_STEPS = 1024
# Six roundings of numbers up to 2**22 (a quarter each) and one to whole popularities (a half), for
# the score at the threshold and for the one compared: less than 5, in units of 1 / 2048**2.
_SLACK = np.float32(8)
_LOWEST = np.finfo(np.float32).min
_GROUPS = 16
_CHUNK = 50_000


class BestDocuments:
    """Search of the best eligible documents for targets in ascending order of time.

    Columns are the documents in the order they became available, so that what a target may draw is
    a range of columns; the pad document 0 is the last and never available.

    Args:
        available: int64 [documents], time after which each may be drawn.
        vectors: int16 [documents, d], quantised title vectors.
        opened: int64 [opens], the document of each open.
        known_at: int64 [opens], from when on it counts.
        settings: Weight, pool, and up to how many documents the search is exact.
        seed: Seed of the index.
        cells: Targets times documents scored at a time; changes memory, never an exact result.
    """

    def __init__(
        self,
        available: Integers,
        vectors: npt.NDArray[np.int16],
        opened: Integers,
        known_at: Integers,
        settings: PseudoNegativeSettings,
        seed: int,
        cells: int,
    ) -> None:
        size = len(available)
        self._document = np.append(1 + np.argsort(available[1:], kind="stable"), 0)
        self._available = available[self._document]
        self._available[-1] = np.iinfo(np.int64).max
        self._column = np.empty(size, np.int64)
        self._column[self._document] = np.arange(size)
        self._vectors, self._pool, self._cells = vectors, settings.pool, cells
        self._exact = min(size - 1, settings.exact_documents)
        self._titles = self._floats(slice(0, self._exact))
        self._popularity = Popularity(self._column[opened], known_at, size)
        self._weight = round(settings.popularity_weight * _WEIGHT_STEPS)
        if size - 1 > self._exact:
            share = self._weight / _WEIGHT_STEPS
            self._index = DocumentIndex(self._floats, self._popularity, share, seed)

    def _floats(self, columns: Integers | slice) -> Floats:
        return self._vectors[self._document[columns]].astype(np.float32)

    def search(
        self, time: Integers, positive: Integers, excluded: Callable[[int], Integers]
    ) -> Iterator[tuple[slice, Integers]]:
        """Yield the best documents by blocks of targets.

        Args:
            time: int64 [T], ascending.
            positive: int64 [T], the document each target's negatives resemble; not drawn itself.
            excluded: The other documents a target may not draw, by its place in `time`.

        Yields:
            The block, and int64 [its targets, pool]: documents ascending, then 0 where fewer are
            eligible.
        """
        known = self._popularity.known_before(time)
        reach = np.searchsorted(self._available, time)
        start = 0
        while start < len(time):
            by_index = reach[start] > self._exact
            if by_index:
                self._popularity.advance(int(known[start]))
                self._index.update(int(reach[start]))
                stop = self._index.valid_until(start, known, reach)
            else:
                most = start + max(1, self._cells // len(self._available))
                stop = min(most, int(np.searchsorted(reach, self._exact, side="right")))
            queries = self._vectors[positive[start:stop]].astype(np.float32)
            if by_index:
                proposed = self._index.propose(queries, self._pool)
            else:
                products = queries @ self._titles[: reach[stop - 1]].T
            best = np.zeros((stop - start, self._pool), np.int64)
            for line, row in enumerate(range(start, stop)):
                self._popularity.advance(int(known[row]))
                away = self._column[np.append(excluded(row), positive[row])]
                away = away[away < reach[row]]
                if by_index:
                    columns = proposed[line]
                    columns = columns[(columns >= 0) & ~np.isin(columns, away)]
                    if len(columns) < self._pool:
                        found = self._of_all(self._products(queries[line], reach[row]), away)
                    else:
                        columns = np.union1d(columns, np.setdiff1d(self._index.popular, away))
                        found = self._of_some(columns, self._floats(columns) @ queries[line])
                else:
                    found = self._of_all(products[line, : reach[row]], away)
                best[line, : len(found)] = found
            yield slice(start, stop), best
            start = stop

    def _products(self, query: Floats, reach: int) -> Floats:
        parts = [
            self._floats(slice(start, min(start + _CHUNK, reach))) @ query
            for start in range(0, reach, _CHUNK)
        ]
        return np.concatenate(parts)

    def _of_all(self, products: Floats, away: Integers) -> Integers:
        """Return the best documents among the first columns, from their title products."""
        title = np.float32(1 - self._weight / _WEIGHT_STEPS)
        popular = np.float32(self._weight / _WEIGHT_STEPS * SCALE**2 / self._popularity.norm)
        scores = self._popularity.logarithm[: len(products)] * popular
        scores += products * title
        scores[away] = -np.inf
        columns = np.flatnonzero(scores >= max(_at_most_best(scores, self._pool) - _SLACK, _LOWEST))
        return self._of_some(columns, products[columns])

    def _of_some(self, columns: Integers, products: Floats) -> Integers:
        """Return the best documents of some columns by whole numbers; ties: the smaller document."""
        documents = self._document[columns]
        popular = np.rint(self._popularity.shares(columns, SCALE**2)).astype(np.int64)
        # Steps of 1 / (1024 * 2048**2).
        scores = self._weight * popular
        scores += (_WEIGHT_STEPS - self._weight) * products.astype(np.int64)
        if len(columns) > self._pool:
            size = len(self._document)
            keys = scores * size + (size - documents)
            documents = documents[np.argpartition(keys, -self._pool)[-self._pool :]]
        return np.sort(documents)


def _at_most_best(scores: Floats, pool: int) -> np.float32:
    """Return a number that is at most the `pool`-th largest score, and near it.

    Of many scores only the largest of each group is compared: at least `pool` scores are as large
    as the `pool`-th largest of those.

    Example:
        >>> float(_at_most_best(np.array([4, 1, 3, 2], np.float32), 2))
        3.0
    """
    if len(scores) <= pool:
        return np.float32(-np.inf)
    groups = max(1, min(_GROUPS, len(scores) // (4 * pool)))
    stride = len(scores) // groups
    largest = scores[: groups * stride].reshape(groups, stride).max(axis=0)
    return np.partition(largest, stride - pool)[stride - pool]
