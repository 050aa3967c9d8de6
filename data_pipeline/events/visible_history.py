"""What each target sees of its user's past: behaviors, current session, past sessions.

A behavior at a target's time is a *state*: the behavior and the set of its satisfied clicks that
are visible then. The same search before and after its clicks are known is two states. States, and
past sessions by content, get numbers; a target is then a few of those numbers.

The visibility rule is everywhere the same: known_after < time of the target. A past session that
is settled (all it holds is known) has one content for all later targets and is computed once;
the few others are worked out target by target.
"""

import dataclasses

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import concat_ranges, run_starts
from data_pipeline.events.as_of import EventTimes
from data_pipeline.settings import SequenceSettings

_BLOCK = 200_000

CHOICES = (
    "The current session holds the last visible behaviors strictly before the target; a past "
    "session its last visible behaviors as they stand at the target's time.",
    "Past sessions without a visible behavior do not count among the most recent ones.",
    "Of a search's visible satisfied clicks the earliest clicked ones are kept; clicks without a "
    "time come last, in shown order.",
)


class BehaviorStates:
    """Behaviors with each set of visible clicks they can have.

    Args:
        behaviors: Columns behavior (1, 2, ... without gaps), known_after, in that order.
        answers: Columns behavior, rank, doc, known_after, in the order (behavior, rank).
        clicked_titles: Clicks kept of a search: the earliest ones.

    Attributes:
        behavior: int64 [states], row (0-based) of the behavior each state belongs to.
        clicked: int64 [states, clicked_titles], documents, earliest click first, 0 pad.
    """

    def __init__(self, behaviors: Columns, answers: Columns, clicked_titles: int) -> None:
        size = len(behaviors["behavior"])
        owner = answers["behavior"] - 1
        self._answers = EventTimes(owner, answers["known_after"])
        self._count = np.bincount(owner, minlength=size)
        self._first = np.concatenate([[0], np.cumsum(self._count + 1)[:-1]]).astype(np.int64)
        self.behavior = np.repeat(np.arange(size), self._count + 1)
        self.clicked = np.zeros((len(self.behavior), clicked_titles), np.int64)

        # Answer k (in the order in which they become known) is in states k + 1, k + 2, ... of its
        # behavior; of those that a state holds, the first by rank are kept.
        known_order = np.lexsort((answers["rank"], answers["known_after"], owner))
        known = np.zeros(len(owner), np.int64)
        known[known_order] = concat_ranges(np.zeros_like(self._count), self._count)
        for step in range(1, int(self._count.max(initial=0)) + 1):
            held = np.flatnonzero((known < step) & (self._count[owner] >= step))
            edges = run_starts(owner[held])
            place = np.arange(len(held)) - np.repeat(edges[:-1], np.diff(edges))
            front = place < clicked_titles
            rows = self._first[owner[held[front]]] + step
            self.clicked[rows, place[front]] = answers["doc"][held[front]]

        # A click that changes nothing (a fourth one) makes no new state.
        same = np.zeros(len(self.behavior), bool)
        same[1:] = (self.behavior[1:] == self.behavior[:-1]) & (
            self.clicked[1:] == self.clicked[:-1]
        ).all(axis=1)
        numbers = np.arange(len(same))
        self._canonical = np.maximum.accumulate(np.where(same, 0, numbers))
        latest = np.zeros(size, np.int64)
        np.maximum.at(latest, owner, answers["known_after"])
        self.settled_after = np.maximum(latest, behaviors["known_after"])

    def final(self, behavior: Integers) -> Integers:
        """State of each behavior row once all its clicks are known."""
        return self._canonical[self._first[behavior] + self._count[behavior]]

    def at(self, behavior: Integers, time: Integers) -> Integers:
        """State of each behavior row as a target at `time` sees it."""
        return self._canonical[self._first[behavior] + self._answers.before(behavior, time)]


@dataclasses.dataclass(frozen=True)
class VisibleHistory:
    """What targets see, in numbers.

    Attributes:
        sessions: int64 [contents, 5], states + 1 of each distinct content of a past session,
            oldest first from slot 0, 0 pad.
        current: int64 [T, 5], states + 1 of the current session before the target.
        past: int64 [T, 20], row in `sessions` + 1, oldest first from slot 0, 0 pad.
    """

    sessions: Integers
    current: Integers
    past: Integers


def _left_aligned(ends: Integers, begins: Integers, width: int) -> Integers:
    """Numbers max(begin, end - width) ... end - 1 of each row from slot 0 on, -1 pad."""
    first = np.maximum(begins, ends - width)
    slots = first[:, np.newaxis] + np.arange(width)
    return np.where(slots < ends[:, np.newaxis], slots, -1)


