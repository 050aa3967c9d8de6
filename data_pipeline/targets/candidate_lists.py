"""Targets: what is ranked for, its candidate list, its labels, and what was left out and why.

A search is a target of task 2, a recommendation one of task 1. Relevant = satisfied click; every
other document of the list is a negative, so another relevant one never is. What DESIGN leaves open
is settled in `CHOICES`.
"""

import dataclasses
import hashlib
from collections.abc import Sequence as Items

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import Scenario, Split, Task
from data_pipeline.common.keyed_hash import keyed
from data_pipeline.common.sorted_arrays import concat_ranges, run_starts
from data_pipeline.engine.base import Engine
from data_pipeline.events.impressions import ShownLists
from data_pipeline.targets.eligible_targets import LeftOut

CHOICES = (
    "A log that holds any recommendation request uses its logged lists only: its browses are "
    "history. In a log without one every satisfied browse is a recommendation target with "
    "pseudo-negatives.",
    "In training a target with r relevant documents is r groups; in validation and test it is one "
    "list.",
    "A document clicked without satisfaction is a negative of its list.",
    "A list of relevant documents only has no negative and is left out, as is a list without any "
    "relevant document, also in validation and test.",
    "Pseudo-negatives exclude what the user found relevant at any time, later than the target "
    "too: this protects the labels; no other part of a target knows its future.",
    "Pseudo-negatives and their order are drawn by (seed, masked user id, time, document), so that "
    "they depend on no other target.",
    "The first search (recommendation) of a user is the first of the unfiltered log.",
)


@dataclasses.dataclass(frozen=True)
class Targets:
    """Targets in the order of their ids and their candidates in original order.

    Attributes:
        rows: int64 columns, one row a target, total order (user, time, request, doc): target_id
            (0, 1, ...), user, time, visit, session (unified), task (1, 2), request (0 for a
            browse), doc (the browsed one, else 0), query (text), split (number of the `Split`),
            first_of_task, query_seen, has_both, pseudo (all 0/1).
        candidates: int64 columns, one row a candidate, order (target_id, position): target_id,
            position (0-based), doc, label (0/1), clicked (0/1).
        offsets: int64 [targets + 1], where each target's candidates begin.
        left_out: Counts by task and reason.
    """

    rows: Columns
    candidates: Columns
    offsets: Integers
    left_out: LeftOut


@dataclasses.dataclass(frozen=True)
class PseudoLists:
    """Lists of browses.

    Attributes:
        row: int64 [n], row of each browse among the valid targets.
        docs: int64 [n, 1 + drawn], `data_pipeline.targets.pseudo_negatives.shuffled_lists`: documents in their
            order, the one read among them, 0 where fewer were eligible.
    """

    row: Integers
    docs: Integers


def seed_keys(rows: Columns, user_ids: Items[str]) -> Integers:
    """What the draws of each target are seeded by: a hash of its user's id, time and document.

    Args:
        rows: user (1-based number), time, doc.
        user_ids: Masked id of user 1, 2, ...

    Returns:
        int64 [rows]: unlike target ids, they do not move when another user's log changes.
    """
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in user_ids]
    users = np.frombuffer(b"".join(digests), dtype="<i8")
    return keyed(users[rows["user"] - 1], rows["time"], rows["doc"]).view(np.int64)


def build_targets(
    engine: Engine,
    shown: ShownLists,
    rows: Columns,
    split: Integers,
    pseudo: PseudoLists,
    left_out: LeftOut,
) -> Targets:
    """Numbers the targets and lays out their candidates.

    Args:
        engine, shown: The lists.
        rows: `possible_targets.valid_targets`.
        split: int64 [rows], number of the `Split`.
        pseudo: Of the browses among the rows.
        left_out: Counts of what is no target; those without a pseudo-negative are added.
    """
    empty = (pseudo.docs > 0).sum(axis=1) == 1
    left_out = {task: dict(counts) for task, counts in left_out.items()}
    left_out[Task.RECOMMENDATION.label]["no_pseudo_negative"] = int(empty.sum())

    valid = np.ones(len(rows["time"]), bool)
    valid[pseudo.row[empty]] = False
    kept = np.flatnonzero(valid)
    names = ("user", "time", "visit", "session", "task", "request", "doc", "query")
    flags = ("first_of_task", "query_seen", "has_both")
    result = {name: rows[name][kept] for name in names + flags}
    result["target_id"] = np.arange(len(kept))
    result["split"] = split[kept]
    result["pseudo"] = (result["request"] == 0).astype(np.int64)

    sizes = rows["candidates"][kept]
    lists = pseudo.docs[~empty]
    place = np.searchsorted(kept, pseudo.row[~empty])
    sizes[place] = (lists > 0).sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    candidates = {
        "target_id": np.repeat(result["target_id"], sizes),
        "position": concat_ranges(np.zeros(len(kept), np.int64), sizes),
        "doc": np.zeros(offsets[-1], np.int64),
        "label": np.zeros(offsets[-1], np.int64),
        "clicked": np.zeros(offsets[-1], np.int64),
    }
    slots = concat_ranges(offsets[place], sizes[place])
    candidates["doc"][slots] = lists[lists > 0]
    positive = np.repeat(result["doc"][place], sizes[place])
    candidates["label"][slots] = candidates["doc"][slots] == positive
    candidates["clicked"][slots] = candidates["label"][slots]
    _fill_lists(engine, shown, result, offsets, candidates)
    return Targets(result, candidates, offsets, left_out)


def _fill_lists(
    engine: Engine, shown: ShownLists, rows: Columns, offsets: Integers, candidates: Columns
) -> None:
    """Writes the logged lists of the targets into `candidates`."""
    listed = np.flatnonzero(rows["request"] > 0)
    if not len(listed):
        return
    found = shown.of_requests(engine, rows["request"][listed])
    # Request numbers run in the order (user, time, request id), so among targets with a list the
    # order of requests is the order of target ids.
    slots = concat_ranges(offsets[listed], np.diff(offsets)[listed])
    candidates["doc"][slots] = found["doc"]
    candidates["label"][slots] = found["satisfied"]
    candidates["clicked"][slots] = found["clicked"]


def next_queries(rows: Columns, searches: Columns) -> Integers:
    """Text of the user's first query after each target in the same unified session, 0 for none.

    Args:
        rows: visit, session of the targets.
        searches: visit, query, session, in the order of their requests.
    """
    place = np.searchsorted(searches["visit"], rows["visit"], side="right")
    session, query = (np.append(searches[name], 0)[place] for name in ("session", "query"))
    return np.where(session == rows["session"], query, 0)


def groups(targets: Targets) -> tuple[Integers, Integers]:
    """The groups (target rows): a training target once for each relevant document.

    Returns:
        (row of the target, position of the positive), int64 [groups], order (target_id,
        position). In validation and test only the first relevant document's group.
    """
    relevant = np.flatnonzero(targets.candidates["label"])
    row = targets.candidates["target_id"][relevant]
    first = np.zeros(len(row), bool)
    first[run_starts(row)[:-1]] = True
    stays = first | (targets.rows["split"][row] == Split.TRAIN.number)
    return row[stays], targets.candidates["position"][relevant][stays]


def of_view(rows: Columns, view: str) -> Integers:
    """Target ids of a view: all of them, or those of its task."""
    if view == Scenario.UNIFIED:
        return rows["target_id"]
    task = Task.SEARCH if view == Scenario.SEARCH else Task.RECOMMENDATION
    return np.flatnonzero(rows["task"] == task)
