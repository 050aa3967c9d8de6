"""Complete history of a user as of any time: behaviors, clicks and opens known by then.

`visible_history` keeps what a model reads of it, for all targets at once; a request to a served model
carries all of it.
"""

from typing import NamedTuple

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.events.scenario_events import select_scenario
from data_pipeline.events.user_events import UserEvents
from data_pipeline.settings import SequenceSettings


class SeenBehavior(NamedTuple):
    """Hold one past behavior.

    Attributes:
        session: Number of its session, from 1 among those seen.
        query: Text of a search; 0 for a browse.
        docs: Satisfied clicks of the search known by now, in the order of clicking; of a browse
            the document read.
    """

    session: int
    query: int
    docs: tuple[int, ...]


class SeenOpen(NamedTuple):
    """Hold one document opened.

    Attributes:
        session: The current session's number if it was opened there, otherwise 0.
        query: Text of the search it was opened from; 0 without one.
        doc: The document.
        together: Whether it became known at the same time as the one before.
    """

    session: int
    query: int
    doc: int
    together: bool


class SeenHistory(NamedTuple):
    """Hold what was known of a user.

    Attributes:
        session: Number of the current session.
        behaviors: Oldest first.
        opens: In the order of becoming known.
    """

    session: int
    behaviors: tuple[SeenBehavior, ...]
    opens: tuple[SeenOpen, ...]


class UserHistories:
    """Histories of users, in numbers.

    Args:
        events: Events of the unified log.
        scenario: A `Scenario`: whose behaviors count, and whose activities cut sessions.
        settings: When a session ends.
    """

    def __init__(self, events: UserEvents, scenario: str, settings: SequenceSettings) -> None:
        chosen = select_scenario(events, scenario, settings)
        self._behaviors, self._clicks = chosen.behaviors, chosen.satisfied_search_clicks
        self._activities, self._session = events.activities, chosen.session
        opens = events.document_opens
        order = np.lexsort((opens["known_at"], opens["user"]))
        self._opens: Columns = {name: column[order] for name, column in opens.items()}

    def at(self, user: int, time: int, unified_session: int) -> SeenHistory:
        """Return what was known of a user strictly before a time.

        Args:
            user: Number of the user.
            time: Time of one of the user's activities, in microseconds.
            unified_session: Session of that activity in the unified log.
        """
        seen = _rows_of(self._behaviors, user)
        seen = seen[self._behaviors["known_at"][seen] < time]
        activity = _rows_of(self._activities, user)
        activity = activity[self._activities["time"][activity] == time]
        current = int(self._session[activity[0]])
        sessions = self._behaviors["session"][seen]
        numbers = np.unique(np.append(sessions, current))
        number = (np.searchsorted(numbers, sessions) + 1).tolist()
        last = int(np.searchsorted(numbers, current)) + 1
        behaviors = tuple(
            self._behavior(row, session, time)
            for row, session in zip(seen.tolist(), number, strict=True)
        )
        return SeenHistory(last, behaviors, self._find_opens(user, time, unified_session, last))

    def _behavior(self, row: int, session: int, time: int) -> SeenBehavior:
        read = int(self._behaviors["doc"][row])
        if read:
            return SeenBehavior(session, 0, (read,))
        behavior = self._behaviors["behavior"][row]
        first, after = np.searchsorted(self._clicks["behavior"], [behavior, behavior + 1])
        known = self._clicks["known_at"][first:after] < time
        docs = self._clicks["doc"][first:after][known]
        return SeenBehavior(session, int(self._behaviors["text"][row]), tuple(docs.tolist()))

    def _find_opens(self, user: int, time: int, unified: int, last: int) -> tuple[SeenOpen, ...]:
        rows = _rows_of(self._opens, user)
        rows = rows[self._opens["known_at"][rows] < time]
        now = np.where(self._opens["session"][rows] == unified, last, 0)
        queries, docs = (self._opens[name][rows] for name in ("query", "doc"))
        known = self._opens["known_at"][rows]
        together = np.append(False, known[1:] == known[:-1])[: len(rows)]
        found = (now.tolist(), queries.tolist(), docs.tolist(), together.tolist())
        return tuple(SeenOpen(*item) for item in zip(*found, strict=True))


def _rows_of(columns: Columns, user: int) -> Integers:
    first, after = np.searchsorted(columns["user"], [user, user + 1])
    return np.arange(first, after)