class _View:
    """Behaviors of one view, in order, with the bounds of its non-empty sessions."""

    def __init__(
        self, behaviors: Columns, states: BehaviorStates, settings: SequenceSettings
    ) -> None:
        self.states, self.settings = states, settings
        self.row = behaviors["behavior"] - 1
        self.known_after = behaviors["known_after"]
        edges = run_starts(behaviors["session"])
        self.first, self.after = edges[:-1], edges[1:]
        self.session = behaviors["session"][self.first]
        self.user = behaviors["user"][self.first]
        settled = states.settled_after[self.row]
        self.settled_after = np.maximum.reduceat(settled, self.first) if len(settled) else settled
        self.contents = self._final_contents()
        # A click without a time sits inside its session but is known only in a later one: it is
        # never part of the current session.
        punctual = np.flatnonzero(self.known_after == behaviors["time"])
        self.punctual = self.row[punctual]
        self.punctual_time = EventTimes(behaviors["session"][punctual], behaviors["time"][punctual])

    def _final_contents(self) -> Integers:
        place = _left_aligned(self.after, self.first, self.settings.session_behaviors)
        if not len(place):
            return place
        return np.where(place >= 0, self.states.final(self.row[place]) + 1, 0)

    def current(self, session: Integers, time: Integers) -> Integers:
        """States + 1 [T, 5] of each target's session, strictly before its time."""
        begins = self.punctual_time.start(session)
        ends = self.punctual_time.position(session, time)
        place = _left_aligned(ends, begins, self.settings.session_behaviors)
        if not len(self.punctual):
            return np.zeros_like(place)
        seen = self.states.at(
            self.punctual[place].ravel(), np.repeat(time, place.shape[1])
        ).reshape(place.shape)
        return np.where(place >= 0, seen + 1, 0)

    def unsettled(self, first: int, end: int, time: int) -> list[tuple[int, tuple[int, ...]]]:
        """(session, content) of the most recent of sessions `first` ... `end` - 1 as seen."""
        found: list[tuple[int, tuple[int, ...]]] = []
        for session in range(end - 1, first - 1, -1):
            if len(found) == self.settings.past_sessions:
                break
            inside = np.arange(self.first[session], self.after[session])
            inside = inside[self.known_after[inside] < time]
            if len(inside):
                kept = self.row[inside[-self.settings.session_behaviors :]]
                seen = self.states.at(kept, np.full(len(kept), time)) + 1
                pad = self.settings.session_behaviors - len(kept)
                found.append((session, (*seen.tolist(), *[0] * pad)))
        return found[::-1]


def visible_history(
    behaviors: Columns, states: BehaviorStates, targets: Columns, settings: SequenceSettings
) -> VisibleHistory:
    """Works out what each target sees.

    Args:
        behaviors: One view's columns behavior, user, time, known_after, session, in the order of
            `behavior`.
        states: Of the unified log.
        targets: user, time, session (of the view).
        settings: Caps.
    """
    view = _View(behaviors, states, settings)
    count, slots = len(targets["time"]), settings.past_sessions
    begins = np.searchsorted(view.user, targets["user"], side="left")
    ends = np.searchsorted(view.session, targets["session"], side="left")
    past = np.zeros((count, slots), np.int64)
    current = np.zeros((count, settings.session_behaviors), np.int64)
    extra: dict[tuple[int, ...], int] = {}
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        time = targets["time"][rows]
        current[rows] = view.current(targets["session"][rows], time)
        place = _left_aligned(ends[rows], begins[rows], slots)
        past[rows] = place + 1
        if not len(view.session):
            continue
        late = (place >= 0) & (view.settled_after[place] >= time[:, np.newaxis])
        for row in (start + np.flatnonzero(late.any(axis=1))).tolist():
            _see_unsettled(view, past, extra, row, int(begins[row]), int(ends[row]), targets)
    added = np.array(list(extra), np.int64).reshape(-1, settings.session_behaviors)
    return VisibleHistory(np.concatenate([view.contents, added]), current, past)


def _see_unsettled(
    view: _View,
    past: Integers,
    extra: dict[tuple[int, ...], int],
    row: int,
    begin: int,
    end: int,
    targets: Columns,
) -> None:
    """Fills one row of `past` where some past session is not what it finally will be."""
    numbers = []
    for session, content in view.unsettled(begin, end, int(targets["time"][row])):
        if tuple(view.contents[session].tolist()) == content:
            numbers.append(session + 1)
        else:
            known = len(view.contents) + len(extra) + 1
            numbers.append(extra.setdefault(content, known))
    past[row] = 0
    past[row, : len(numbers)] = numbers
