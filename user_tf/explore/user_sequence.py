"""A user's events by the rules of preparation: their sessions, and the request of a target.

The numbers are made by preparation's own code from the events of one user, so that a request holds
what the target saw: a click counts from the time when it was known, and not before.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from data_pipeline.common.array_types import Columns
from data_pipeline.common.codes import NO_SPLIT, Split
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.user_events import UserEvents, connect_events
from data_pipeline.events.user_histories import UserHistories
from data_pipeline.settings import SequenceSettings
from user_tf.explore.target_catalogue import Target
from user_tf.explore.user_log import Event
from user_tf.serving.request import Request, behaviors_in_words, opens_in_words

_USER = 1


@dataclasses.dataclass(frozen=True)
class Session:
    """The events of one session.

    Attributes:
        number: From 1, in the unified log.
        events: Oldest first.
    """

    number: int
    events: tuple[Event, ...]


class UserSequence:
    """All events of one user, in numbers.

    Args:
        events: In the order of time and id of the request.
        settings: Rules of sessions and satisfied clicks of the dataset.
    """

    def __init__(self, events: Sequence[Event], settings: SequenceSettings) -> None:
        self._settings = settings
        self._requests = [event for event in events if event.kind != "browse"]
        self._title_of = {click.doc_id: click.title for event in events for click in event.clicks}
        self._number_of = {doc: n for n, doc in enumerate(sorted(self._title_of), start=1)}
        self._browses = sorted(
            (event for event in events if event.kind == "browse"),
            key=lambda event: (event.time, self._number_of[event.clicks[0].doc_id]),
        )
        words = {*self._title_of.values(), *(event.query for event in self._requests)}
        self._texts = ["", *sorted(words - {""})]
        text_of = {text: number for number, text in enumerate(self._texts)}
        self._document_text = np.array(
            [0, *(text_of[self._title_of[doc]] for doc in sorted(self._title_of))]
        )
        self._events = self._connect(text_of)

    def sessions(self, until: int) -> tuple[Session, ...]:
        """Return the sessions with an event before a time, oldest first, without later events.

        Args:
            until: Microseconds since the epoch; clicks made later are left out, too.
        """
        numbers = np.concatenate(
            [self._events.requests["session"], self._events.browses["session"]]
        ).tolist()
        found: dict[int, list[Event]] = {}
        for event, number in zip([*self._requests, *self._browses], numbers, strict=True):
            if event.time < until:
                clicks = tuple(click for click in event.clicks if (click.time or 0) < until)
                found.setdefault(number, []).append(dataclasses.replace(event, clicks=clicks))
        return tuple(
            Session(number, tuple(sorted(found[number], key=lambda event: event.time)))
            for number in sorted(found)
        )

    def request(self, target: Target, scenario: str, titles: Mapping[str, str]) -> Request:
        """Return the request of a target as a client would send it.

        Args:
            target: A target of the user.
            scenario: Behaviors the served model was trained on.
            titles: Titles of its candidates.

        Raises:
            ValueError: The user has no event at the time of the target.
        """
        activities = self._events.activities["time"]
        if not (activities == target.time).any():
            raise ValueError(
                f"`log` must hold the target. Got no event of its user at the time of target "
                f"{target.target_id}. Fix: set --log to all logs the dataset was prepared from."
            )
        histories = UserHistories(self._events, scenario, self._settings)
        starts = self._events.sessions["start"]
        session = int(np.searchsorted(starts, target.time, side="right"))
        seen = histories.at(_USER, target.time, session)
        return Request(
            user_id=target.user_id,
            query=target.query,
            session=seen.session,
            history=behaviors_in_words(seen, self._texts, self._document_text),
            candidates=tuple(titles[document] for document in target.candidates),
            opened=opens_in_words(seen, self._texts, self._document_text),
        )

    def _connect(self, text_of: Mapping[str, int]) -> UserEvents:
        clicks = [
            (number, click, len(event.shown))
            for number, event in enumerate(self._requests, start=1)
            for click in event.clicks
        ]
        numbers = self._number_of
        return connect_events(
            _columns(
                user=[_USER] * len(self._requests),
                time=[event.time for event in self._requests],
                query=[text_of[event.query] for event in self._requests],
                given_split=[
                    NO_SPLIT if event.labeled else Split.UNLABELED.number
                    for event in self._requests
                ],
            ),
            _columns(
                request=[number for number, _, _ in clicks],
                doc=[numbers[click.doc_id] for _, click, _ in clicks],
                satisfied=[click.satisfied for _, click, _ in clicks],
                click_time=[NEVER if c.time is None else c.time for _, c, _ in clicks],
                candidates=[shown for _, _, shown in clicks],
            ),
            _columns(
                user=[_USER] * len(self._browses),
                time=[event.time for event in self._browses],
                doc=[numbers[event.clicks[0].doc_id] for event in self._browses],
                satisfied=[event.clicks[0].satisfied for event in self._browses],
            ),
            self._document_text,
            self._settings,
        )


def _columns(**values: Sequence[int]) -> Columns:
    return {name: np.array(column, np.int64) for name, column in values.items()}
