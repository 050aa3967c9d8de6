"""Relevance features F: one row of numbers for each candidate, as of its target.

Each feature counts only facts known strictly before the target (`data_pipeline.events.as_of`), over
the unfiltered log. Floats are computed here, from the integers of
`data_pipeline.features.click_counts`.
"""

import concurrent.futures
import dataclasses
import os

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split, Task
from data_pipeline.common.mapped_arrays import array_file, release_pages
from data_pipeline.common.sorted_arrays import run_starts
from data_pipeline.features.click_counts import SharedCounts, UserCounts
from data_pipeline.features.feature_columns import (
    FEATURES,
    RANK_FEATURES,
    TextVectors,
    compute_columns,
)
from data_pipeline.features.text_similarity import history_vectors
from data_pipeline.text.corpus import TextTable

Float32s = npt.NDArray[np.float32]

_ROWS = 250_000


@dataclasses.dataclass(frozen=True)
class CandidateFeatures:
    """F, popularity and last touch of all candidates, in their order.

    Attributes:
        values: float32 [candidates, features], finite, mapped from its file; columns that need a
            query are 0 without one.
        popularity: int64 [candidates], opens of the document known before the target.
        last_touch: int64 [candidates], time of the user's last visible open of it, -1 for none.
        mean, std: float32 [features], over the searches' candidates of the training split.
    """

    values: Float32s
    popularity: Integers
    last_touch: Integers
    mean: Float32s
    std: Float32s


def relevance_features(
    document_opens: Columns,
    searches: Columns,
    targets: Columns,
    candidates: Columns,
    redrawn: Integers,
    texts: TextTable,
    path: str | os.PathLike[str],
    workers: int = 1,
) -> CandidateFeatures:
    """Compute F of all candidates, write it, and measure its columns.

    Args:
        document_opens, searches, candidates, texts, path, workers: As for `write_features`.
        targets: As for `write_features`, with split (number of the `Split`) and task; row = target
            id.
        redrawn: int64 [n], targets whose list was never shown: their rank features become the mean.
    """
    values, popularity, last_touch = write_features(
        document_opens, searches, targets, candidates, texts, path, workers=workers
    )
    target = candidates["target_id"]
    learned = (targets["split"] == Split.TRAIN.number) & (targets["task"] == Task.SEARCH)
    mean, std = standardisation(values, learned[target])
    forget_ranks(values, np.isin(target, redrawn), mean)
    return CandidateFeatures(values, popularity, last_touch, mean, std)


def write_features(
    document_opens: Columns,
    searches: Columns,
    targets: Columns,
    candidates: Columns,
    texts: TextTable,
    path: str | os.PathLike[str],
    rows: int = _ROWS,
    workers: int = 1,
) -> tuple[Float32s, Integers, Integers]:
    """Write F of all candidates as one array.

    Args:
        document_opens: user, doc, query, session, satisfied, time, known_at, visible_at; in any
            order.
        searches: user, query, time; in the order (user, time), the latest last.
        targets: target_id (ascending), user, session, query, time.
        candidates: target_id, position (distinct within a target), doc; in the order (target_id,
            position).
        texts: Tokens and vectors; `query` is a text's number, 0 for none.
        path: File of F, as of `np.save`.
        rows: Approximate rows of a block, which reads the events of its own users; a target is never
            cut. Does not change F.
        workers: Blocks computed at a time. Does not change F.

    Returns:
        (values, popularity, last_touch) of `CandidateFeatures`, values writable.
    """
    size = len(candidates["doc"])
    popularity, last_touch = np.empty(size, np.int64), np.empty(size, np.int64)
    shared, vectors = SharedCounts(document_opens, searches, workers), TextVectors(texts)
    events, titles = _EventsByUser(document_opens, searches), np.ascontiguousarray(vectors.titles.T)
    names = ("target_id", "user", "session", "query", "time")

    def fill(first: int, after: int) -> Float32s:
        block = slice(first, after)
        number = candidates["target_id"][block]
        begin, end = np.searchsorted(targets["target_id"], [number[0], number[-1] + 1])
        about = {name: targets[name][begin:end] for name in names}
        own = UserCounts(*events.select(about["user"].min(), about["user"].max()))
        about |= shared.count_targets(about) | own.count_targets(about)
        start = about["first_open"]
        history = history_vectors(own.opened, start, start + about["user_opens"], titles)
        target = np.searchsorted(about["target_id"], number)
        position, doc = candidates["position"][block], candidates["doc"][block]
        counted = shared.count_candidates(target, about, doc)
        counted |= own.count_candidates(target, about, doc)
        popularity[block], last_touch[block] = counted["opens"], counted["last_touch"]
        values = compute_columns(target, position, doc, counted, about, history, vectors)
        release_pages(document_opens, searches, targets, candidates)
        return values

    cuts = _cut_blocks(candidates["target_id"], rows)
    shape = size, len(FEATURES)
    with (
        array_file(path, "<f4", shape) as file,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        for block in pool.map(fill, cuts[:-1], cuts[1:]):
            block.tofile(file)
    return np.load(path, mmap_mode="r+"), popularity, last_touch


class _EventsByUser:
    """Opens and searches, of which those of some users are read."""

    def __init__(self, document_opens: Columns, searches: Columns) -> None:
        self._opens, self._searches = document_opens, searches
        self._order = np.argsort(document_opens["user"], kind="stable")
        self._starts = np.append(0, np.cumsum(np.bincount(document_opens["user"])))

    def select(self, first: int, last: int) -> tuple[Columns, Columns]:
        """Return the opens and the searches of users `first` ... `last`."""
        begin, end = self._starts[np.minimum([first, last + 1], len(self._starts) - 1)]
        rows = self._order[begin:end]
        begin, end = np.searchsorted(self._searches["user"], [first, last + 1])
        return (
            {name: column[rows] for name, column in self._opens.items()},
            {name: column[begin:end] for name, column in self._searches.items()},
        )


def _cut_blocks(target: Integers, rows: int) -> list[int]:
    """Return the bounds of blocks of about `rows` rows, each ending with its last row's target."""
    edges = run_starts(target)
    return [0, *edges[1:][np.diff(edges[1:] // rows, append=-1) != 0]]


def standardisation(
    features: npt.NDArray[np.float32], rows: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return mean and standard deviation of each column over the chosen rows.

    Args:
        features: float32 [rows, features].
        rows: bool [rows]: the searches' candidates of the training split.

    Returns:
        (mean, std), float32 [features]; a column that does not vary, and all without rows, has
        std 1.

    Example:
        >>> standardisation(np.array([[1, 5], [3, 5]], np.float32), np.array([True, True]))
        (array([2., 5.], dtype=float32), array([1., 1.], dtype=float32))
    """
    width = features.shape[1]
    if not rows.any():
        return np.zeros(width, np.float32), np.ones(width, np.float32)
    chosen = features[rows]
    mean = chosen.mean(axis=0, dtype=np.float64)
    variance = np.zeros(width)
    for first in range(0, len(chosen), _ROWS):
        variance += np.square(chosen[first : first + _ROWS] - mean).sum(axis=0)
    std = np.sqrt(variance / len(chosen))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def forget_ranks(values: Float32s, rows: npt.NDArray[np.bool_], mean: Float32s) -> None:
    """Set `RANK_FEATURES` of some candidates to their mean, in place.

    Args:
        values: float32 [candidates, features], F.
        rows: bool [candidates], those of lists that were never shown.
        mean: float32 [features], which is 0 once standardised.
    """
    for column, feature in enumerate(FEATURES):
        if feature.name in RANK_FEATURES:
            values[rows, column] = mean[column]
