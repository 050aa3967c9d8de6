"""Turn the stream of a user's events into the history of a request, by the rules of preparation."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.common.array_types import Columns
from data_pipeline.common.codes import NO_SPLIT, SECOND, Scenario
from data_pipeline.events.user_events import connect_events
from data_pipeline.events.user_histories import UserHistories
from data_pipeline.settings import SequenceSettings
from user_tf.serving.json_checks import check_time
from user_tf.serving.request import (
    Behavior,
    Opening,
    Request,
    RequestError,
    behaviors_in_words,
    opens_in_words,
)

_USER = 1
Time = float | str


@dataclasses.dataclass(frozen=True)
class _Opened:
    """A document opened: a click of a request, or a browse."""

    time: int
    doc_id: str
    title: str
    satisfied: bool


class HistoryBuffer:
    """Events of one user, and the request they make at any time.

    Sessions end after 30 minutes, a click satisfies after 30 seconds, and it is known then: all as
    in the preparation of the model's dataset, whose code this class calls. Events may be added in
    any order; a request at a time sees those before it only. Times are seconds since the epoch, or
    ISO 8601 with an offset from UTC.

    Args:
        settings: Rules of sessions and satisfied clicks. Default: 30 minutes, 30 seconds.
        scenario: Behaviors the model was trained on. Default: both kinds.
        limit: Behaviors, their titles, and documents opened that a request carries, each: the
            newest ones. Default: 2,000.

    Example:
        >>> buffer = HistoryBuffer()
        >>> buffer.add_request("r1", 0, "shoes")
        >>> buffer.add_click("r1", 10, "Trail shoe")
        >>> buffer.add_browse(100, "How to run", dwell_seconds=5)
        >>> buffer.request(2000, ["Sandals"], query="sandals").history
        (Behavior(session=1, query='shoes', titles=('Trail shoe',)), Behavior(session=1, query='', titles=('How to run',)))
        >>> buffer.request(40, ["Sandals"]).history  # whether the click satisfies is not known yet
        (Behavior(session=1, query='shoes', titles=()),)
        >>> buffer.request(2000, ["Sandals"]).session, buffer.request(1900.1, ["Sandals"]).session
        (2, 2)
    """

    def __init__(
        self,
        settings: SequenceSettings | None = None,
        scenario: str = Scenario.UNIFIED,
        limit: int = 2000,
    ) -> None:
        if limit < 1:
            raise ValueError(f"`limit` must be at least 1. Got {limit!r}. Fix: raise it.")
        # The filter of sessions looks at later sessions, which no request knows.
        self._settings = dataclasses.replace(settings or SequenceSettings(), filter_sessions=False)
        self._scenario, self._limit = scenario, limit
        self._requests: dict[str, tuple[int, str]] = {}
        self._clicks: dict[str, dict[str, _Opened]] = {}
        self._browses: list[_Opened] = []

    @classmethod
    def for_model(cls, manifest: Mapping[str, Any], limit: int = 2000) -> "HistoryBuffer":
        """Return an empty buffer with the rules of a served model.

        Args:
            manifest: Content of the model's assets.extra/export.json.
            limit: As for the class; never above the model's own.
        """
        limit = min(limit, manifest["limits"]["max_history"])
        return cls(SequenceSettings(**manifest["sequence"]), manifest["scenario"], limit)

    def add_request(self, request_id: str, time: Time, query: str = "") -> None:
        """Add a list that was shown.

        Args:
            request_id: Names it for its clicks.
            time: Time at which the list was ranked.
            query: Query of a search. Default: none, a recommendation.
        """
        self._requests[request_id] = (_microseconds(time), query)
        self._forget()

    def add_click(
        self,
        request_id: str,
        time: Time,
        title: str,
        dwell_seconds: float | None = None,
        doc_id: str = "",
    ) -> None:
        """Add a click on a document of a list; a second call for a document replaces the first.

        Args:
            request_id: The list, of `add_request`.
            time: Time of the click.
            title: Title of the document.
            dwell_seconds: Time spent reading. Default: unknown, which counts as satisfied; call
                again when it is known.
            doc_id: Id of the document, if titles do not identify one. Default: the title.

        Raises:
            RequestError: The list was not added, or is older than those kept.
        """
        if request_id not in self._requests:
            raise RequestError(
                f"`request_id` must be one of the lists added. Got {request_id!r}. Fix: call "
                "`add_request` first, or raise `limit`."
            )
        found = self._opened(time, title, dwell_seconds, doc_id)
        self._clicks.setdefault(request_id, {})[found.doc_id] = found

    def add_browse(
        self, time: Time, title: str, dwell_seconds: float | None = None, doc_id: str = ""
    ) -> None:
        """Add a document read whose list is not known; arguments as for `add_click`."""
        self._browses.append(self._opened(time, title, dwell_seconds, doc_id))
        self._forget()

    def request(
        self,
        time: Time,
        candidates: Sequence[str],
        query: str = "",
        user_id: str = "",
        request_id: str | None = None,
    ) -> Request:
        """Return a request at a time, with `history` and `opened` as known just before it.

        The request itself is not added; call `add_request` when its list is shown.

        Args:
            time: Time of the request.
            candidates: Titles to rank.
            query: Query of a search. Default: none, a recommendation.
            user_id: Masked id. Default: an unknown user; a client with the key masks raw ids.
            request_id: Copied to the answer. Default: none.
        """
        session, history, opened = self._history(_microseconds(time), query)
        return Request(
            user_id=user_id,
            query=query,
            session=session,
            history=history,
            candidates=tuple(candidates),
            request_id=request_id,
            opened=opened,
        )

    def _history(
        self, now: int, query: str
    ) -> tuple[int, tuple[Behavior, ...], tuple[Opening, ...]]:
        """Return session, behaviors and openings of a request at a time."""
        known = {key: item for key, item in self._requests.items() if item[0] < now}
        order = sorted(known, key=lambda key: (known[key][0], key))
        clicks = [
            (number, click)
            for number, key in enumerate(order, start=1)
            for click in self._clicks.get(key, {}).values()
            if click.time < now
        ]
        browses = [browse for browse in self._browses if browse.time < now]
        opened = [*(click for _, click in clicks), *browses]
        title_of = {item.doc_id: item.title for item in opened}
        # Numbers of documents follow their ids: equal times are ordered as in preparation.
        number_of = {doc_id: n for n, doc_id in enumerate(sorted(title_of), start=1)}
        searched = [*(known[key][1] for key in order), query]
        strings = [text for text in {*title_of.values(), *searched} if text]
        text_of = {text: number for number, text in enumerate(["", *strings])}
        document_text = np.array([0, *(text_of[title_of[doc]] for doc in sorted(title_of))])
        browses.sort(key=lambda browse: (browse.time, number_of[browse.doc_id]))
        requests = {
            "user": [_USER] * len(searched),
            "time": [*(known[key][0] for key in order), now],
            "query": [text_of[text] for text in searched],
            "given_split": [NO_SPLIT] * len(searched),
        }
        events = connect_events(
            _columns(requests),
            _columns(
                {
                    "request": [number for number, _ in clicks],
                    "doc": [number_of[click.doc_id] for _, click in clicks],
                    "satisfied": [click.satisfied for _, click in clicks],
                    "click_time": [click.time for _, click in clicks],
                    "candidates": [1] * len(clicks),
                }
            ),
            _columns(
                {
                    "user": [_USER] * len(browses),
                    "time": [browse.time for browse in browses],
                    "doc": [number_of[browse.doc_id] for browse in browses],
                    "satisfied": [browse.satisfied for browse in browses],
                }
            ),
            document_text,
            self._settings,
        )
        session = int(events.requests["session"][-1])
        seen = UserHistories(events, self._scenario, self._settings).at(_USER, now, session)
        texts = ["", *strings]
        history = behaviors_in_words(seen, texts, document_text)
        openings = opens_in_words(seen, texts, document_text)
        return seen.session, self._newest(history), openings[-self._limit :]

    def _newest(self, history: tuple[Behavior, ...]) -> tuple[Behavior, ...]:
        """Return the newest behaviors within the limit, which counts their titles too."""
        titles = np.cumsum([len(behavior.titles) for behavior in reversed(history)])
        fit = int(np.searchsorted(titles, self._limit, side="right"))
        return history[len(history) - min(fit, self._limit) :]

    def _opened(self, time: Time, title: str, dwell: float | None, doc_id: str) -> _Opened:
        enough = dwell is None or dwell > self._settings.satisfied_seconds
        satisfied = enough or self._settings.relevance == "click"
        return _Opened(_microseconds(time), doc_id or title, title, satisfied)

    def _forget(self) -> None:
        """Keep the newest events; the oldest are dropped in one go, now and then."""
        if len(self._requests) > 2 * self._limit:
            order = sorted(self._requests, key=lambda key: self._requests[key][0])
            for key in order[: -self._limit]:
                del self._requests[key]
                self._clicks.pop(key, None)
        if len(self._browses) > 2 * self._limit:
            self._browses.sort(key=lambda browse: browse.time)
            del self._browses[: -self._limit]


def _columns(values: Mapping[str, Sequence[int]]) -> Columns:
    return {name: np.array(column, np.int64) for name, column in values.items()}


def _microseconds(time: Time) -> int:
    return round(check_time(time, "time") * SECOND)
