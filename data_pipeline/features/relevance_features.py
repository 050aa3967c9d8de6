"""Relevance features F: one row of numbers for each candidate, as of its target.

Each feature counts only facts known strictly before the target (`data_pipeline.events.as_of`), over
the unfiltered log. Floats are computed here, from the integers of `shared_counts` and `click_counts`.
"""

import concurrent.futures
import dataclasses
import os
import pathlib

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Split, Task
from data_pipeline.common.mapped_arrays import ColumnFiles, array_file, release_pages
from data_pipeline.common.sorted_arrays import concat_ranges, cut_blocks
from data_pipeline.events.user_blocks import slice_users
from data_pipeline.events.user_events import sort_searches
from data_pipeline.features.click_counts import UserCounts
from data_pipeline.features.feature_columns import (
    FEATURES,
    RANK_FEATURES,
    TextVectors,
    compute_columns,
)
from data_pipeline.features.text_similarity import history_vectors
from data_pipeline.text.corpus import TextTable

Float32s = npt.NDArray[np.float32]

_SUMMED = 250_000
ROWS = 250_000
"""Candidates of a block, which reads the events of its own users; a target is never cut."""


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
    doc: Integers,
    offsets: Integers,
    redrawn: Integers,
    shared: tuple[Columns, Columns],
    texts: TextTable,
    folder: pathlib.Path,
    path: str | os.PathLike[str],
    workers: int = 1,
) -> CandidateFeatures:
    """Compute F of all candidates, write it, and measure its columns.

    Args:
        document_opens: user, doc, query, session, satisfied, time, known_at, visible_at; in the order
            of users.
        searches: user, query, time, activity; in the order (user, time).
        targets: user (ascending), session, query, time, task, split (number of the `Split`).
        doc: int64 [candidates], in the order (target, position).
        offsets: int64 [targets + 1], where each target's candidates begin.
        redrawn: int64 [n], targets whose list was never shown: their rank features become the mean.
        shared: Counts of targets and of candidates, of `shared_counts.count_shared`.
        texts: Tokens and vectors; `query` is a text's number, 0 for none.
        folder: Folder of the file of last touches.
        path: File of F, as of `np.save`.
        workers: Blocks computed at a time. Does not change F. Default: 1.
    """
    vectors = TextVectors(texts)
    titles = np.ascontiguousarray(vectors.titles.T)
    of_targets, of_candidates = shared

    def fill(block: tuple[int, int]) -> tuple[Float32s, Integers]:
        first, after = block
        about = {name: targets[name][first:after] for name in ("user", "session", "query", "time")}
        users = about["user"][0], about["user"][-1]
        opens, searched = (slice_users(table, *users) for table in (document_opens, searches))
        own = UserCounts(opens, sort_searches(searched))
        about |= {name: column[first:after] for name, column in of_targets.items()}
        about |= own.count_targets(about)
        start = about["first_open"]
        history = history_vectors(own.opened, start, start + about["user_opens"], titles)
        some, sizes = slice(offsets[first], offsets[after]), np.diff(offsets[first : after + 1])
        target = np.repeat(np.arange(after - first), sizes)
        position = concat_ranges(np.zeros_like(sizes), sizes)
        counted = {name: column[some] for name, column in of_candidates.items()}
        counted |= own.count_candidates(target, about, doc[some])
        values = compute_columns(target, position, doc[some], counted, about, history, vectors)
        release_pages(document_opens, searches, targets, doc, of_candidates)
        return values, counted["last_touch"]

    touches = ColumnFiles(folder, "features")
    # The file of a log without a candidate.
    touches.append({"last_touch": np.zeros(0, np.int64)})
    with (
        array_file(path, "<f4", (len(FEATURES),)) as file,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        for block, touched in pool.map(fill, cut_blocks(offsets, ROWS)):
            block.tofile(file)
            touches.append({"last_touch": touched})
    values = np.load(path, mmap_mode="r+")
    sizes = np.diff(offsets)
    learned = (targets["split"] == Split.TRAIN.number) & (targets["task"] == Task.SEARCH)
    mean, std = standardisation(values, np.repeat(learned, sizes))
    forget_ranks(values, concat_ranges(offsets[redrawn], sizes[redrawn]), mean)
    last_touch = touches.finish()["last_touch"]
    return CandidateFeatures(values, of_candidates["opens"], last_touch, mean, std)


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
    total, variance = np.zeros(width), np.zeros(width)
    chosen = np.flatnonzero(rows)
    blocks = [chosen[first : first + _SUMMED] for first in range(0, len(chosen), _SUMMED)]
    for block in blocks:
        # One row after the other, so that blocks change no bit.
        total = np.concatenate([total[np.newaxis], features[block]]).sum(axis=0)
        release_pages(features)
    mean = total / len(chosen)
    for block in blocks:
        variance += np.square(features[block] - mean).sum(axis=0)
        release_pages(features)
    std = np.sqrt(variance / len(chosen))
    return mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def forget_ranks(values: Float32s, rows: Integers, mean: Float32s) -> None:
    """Set `RANK_FEATURES` of some candidates to their mean, in place.

    Args:
        values: float32 [candidates, features], F.
        rows: int64 [n], those of lists that were never shown.
        mean: float32 [features], which is 0 once standardised.
    """
    for column, feature in enumerate(FEATURES):
        if feature.name in RANK_FEATURES:
            values[rows, column] = mean[column]
