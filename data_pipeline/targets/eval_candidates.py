"""Candidate lists of validation and test targets by other protocols than the list shown.

Many papers rank what a user clicked among N documents drawn from the catalogue. The protocols
`pseudo` and `sampled` replace the lists of validation and test targets by the relevant documents
and drawn ones; training lists stay as they were, so that one trained run is evaluated on several
datasets of a log. Targets and their ids are the same under every protocol.

`sampled` draws without replacement from a stream of entries: a document stands in it once, and by
`popularity` once more for each time it was opened. Only entries known before the target are drawn
from, a repeated document and one clicked in the target are passed over. All in integers, seeded by
(seed, target), so that a list depends on no other target.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import Split
from data_pipeline.common.keyed_hash import keyed
from data_pipeline.common.sorted_arrays import concat_ranges, run_starts
from data_pipeline.events.as_of import NEVER
from data_pipeline.features.relevance_features import FEATURES
from data_pipeline.settings import EvalCandidateSettings, PseudoNegativeSettings
from data_pipeline.targets.candidate_lists import Targets, seed_keys
from data_pipeline.targets.pseudo_negatives import ORDER, BrowseTargets, Documents, draw_negatives

CHOICES = (
    "Under the protocols `pseudo` and `sampled` a validation or test target with r relevant "
    "documents is one list of those and the drawn ones, in an order that is a seeded shuffle; the "
    "targets are those of the protocol `shown`.",
    "Sampled documents were published, or first seen, before the target and not clicked in it; "
    "what the user opened at other times may be drawn.",
    "Pseudo-negatives of a target with several relevant documents are like the first of them.",
    "A drawn list was never ranked by a service: the features that tell places in a list have "
    "their mean for each of its candidates.",
)

RANK_FEATURES = ("reciprocal_rank", "log_rank", "below_last_opened")
"""Columns of F that tell where in the list shown a candidate stood."""

_DRAWS, _REST = 3, 4


def redrawn(targets: Targets, settings: EvalCandidateSettings) -> Integers:
    """Rows of the targets whose list a protocol replaces, ascending: int64 [n].

    None under `shown`; under `pseudo` not those that have pseudo-negatives anyway.
    """
    if settings.protocol == "shown":
        return np.zeros(0, np.int64)
    later = targets.rows["split"] != Split.TRAIN.number
    if settings.protocol == "pseudo":
        later &= targets.rows["pseudo"] == 0
    return np.flatnonzero(later)


def redraw(
    targets: Targets,
    rows: Integers,
    user_ids: Sequence[str],
    documents: Documents,
    relevant: tuple[Integers, Integers],
    settings: EvalCandidateSettings,
    pseudo: PseudoNegativeSettings,
    seed: int,
) -> Targets:
    """Replaces the lists of `rows`, by `redrawn`.

    Args:
        targets: The targets with the lists shown.
        rows: int64 [n], targets whose list is replaced.
        user_ids: Masked id of user 1, 2, ...
        documents: What the draws know of the documents.
        relevant: (user, document) pairs of what users found relevant, as `draw_negatives` asks.
        settings: The protocol.
        pseudo: How pseudo-negatives are drawn.
        seed: Seed of draws and order.
    """
    about = {name: targets.rows[name][rows] for name in ("user", "time", "doc")}
    keys = seed_keys(about, user_ids)
    if settings.protocol == "pseudo":
        labelled = np.flatnonzero(targets.candidates["label"])
        first = labelled[run_starts(targets.candidates["target_id"][labelled])[:-1]]
        positive = targets.candidates["doc"][first][rows]
        browses = BrowseTargets(keys, about["user"], about["time"], positive)
        drawn = draw_negatives(browses, documents, relevant, pseudo, seed)
    else:
        drawn = _sampled(targets, rows, keys, documents, settings, seed)
    return with_lists(targets, rows, drawn, keys, seed)


def _sampled(
    targets: Targets,
    rows: Integers,
    keys: Integers,
    documents: Documents,
    settings: EvalCandidateSettings,
    seed: int,
) -> Integers:
    """int64 [n, negatives]: drawn documents, 0 where fewer are eligible."""
    entries, known_after = stream(documents, settings.drawn_by == "popularity")
    known = np.searchsorted(known_after, targets.rows["time"][rows])
    drawn = np.zeros((len(rows), settings.count), np.int64)
    for line, (row, key, size) in enumerate(zip(rows, keys, known, strict=True)):
        listed = slice(targets.offsets[row], targets.offsets[row + 1])
        clicked = targets.candidates["doc"][listed][targets.candidates["clicked"][listed] == 1]
        found = draw(entries[:size], clicked, settings.count, seed, key)
        drawn[line, : len(found)] = found
    return drawn


def stream(documents: Documents, openings: bool) -> tuple[Integers, Integers]:
    """The entries documents are drawn from: (document, from when on it counts), in time order.

    Args:
        documents: The documents and their openings.
        openings: Whether each opening is one more entry of its document.

    Example:
        >>> vectors = np.zeros((3, 1), np.int16)
        >>> documents = Documents(
        ...     np.array([NEVER, 20, 10]), vectors, np.array([2, 2]), np.array([15, 30])
        ... )
        >>> [column.tolist() for column in stream(documents, openings=True)]
        [[2, 2, 1, 2], [10, 15, 20, 30]]
    """
    entries = np.arange(len(documents.available))
    known_after = documents.available
    if openings:
        # A log may hold an opening of a document earlier than its publication.
        later = np.maximum(documents.known_after, documents.available[documents.opened])
        entries = np.concatenate([entries, documents.opened])
        known_after = np.concatenate([known_after, later])
    order = np.lexsort((entries, known_after))
    order = order[known_after[order] < NEVER]
    return entries[order], known_after[order]


def draw(entries: Integers, excluded: Integers, count: int, seed: int, key: int) -> Integers:
    """Draws distinct documents, each time in proportion to the entries of those still left.

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
        # Few are left, or a few weigh nearly all: go on through every entry in random order.
        order = np.argsort(keyed(seed, _REST, key, np.arange(len(entries))), kind="stable")
        found = _distinct(excluded, np.concatenate([found, entries[order]]))
    return found[:count]


