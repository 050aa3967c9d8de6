"""Pseudo-negatives for browses whose list was not logged.

A document's score for a target is

    a * log(1 + opens known before t) / log(1 + the largest such number)
    + (1 - a) * cosine(title, title of the document read)

in whole numbers, so that order and ties are exact on every machine. The best `pool` eligible
documents are kept (ties: the smaller document number, that is the smaller doc_id), and `count` of
them are drawn without replacement by a hash of (seed, target, document): the negatives of a target
do not depend on the order of the dataset.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.common.keyed_hash import keyed
from data_pipeline.settings import PseudoNegativeSettings
from data_pipeline.targets.negative_search import BestDocuments

_CELLS = 16_000_000
_NEGATIVES, ORDER = 1, 2


@dataclasses.dataclass(frozen=True)
class Documents:
    """Documents to draw from, with their opens; number 0 is the pad document and never drawn.

    Attributes:
        available: int64 [documents], time it was published, or first seen in the log if that is
            unknown. A target may draw it if and only if its own time is strictly later.
        vectors: int16 [documents, d], title vectors of `data_pipeline.text.word_vectors.text_vectors`.
        opened: int64 [opens], the document of each open of the unfiltered log.
        known_at: int64 [opens], from when on it counts.
    """

    available: Integers
    vectors: npt.NDArray[np.int16]
    opened: Integers
    known_at: Integers


@dataclasses.dataclass(frozen=True)
class BrowseTargets:
    """Browses that need negatives, in any order.

    Attributes:
        target_id: int64 [T], distinct.
        user: int64 [T].
        time: int64 [T].
        positive: int64 [T], the document read.
    """

    target_id: Integers
    user: Integers
    time: Integers
    positive: Integers


def draw_negatives(
    targets: BrowseTargets,
    documents: Documents,
    relevant: tuple[Integers, Integers],
    settings: PseudoNegativeSettings,
    seed: int,
    cells: int = _CELLS,
) -> Integers:
    """Draw pseudo-negatives for every target.

    Args:
        targets: The browses.
        documents: The documents and their opens.
        relevant: (user, document) pairs, int64 [pairs] each, may repeat: a document that was
            relevant to a user at ANY time is never a negative of that user.
        settings: Weight, pool and number drawn.
        seed: Seed of the draw.
        cells: Targets times documents scored at a time; changes memory, never the result.

    Returns:
        int64 [T, drawn] document numbers in the order of the draw, 0 where fewer are eligible.

    Raises:
        ValueError: A setting is out of range.
    """
    _check(settings)
    size, count = len(documents.available), len(targets.target_id)
    result = np.zeros((count, settings.count), np.int64)
    if size < 2 or not count:
        return result
    owners, owned = _by_user(relevant)
    order = np.argsort(targets.time, kind="stable")
    users, target_id = targets.user[order], targets.target_id[order]
    first = np.searchsorted(owners, users)
    stop = np.searchsorted(owners, users, side="right")
    search = BestDocuments(
        documents.available,
        documents.vectors,
        documents.opened,
        documents.known_at,
        settings,
        seed,
        cells,
    )
    found = search.search(
        targets.time[order], targets.positive[order], lambda row: owned[first[row] : stop[row]]
    )
    for block, best in found:
        result[order[block]] = _draw(best, target_id[block], settings.count, seed)
    return result


def _check(settings: PseudoNegativeSettings) -> None:
    if not 0 <= settings.popularity_weight <= 1:
        raise ValueError(
            "`pseudo_negatives.popularity_weight` must be between 0 and 1. Got "
            f"{settings.popularity_weight}. Fix: set --pseudo_negatives.popularity_weight."
        )
    if not 1 <= settings.count <= settings.pool:
        raise ValueError(
            "`pseudo_negatives.count` must be at least 1 and at most `pseudo_negatives.pool`. Got "
            f"count {settings.count}, pool {settings.pool}. Fix: set --pseudo_negatives.pool to "
            f"{max(settings.count, 1)} or more and --pseudo_negatives.count to 1 or more."
        )


def _by_user(relevant: tuple[Integers, Integers]) -> tuple[Integers, Integers]:
    order = np.argsort(relevant[0], kind="stable")
    return relevant[0][order], relevant[1][order]


def _draw(best: Integers, target_id: Integers, drawn: int, seed: int) -> Integers:
    """Draw from the documents of each row, which ends in zeros if it has fewer."""
    hashes = keyed(seed, _NEGATIVES, target_id[:, np.newaxis], best)
    hashes[best == 0] = np.iinfo(np.uint64).max
    chosen = np.argsort(hashes, axis=1, kind="stable")[:, :drawn]
    return np.take_along_axis(best, chosen, axis=1)


def shuffled_lists(
    positive: Integers, negatives: Integers, target_id: Integers, seed: int
) -> Integers:
    """Return pseudo lists in their "original order": a seeded shuffle, so that rank tells nothing.

    Args:
        positive: int64 [T].
        negatives: int64 [T, drawn], 0 where there is none.
        target_id: int64 [T].
        seed: Seed of the shuffle.

    Returns:
        int64 [T, 1 + drawn] documents, 0 at the end where a list is shorter.

    Example:
        >>> lists = shuffled_lists(np.array([4]), np.array([[7, 9, 0]]), np.array([1]), seed=1)
        >>> sorted(lists[0].tolist()), int(lists[0, -1])
        ([0, 4, 7, 9], 0)
    """
    lists = np.concatenate([positive[:, np.newaxis], negatives], axis=1)
    hashes = keyed(seed, ORDER, target_id[:, np.newaxis], lists)
    order = np.lexsort((lists, hashes, lists == 0), axis=1)
    return np.take_along_axis(lists, order, axis=1)
