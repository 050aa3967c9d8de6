"""Candidate lists of evaluation protocols other than the list shown.

Many papers rank the clicked document among N documents drawn from the catalogue. The protocols
`pseudo` and `sampled` replace the lists of validation and test targets by the relevant documents and
drawn ones. Training lists do not change, so that one trained run is evaluated on several datasets of
a log. Targets and their ids are the same under every protocol.

`sampled` draws without replacement from entries: each document is one entry, and with `popularity`
one more for each time it was opened. Only entries known before the target count; repeated documents
and documents clicked in the target are skipped. Draws are integers seeded by (seed, target), so that
a list depends on no other target.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import Split
from data_pipeline.common.keyed_hash import keyed
from data_pipeline.common.mapped_arrays import ColumnFiles, release_pages
from data_pipeline.common.sorted_arrays import cut_blocks
from data_pipeline.events.as_of import NEVER
from data_pipeline.settings import EvalCandidateSettings, PseudoNegativeSettings
from data_pipeline.targets.candidate_lists import ROWS, CandidateLists, seed_keys
from data_pipeline.targets.pseudo_negatives import ORDER, BrowseTargets, Documents, draw_negatives

CHOICES = (
    "Under the protocols `pseudo` and `sampled` a validation or test target with r relevant "
    "documents is one list of those and the drawn ones, in a seeded random order; the targets are "
    "those of the protocol `shown`.",
    "Sampled documents were published, or first seen, before the target and not clicked in it; "
    "documents the user opened at other times may be drawn.",
    "Pseudo-negatives of a target with several relevant documents resemble the first of them.",
    "A drawn list was never ranked by a service: features that depend on the rank have their mean "
    "for each of its candidates.",
)

_DRAWS, _REST = 3, 4


def find_redrawn(lists: CandidateLists, settings: EvalCandidateSettings) -> Integers:
    """Return the targets whose list a protocol replaces, ascending: int64 [n].

    None under `shown`; under `pseudo` only targets that have no pseudo-negatives yet.
    """
    if settings.protocol == "shown":
        return np.zeros(0, np.int64)
    later = np.isin(lists.rows["split"], [Split.VALIDATION.number, Split.TEST.number])
    if settings.protocol == "pseudo":
        later &= lists.rows["pseudo"] == 0
    return np.flatnonzero(later)


def redraw(
    lists: CandidateLists,
    rows: Integers,
    user_ids: Sequence[str],
    documents: Documents,
    relevant: tuple[Integers, Integers],
    settings: EvalCandidateSettings,
    pseudo: PseudoNegativeSettings,
    seed: int,
    folder: pathlib.Path,
) -> CandidateLists:
    """Replace the lists of `rows`, of `find_redrawn`.

    Args:
        lists: The targets with the lists shown.
        rows: int64 [n], targets whose list is replaced.
        user_ids: Masked id of user 1, 2, ...
        documents: The documents and their opens.
        relevant: (user, document) pairs of relevant documents, as for `draw_negatives`.
        settings: The protocol.
        pseudo: How pseudo-negatives are drawn.
        seed: Seed of draws and order.
        folder: Folder of the files of candidates.
    """
    about = {name: lists.rows[name][rows] for name in ("user", "time", "doc")}
    keys = seed_keys(about, user_ids)
    if settings.protocol == "pseudo":
        labelled = np.flatnonzero(lists.candidates["label"])
        # Every target has a relevant document.
        first = labelled[np.searchsorted(labelled, lists.offsets[rows])]
        positive = lists.candidates["doc"][first]
        browses = BrowseTargets(keys, about["user"], about["time"], positive)
        drawn = draw_negatives(browses, documents, relevant, pseudo, seed)
    else:
        drawn = _sample(lists, rows, keys, documents, settings, seed)
    return replace_lists(lists, rows, drawn, keys, seed, folder)


def _sample(
    lists: CandidateLists,
    rows: Integers,
    keys: Integers,
    documents: Documents,
    settings: EvalCandidateSettings,
    seed: int,
) -> Integers:
    """Return drawn documents, 0 where fewer are eligible: int64 [n, count]."""
    entries, known_at = list_entries(documents, settings.drawn_by == "popularity")
    known = np.searchsorted(known_at, lists.rows["time"][rows])
    drawn = np.zeros((len(rows), settings.count), np.int64)
    for line, (row, key, size) in enumerate(zip(rows, keys, known, strict=True)):
        listed = slice(lists.offsets[row], lists.offsets[row + 1])
        clicked = lists.candidates["doc"][listed][lists.candidates["clicked"][listed] == 1]
        found = draw(entries[:size], clicked, settings.count, seed, key)
        drawn[line, : len(found)] = found
    return drawn


def list_entries(documents: Documents, by_popularity: bool) -> tuple[Integers, Integers]:
    """Return the entries documents are drawn from: (document, known_at), in time order.

    Args:
        documents: The documents and their opens.
        by_popularity: Each open is one more entry of its document.

    Example:
        >>> vectors = np.zeros((3, 1), np.int16)
        >>> documents = Documents(
        ...     np.array([NEVER, 20, 10]), vectors, np.array([2, 2]), np.array([15, 30])
        ... )
        >>> [column.tolist() for column in list_entries(documents, by_popularity=True)]
        [[2, 2, 1, 2], [10, 15, 20, 30]]
    """
    entries = np.arange(len(documents.available))
    known_at = documents.available
    if by_popularity:
        # A log may hold an open of a document earlier than its publication.
        later = np.maximum(documents.known_at, documents.available[documents.opened])
        entries = np.concatenate([entries, documents.opened])
        known_at = np.concatenate([known_at, later])
    order = np.lexsort((entries, known_at))
    order = order[known_at[order] < NEVER]
    return entries[order], known_at[order]


def draw(entries: Integers, excluded: Integers, count: int, seed: int, key: int) -> Integers:
    """Draw distinct documents, each time in proportion to the entries of those left.

    Args:
        entries: int64 [entries], documents, as often as they weigh.
        excluded: int64, distinct documents that are not drawn.
        count: Documents to draw.
        seed, key: What the draw depends on.

    Returns:
        int64 [at most count], in the order of the draw; fewer where `entries` has no more.

    Example:
        >>> drawn = draw(np.array([4, 5, 5, 6]), np.array([6]), 3, seed=1, key=7)
        >>> sorted(drawn.tolist())
        [4, 5]
    """
    if not len(entries):
        return entries
    numbers = keyed(seed, _DRAWS, key, np.arange(2 * count)) % np.uint64(len(entries))
    found = _distinct(excluded, entries[numbers.astype(np.int64)])
    if len(found) < count:
        # Few are left, or a few weigh nearly all: continue through every entry in random order.
        order = np.argsort(keyed(seed, _REST, key, np.arange(len(entries))), kind="stable")
        found = _distinct(excluded, np.concatenate([found, entries[order]]))
    return found[:count]


def _distinct(excluded: Integers, documents: Integers) -> Integers:
    """Return the distinct documents in the order of their first place, without the excluded."""
    together = np.concatenate([excluded, documents])
    _, first = np.unique(together, return_index=True)
    return together[np.sort(first)[len(excluded) :]]


def replace_lists(
    lists: CandidateLists,
    rows: Integers,
    drawn: Integers,
    keys: Integers,
    seed: int,
    folder: pathlib.Path,
) -> CandidateLists:
    """Return targets whose lists at `rows` are their relevant documents and drawn ones, shuffled.

    Args:
        lists: The targets.
        rows: int64 [n], targets whose list is replaced, ascending.
        drawn: int64 [n, drawn], documents, 0 where there is none.
        keys: int64 [n], `seed_keys`.
        seed: Seed of the shuffle, that of `data_pipeline.targets.pseudo_negatives.shuffled_lists`.
        folder: Folder of the files of candidates.
    """
    count = len(lists.rows["target_id"])
    replaced, key = np.zeros(count, bool), np.zeros(count, np.int64)
    replaced[rows], key[rows] = True, keys
    files, sizes = ColumnFiles(folder, "redrawn"), np.zeros(count, np.int64)
    for first, after in cut_blocks(lists.offsets, ROWS):
        old = lists.select(first, after)
        stays = ~replaced[old["target_id"]] | (old["label"] == 1)
        mine = slice(*np.searchsorted(rows, [first, after]))
        line, slot = np.nonzero(drawn[mine])
        added = dict.fromkeys(old, np.zeros(len(line), np.int64))
        added |= {"target_id": rows[mine][line], "doc": drawn[mine][line, slot]}
        new = {name: np.append(column[stays], added[name]) for name, column in old.items()}
        target_id, doc = new["target_id"], new["doc"]
        shuffled = keyed(seed, ORDER, key[target_id], doc)
        place = np.where(replaced[target_id], shuffled, new["position"].astype(np.uint64))
        order = np.lexsort((doc, place, target_id))
        files.append({name: new[name][order] for name in lists.candidates})
        sizes[first:after] = np.bincount(target_id - first, minlength=after - first)
        release_pages(lists.candidates)
    return dataclasses.replace(
        lists,
        rows=lists.rows | {"pseudo": np.where(replaced, 1, lists.rows["pseudo"])},
        candidates=files.finish(),
        offsets=np.append(0, np.cumsum(sizes)),
        redrawn=rows,
    )
