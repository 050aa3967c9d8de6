"""Candidate lists of the targets: candidates in original order, with labels.

Relevant = satisfied click; every other document of the list is a negative, so another relevant
document never is one. Choices: `CHOICES`.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence as Items

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Scenario, Split, Task
from data_pipeline.common.keyed_hash import keyed
from data_pipeline.common.mapped_arrays import ColumnFiles, release_pages
from data_pipeline.common.sorted_arrays import (
    concat_ranges,
    cut_blocks,
    run_starts,
    sorted_unique,
)
from data_pipeline.targets.eligible_targets import LeftOut, SelectedTargets

CHOICES = (
    "A log that has any recommendation request uses its logged lists only: its browses are "
    "history. In a log without one, every satisfied browse is a recommendation target with "
    "pseudo-negatives.",
    "In training a target with r relevant documents is r groups; in validation and test it is one "
    "list.",
    "A document clicked without satisfaction is a negative of its list.",
    "A list of relevant documents only has no negative and is left out, as is a list without any "
    "relevant document, also in validation and test.",
    "Pseudo-negatives exclude what the user found relevant at any time, later than the target "
    "too: this protects the labels; no other part of a target sees its future.",
    "Pseudo-negatives and their order are drawn by (seed, masked user id, time, document), so that "
    "they depend on no other target.",
    "The first search (recommendation) of a user is the first of the unfiltered log.",
    "Requests whose answers are withheld are targets of a split of their own, `unlabeled`, whatever "
    "their session: they are ranked. They cut sessions, and are otherwise seen by no other target, "
    "count or statistic.",
)
_UNUSED = ("start", "given_split")

ROWS = 500_000
"""Candidates of a block of targets."""


@dataclasses.dataclass(frozen=True)
class CandidateLists:
    """Targets in the order of their ids and their candidates in original order.

    Attributes:
        rows: int64 columns, one row a target, total order (user, time, request, doc): target_id
            (0, 1, ...), user, time, activity, session (unified), task (1, 2), request (0 for a
            browse), doc (the browsed document, 0 for a request), query (text), split (number of
            the `Split`), first_of_task, query_seen, has_both, pseudo (all 0/1).
        candidates: int64 columns, one row a candidate, order (target, position): doc, label (0/1),
            clicked (0/1); mapped from files.
        offsets: int64 [targets + 1], where each target's candidates begin.
        left_out: Counts by task and reason.
        redrawn: int64 [n], rows whose list an evaluation protocol replaced, ascending.
    """

    rows: Columns
    candidates: Columns
    offsets: Integers
    left_out: LeftOut
    redrawn: Integers

    def select(self, first: int, after: int) -> Columns:
        """Return the candidates of targets `first` ... `after` - 1, with target_id and position."""
        rows = slice(self.offsets[first], self.offsets[after])
        sizes = np.diff(self.offsets[first : after + 1])
        return {
            "target_id": np.repeat(np.arange(first, after), sizes),
            "position": concat_ranges(np.zeros_like(sizes), sizes),
        } | {name: column[rows] for name, column in self.candidates.items()}


def seed_keys(rows: Columns, user_ids: Items[str]) -> Integers:
    """Return the seed of each target's draws: a hash of its user's id, time and document.

    Args:
        rows: user (1-based number), time, doc.
        user_ids: Masked id of user 1, 2, ...

    Returns:
        int64 [rows]: unlike target ids, they do not move when another user's log changes.
    """
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in user_ids]
    users = np.frombuffer(b"".join(digests), dtype="<i8")
    return keyed(users[rows["user"] - 1], rows["time"], rows["doc"]).view(np.int64)


def lay_out_lists(
    selected: SelectedTargets,
    browses: Integers,
    docs: Integers,
    shown: Columns,
    folder: pathlib.Path,
) -> CandidateLists:
    """Number the targets and lay out their candidates.

    Args:
        selected: The targets; those without a pseudo-negative are left out.
        browses: int64 [n], rows of the targets without a list.
        docs: int64 [n, 1 + drawn], their pseudo lists (`pseudo_negatives.shuffled_lists`):
            documents in order, the one read among them, 0 where fewer were eligible.
        shown: request, position, doc, satisfied, clicked of the other targets' lists, in the order
            (request, position).
        folder: Folder of the files of candidates.
    """
    empty = (docs > 0).sum(axis=1) == 1
    rows = _number_targets(selected, browses[empty])
    kept, lists = browses[~empty], docs[~empty]
    # Rows left out before a browse shift its target id.
    place = kept - np.searchsorted(browses[empty], kept)
    sizes = rows.pop("candidates")
    sizes[place] = (lists > 0).sum(axis=1)
    listed = rows["request"] > 0
    sizes[listed] = np.diff(run_starts(shown["request"]))
    offsets = np.append(0, np.cumsum(sizes))
    # Requests are numbered in the order (user, time, request id), so among targets with a list
    # the order of requests is the order of target ids.
    begins = np.append(0, np.cumsum(np.where(listed, sizes, 0)))
    files = ColumnFiles(folder, "candidates")
    for first, after in cut_blocks(offsets, ROWS):
        length = sizes[first:after]
        drawn = np.repeat(~listed[first:after], length)
        own = lists[slice(*np.searchsorted(place, [first, after]))]
        read = np.repeat(rows["doc"][first:after], length)[drawn]
        seen = slice(begins[first], begins[after])
        block = {name: np.empty(len(drawn), np.int64) for name in ("doc", "label", "clicked")}
        for name, column in (("doc", "doc"), ("label", "satisfied"), ("clicked", "clicked")):
            block[name][~drawn] = shown[column][seen]
        block["doc"][drawn] = own[own > 0]
        # The positive of a pseudo list is the document read.
        block["label"][drawn] = block["clicked"][drawn] = block["doc"][drawn] == read
        files.append(block)
        release_pages(shown)
    left_out = {task: dict(counts) for task, counts in selected.left_out.items()}
    left_out[Task.RECOMMENDATION.label]["no_pseudo_negative"] = int(empty.sum())
    return CandidateLists(rows, files.finish(), offsets, left_out, np.zeros(0, np.int64))


def _number_targets(selected: SelectedTargets, without: Integers) -> Columns:
    """Return the rows of the targets but those `without`, numbered; `candidates` is a copy."""
    valid = np.ones(len(selected.rows["time"]), bool)
    valid[without] = False
    rows = {name: column[valid] for name, column in selected.rows.items() if name not in _UNUSED}
    return rows | {
        "target_id": np.arange(len(rows["time"])),
        "pseudo": (rows["request"] == 0).astype(np.int64),
    }


def find_next_queries(rows: Columns, searches: Columns) -> Integers:
    """Return the user's first query after each target in the same unified session, 0 for none.

    Args:
        rows: activity, session of the targets.
        searches: activity, query, session, in the order of their requests.
    """
    place = np.searchsorted(searches["activity"], rows["activity"], side="right")
    result = np.zeros_like(place)
    followed = np.flatnonzero(place < len(searches["activity"]))
    session, query = (searches[name][place[followed]] for name in ("session", "query"))
    result[followed] = np.where(session == rows["session"][followed], query, 0)
    return result


def list_groups(lists: CandidateLists) -> tuple[Integers, Integers]:
    """Return the groups (target rows): a training target once for each relevant document.

    Returns:
        (row of the target, position of the positive), int64 [groups], order (target_id,
        position). In validation and test only the first relevant document's group; an unlabeled
        target is one group, whose positive is of no meaning: position 0.
    """
    split, offsets = lists.rows["split"], lists.offsets
    found = [offsets[:-1][split == Split.UNLABELED.number]]
    for first, after in cut_blocks(offsets, ROWS):
        begin, end = offsets[[first, after]]
        found.append(begin + np.flatnonzero(lists.candidates["label"][begin:end]))
        release_pages(lists)
    listed = sorted_unique(np.concatenate(found))
    row = np.searchsorted(offsets, listed, side="right") - 1
    stays = split[row] == Split.TRAIN.number
    stays[run_starts(row)[:-1]] = True
    return row[stays], (listed - offsets[row])[stays]


def select_targets(rows: Columns, scenario: str) -> Integers:
    """Return the target ids of a scenario: all of them, or those of its task."""
    if scenario == Scenario.UNIFIED:
        return rows["target_id"]
    task = Task.SEARCH if scenario == Scenario.SEARCH else Task.RECOMMENDATION
    return np.flatnonzero(rows["task"] == task)