def _distinct(excluded: Integers, documents: Integers) -> Integers:
    """The distinct documents in the order of their first place, without the excluded ones."""
    together = np.concatenate([excluded, documents])
    _, first = np.unique(together, return_index=True)
    return together[np.sort(first)[len(excluded) :]]


def with_lists(
    targets: Targets, rows: Integers, drawn: Integers, keys: Integers, seed: int
) -> Targets:
    """Targets whose lists at `rows` are their relevant documents and drawn ones, shuffled.

    Args:
        targets: The targets.
        rows: int64 [n], targets whose list is replaced.
        drawn: int64 [n, drawn], documents, 0 where there is none.
        keys: int64 [n], `seed_keys`.
        seed: Seed of the shuffle, that of `data_pipeline.targets.pseudo_negatives.shuffled_lists`.
    """
    old, count = targets.candidates, len(targets.rows["target_id"])
    replaced, key = np.zeros(count, bool), np.zeros(count, np.int64)
    replaced[rows], key[rows] = True, keys
    stays = ~replaced[old["target_id"]] | (old["label"] == 1)
    line, slot = np.nonzero(drawn)
    added = dict.fromkeys(old, np.zeros(len(line), np.int64))
    added |= {"target_id": rows[line], "doc": drawn[line, slot]}
    new = {name: np.concatenate([column[stays], added[name]]) for name, column in old.items()}
    target_id, doc = new["target_id"], new["doc"]
    shuffled = keyed(seed, ORDER, key[target_id], doc)
    place = np.where(replaced[target_id], shuffled, new["position"].astype(np.uint64))
    order = np.lexsort((doc, place, target_id))
    sizes = np.bincount(target_id, minlength=count)
    return dataclasses.replace(
        targets,
        rows=targets.rows | {"pseudo": np.where(replaced, 1, targets.rows["pseudo"])},
        candidates={name: column[order] for name, column in new.items()}
        | {"position": concat_ranges(np.zeros(count, np.int64), sizes)},
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
    )


def forget_ranks(
    features: npt.NDArray[np.float32],
    targets: Targets,
    rows: Integers,
    mean: npt.NDArray[np.float32],
) -> None:
    """Sets `RANK_FEATURES` of the candidates of the targets `rows` to their mean, in place.

    Args:
        features: float32 [candidates, features], F.
        targets: The targets.
        rows: int64 [n], targets whose list was drawn.
        mean: float32 [features], which is 0 once standardised.
    """
    replaced = np.isin(targets.candidates["target_id"], rows)
    for column, feature in enumerate(FEATURES):
        if feature.name in RANK_FEATURES:
            features[replaced, column] = mean[column]
