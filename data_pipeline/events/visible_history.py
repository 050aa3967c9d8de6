"""Visible history of each target: its current session and past sessions as of its time.

A behavior at a target's time is a *state*: the behavior and those of its satisfied clicks that are
visible then. The same search before and after its clicks are known is two states. States, and past
sessions by content, have numbers; the history of a target is a few of those numbers.

A past session is settled when all its facts are known. It then has one content for all later targets,
computed once; the few unsettled sessions are computed target by target.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.sorted_arrays import concat_ranges, run_starts
from data_pipeline.events.as_of import EventTimes
from data_pipeline.settings import SequenceSettings

_BLOCK = 200_000

CHOICES = (
    "The current session holds the last visible behaviors strictly before the target; a past "
    "session its last visible behaviors as known at the target's time.",
    "Past sessions without a visible behavior do not count among the most recent ones.",
    "Of a search's visible satisfied clicks the earliest clicked ones are kept; clicks without a "
    "time come last, in shown order.",
)


class BehaviorStates:
    """Behaviors with each set of visible clicks they can have.

    Args:
        behaviors: Columns behavior (1, 2, ... without gaps), known_at, in that order.
        clicks: Columns behavior, rank, doc, known_at of the satisfied search clicks, in the order
            (behavior, rank).
        clicked_titles: Clicks kept of a search: the earliest ones.

    Attributes:
        behavior: int64 [states], row (0-based) of the behavior of each state.
        clicked: int64 [states, clicked_titles], documents, earliest click first, 0 pad.
        settled_at: int64 [behaviors], when the behavior and all its clicks are known.
    """

    def __init__(self, behaviors: Columns, clicks: Columns, clicked_titles: int) -> None:
        size, owner = len(behaviors["behavior"]), clicks["behavior"] - 1
        self._clicks = EventTimes(owner, clicks["known_at"])
        self._count = np.bincount(owner, minlength=size)
        self._first = np.concatenate([[0], np.cumsum(self._count + 1)[:-1]]).astype(np.int64)
        self.behavior = np.repeat(np.arange(size), self._count + 1)
        self.clicked = self._fill_clicked(clicks, owner, clicked_titles)
        self._canonical = self._merge_equal()
        latest = np.zeros(size, np.int64)
        np.maximum.at(latest, owner, clicks["known_at"])
        self.settled_at = np.maximum(latest, behaviors["known_at"])

    def _fill_clicked(self, clicks: Columns, owner: Integers, clicked_titles: int) -> Integers:
        """Return the clicked documents of each state.

        Click k (in the order in which they become known) is in states k + 1, k + 2, ... of its
        behavior; a state keeps its first clicks by rank.
        """
        clicked = np.zeros((len(self.behavior), clicked_titles), np.int64)
        known_order = np.lexsort((clicks["rank"], clicks["known_at"], owner))
        known = np.zeros(len(owner), np.int64)
        known[known_order] = concat_ranges(np.zeros_like(self._count), self._count)
        for step in range(1, int(self._count.max(initial=0)) + 1):
            held = np.flatnonzero((known < step) & (self._count[owner] >= step))
            edges = run_starts(owner[held])
            place = np.arange(len(held)) - np.repeat(edges[:-1], np.diff(edges))
            front = place < clicked_titles
            rows = self._first[owner[held[front]]] + step
            clicked[rows, place[front]] = clicks["doc"][held[front]]
        return clicked

    def _merge_equal(self) -> Integers:
        """Return the number of each state; a click that changes nothing (a fourth) adds none."""
        same = np.zeros(len(self.behavior), bool)
        same[1:] = (self.behavior[1:] == self.behavior[:-1]) & (
            self.clicked[1:] == self.clicked[:-1]
        ).all(axis=1)
        return np.maximum.accumulate(np.where(same, 0, np.arange(len(same))))

    def final(self, behavior: Integers) -> Integers:
        """Return the state of each behavior row once all its clicks are known."""
        return self._canonical[self._first[behavior] + self._count[behavior]]

    def at(self, behavior: Integers, time: Integers) -> Integers:
        """Return the state of each behavior row for a target at `time`."""
        return self._canonical[self._first[behavior] + self._clicks.before(behavior, time)]


@dataclasses.dataclass(frozen=True)
class VisibleHistory:
    """Visible history of targets, in numbers.

    Attributes:
        sessions: int64 [contents, 5], states + 1 of each distinct content of a past session,
            oldest first from slot 0, 0 pad.
        current: int64 [T, 5], states + 1 of the current session before the target.
        past: int64 [T, 20], row in `sessions` + 1, oldest first from slot 0, 0 pad.
    """

    sessions: Integers
    current: Integers
    past: Integers


def visible_history(
    behaviors: Columns, states: BehaviorStates, targets: Columns, settings: SequenceSettings
) -> VisibleHistory:
    """Return the history visible to each target.

    Args:
        behaviors: Columns behavior, user, time, known_at, session of one scenario, in the order of
            `behavior`.
        states: States of those behaviors.
        targets: Columns user, time, session (of the scenario).
        settings: Caps.
    """
    sessions = _Sessions(behaviors, states, settings)
    count = len(targets["time"])
    past = np.zeros((count, settings.past_sessions), np.int64)
    current = np.zeros((count, settings.session_behaviors), np.int64)
    unsettled = _UnsettledContents(sessions)
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = {name: column[rows] for name, column in targets.items()}
        current[rows] = sessions.find_current(block["session"], block["time"])
        begins, ends = sessions.find_past(block)
        place = _left_align(ends, begins, settings.past_sessions)
        past[rows] = place + 1
        late = sessions.find_unsettled(place, block["time"])
        for row in np.flatnonzero(late).tolist():
            numbers = unsettled.number(int(begins[row]), int(ends[row]), int(block["time"][row]))
            past[start + row] = 0
            past[start + row, : len(numbers)] = numbers
    return VisibleHistory(unsettled.list_contents(), current, past)


def _left_align(ends: Integers, begins: Integers, width: int) -> Integers:
    """Return max(begin, end - width) ... end - 1 of each row from slot 0 on, -1 pad."""
    first = np.maximum(begins, ends - width)
    slots = first[:, np.newaxis] + np.arange(width)
    return np.where(slots < ends[:, np.newaxis], slots, -1)


class _Sessions:
    """Behaviors of one scenario, in order, with the bounds of its non-empty sessions."""

    def __init__(
        self, behaviors: Columns, states: BehaviorStates, settings: SequenceSettings
    ) -> None:
        self.states, self.settings = states, settings
        self.row = behaviors["behavior"] - 1
        self.known_at = behaviors["known_at"]
        edges = run_starts(behaviors["session"])
        self.first, self.after = edges[:-1], edges[1:]
        self.session = behaviors["session"][self.first]
        self.user = behaviors["user"][self.first]
        settled = states.settled_at[self.row]
        self.settled_at = np.maximum.reduceat(settled, self.first) if len(settled) else settled
        self.contents = self._find_final_contents()
        # A click without a time is inside its session but known only in a later one: it is never
        # part of the current session.
        punctual = np.flatnonzero(self.known_at == behaviors["time"])
        self.punctual = self.row[punctual]
        self.punctual_time = EventTimes(behaviors["session"][punctual], behaviors["time"][punctual])

    def _find_final_contents(self) -> Integers:
        place = _left_align(self.after, self.first, self.settings.session_behaviors)
        if not len(place):
            return place
        return np.where(place >= 0, self.states.final(self.row[place]) + 1, 0)

    def find_current(self, session: Integers, time: Integers) -> Integers:
        """Return states + 1 [T, 5] of each target's session, strictly before its time."""
        begins = self.punctual_time.start(session)
        ends = self.punctual_time.position(session, time)
        place = _left_align(ends, begins, self.settings.session_behaviors)
        if not len(self.punctual):
            return np.zeros_like(place)
        state = self.states.at(
            self.punctual[place].ravel(), np.repeat(time, place.shape[1])
        ).reshape(place.shape)
        return np.where(place >= 0, state + 1, 0)

    def find_past(self, targets: Columns) -> tuple[Integers, Integers]:
        """Return the range of each target's earlier sessions: (begin, end), int64 [T]."""
        begins = np.searchsorted(self.user, targets["user"], side="left")
        ends = np.searchsorted(self.session, targets["session"], side="left")
        return begins, ends

    def find_unsettled(self, place: Integers, time: Integers) -> npt.NDArray[np.bool_]:
        """Return the targets with a past session that is not settled before their time: bool [T].

        Args:
            place: int64 [T, 20], sessions of each target, -1 pad.
            time: int64 [T].
        """
        if not len(self.session):
            return np.zeros(len(time), bool)
        late = (place >= 0) & (self.settled_at[place] >= time[:, np.newaxis])
        return np.any(late, axis=1)

    def list_visible(self, first: int, end: int, time: int) -> list[tuple[int, tuple[int, ...]]]:
        """Return (session, content) of the most recent visible of sessions `first` ... `end` - 1."""
        found: list[tuple[int, tuple[int, ...]]] = []
        for session in range(end - 1, first - 1, -1):
            if len(found) == self.settings.past_sessions:
                break
            inside = np.arange(self.first[session], self.after[session])
            inside = inside[self.known_at[inside] < time]
            if len(inside):
                kept = self.row[inside[-self.settings.session_behaviors :]]
                content = self.states.at(kept, np.full(len(kept), time)) + 1
                pad = self.settings.session_behaviors - len(kept)
                found.append((session, (*content.tolist(), *[0] * pad)))
        return found[::-1]


class _UnsettledContents:
    """Contents of past sessions that differ from the final ones, each numbered once."""

    def __init__(self, sessions: _Sessions) -> None:
        self._sessions = sessions
        self._extra: dict[tuple[int, ...], int] = {}

    def number(self, begin: int, end: int, time: int) -> list[int]:
        """Return row + 1 of the content of each visible session, for a target at `time`."""
        contents, numbers = self._sessions.contents, []
        for session, content in self._sessions.list_visible(begin, end, time):
            if tuple(contents[session].tolist()) == content:
                numbers.append(session + 1)
            else:
                following = len(contents) + len(self._extra) + 1
                numbers.append(self._extra.setdefault(content, following))
        return numbers

    def list_contents(self) -> Integers:
        """Return the final contents, then the others in the order of their numbers."""
        width = self._sessions.settings.session_behaviors
        added = np.array(list(self._extra), np.int64).reshape(-1, width)
        return np.concatenate([self._sessions.contents, added])
