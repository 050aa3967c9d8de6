"""An approximate index of documents for inner products, updated as time moves on.

It holds [title, popularity] vectors in inverted lists (faiss IVF): documents are grouped around
centers, and a search looks into the lists of the centers nearest to it. faiss is chosen because it
searches inner products as they are, and because vectors in its lists can be replaced: a document
that was opened gets its new popularity in place, one that became available is added. Graph indexes
(hnswlib, usearch) would have to be rebuilt, or would keep replaced vectors as dead nodes.

The normaliser of the popularity changes for all documents at once, so it is part of the query.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.targets.popularity import Popularity
from data_pipeline.text.word_vectors import SCALE

Floats = npt.NDArray[np.float32]

_OVERSAMPLE = 4
_PROBES = 64
_POPULAR = 1000
_PER_CENTER = 64
_CHUNK = 50_000
_BLOCK = 1024
_GROWTH = 0.005


def import_faiss() -> Any:
    """Return the module `faiss`.

    Raises:
        ModuleNotFoundError: It is not installed; the error names the extra to install.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "`pseudo_negatives.exact_documents` must not be below the number of documents without the "
            f"package faiss. Got: {error}. Fix: pip install '.[scale]', or set "
            "--pseudo_negatives.exact_documents to the number of documents for the slower exact "
            "search."
        ) from error
    return faiss


class DocumentIndex:
    """Index that proposes documents with large weighted scores.

    Args:
        titles: Gives the quantised title vectors of columns `first` to `stop`, float32.
        popularity: Opens of the columns, at the time of the index.
        weight: Share of the popularity in the score.
        seed: Seed of the centers.

    Raises:
        ModuleNotFoundError: faiss is not installed.

    Attributes:
        popular: int64 [n], the most popular columns. They lie scattered over lists that are
            otherwise far from a query, so every target should look at them, too.
    """

    def __init__(
        self, titles: Callable[[Integers], Floats], popularity: Popularity, weight: float, seed: int
    ) -> None:
        self._faiss = import_faiss()
        self._titles, self._popularity = titles, popularity
        self._weight, self._seed = weight, seed
        self._trained, self._known, self._norm = 0, 0, 1.0
        self._index: Any = None
        self.popular = np.zeros(0, np.int64)

    def _vectors(self, columns: Integers) -> Floats:
        popular = self._popularity.logarithm[columns, np.newaxis] / np.float32(self._norm)
        return np.concatenate([self._titles(columns) / np.float32(SCALE), popular], axis=1)

    def update(self, reach: int) -> None:
        """Update the index to `popularity` and the first `reach` columns."""
        if reach >= 2 * self._trained:
            self._build(reach)
        changed = np.unique(self._popularity.opened(self._known, self._popularity.known))
        changed = changed[changed < self._index.ntotal]
        for start in range(0, len(changed), _CHUNK):
            part = changed[start : start + _CHUNK]
            self._index.update_vectors(part, self._vectors(part))
        for start in range(self._index.ntotal, reach, _CHUNK):
            self._index.add(self._vectors(np.arange(start, min(start + _CHUNK, reach))))
        self._known = self._popularity.known
        popular = self._popularity.logarithm[:reach]
        wanted = min(_POPULAR, reach)
        self.popular = np.argpartition(popular, reach - wanted)[reach - wanted :]

    def _build(self, reach: int) -> None:
        self._norm, self._trained = self._popularity.norm, reach
        # No more lists than faiss has points to put their centers at, however few documents.
        lists = max(1, min(round(2 * reach**0.5), reach // 4))
        sample = np.arange(0, reach, max(1, reach // (_PER_CENTER * lists)))
        vectors = self._vectors(sample)
        width = vectors.shape[1]
        # The centers are held by the index alone; Python must not free them before it.
        centers = self._faiss.IndexFlatIP(width)
        self._index = self._faiss.IndexIVFFlat(
            centers, width, lists, self._faiss.METRIC_INNER_PRODUCT
        )
        self._index.cp.seed = self._seed % 2**31
        self._index.cp.min_points_per_centroid = 1
        self._index.cp.max_points_per_centroid = 2 * _PER_CENTER
        self._index.train(vectors)
        self._index.set_direct_map_type(self._faiss.DirectMap.Array)
        self._index.nprobe = min(_PROBES, lists)
        self._known = self._popularity.known

    def valid_until(self, start: int, known: Integers, reach: Integers) -> int:
        """Return the first target after `start` for which the index would be too old."""
        events = known[start : start + _BLOCK] + reach[start : start + _BLOCK]
        return start + int(np.searchsorted(events, events[0] * (1 + _GROWTH), side="right"))

    def propose(self, queries: Floats, pool: int) -> Integers:
        """Return columns with large scores, -1 where there are fewer: int64 [targets, 4 * pool].

        Args:
            queries: float32 [targets, d], quantised title vectors.
            pool: Documents wanted.
        """
        popular = np.full((len(queries), 1), self._weight * self._norm / self._popularity.norm)
        title = queries * np.float32((1 - self._weight) / SCALE)
        vectors = np.concatenate([title, popular.astype(np.float32)], axis=1)
        _, columns = self._index.search(vectors, _OVERSAMPLE * pool)
        return columns
