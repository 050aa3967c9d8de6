"""Make requests of a dataset's own targets, with raw strings from the behavior log.

A dataset holds token ids; the log it was made from holds the strings. A request made here carries the
history its target sees and all documents its user had opened, so the served model must score it as
evaluation does: the export test, `evaluate --served` and the example beside a SavedModel use it.
"""

import dataclasses
import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from data_pipeline.common.array_types import Columns, Integers
from data_pipeline.common.codes import BehaviorType
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.engine.connect import connect
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.prepared_log import open_prepared_log
from data_pipeline.events.scenario_events import select_scenario
from data_pipeline.events.user_events import UserEvents, build_events, sort_searches
from data_pipeline.features.count_snapshot import CountSnapshot, take_snapshot
from data_pipeline.settings import PrepareSettings, SequenceSettings
from user_tf.serving.request import Behavior, Opening, Request


@dataclasses.dataclass(frozen=True)
class LoggedEvents:
    """Events of a log, with the strings behind their numbers.

    Attributes:
        settings: Rules of satisfied clicks and sessions.
        events: Events of all users.
        texts: Every text; the first is the empty one.
        document_text: int64 [documents], text of each title.
        document_ids, user_ids: Strings of each document and user; the first is "".
    """

    settings: SequenceSettings
    events: UserEvents
    texts: list[str]
    document_text: Integers
    document_ids: list[str]
    user_ids: list[str]

    @property
    def end(self) -> int:
        """Return the first microsecond after the last activity."""
        return int(self.events.activities["time"].max(initial=-1)) + 1

    def snapshot(self, time: int, minimum: int = 1) -> CountSnapshot:
        """Return the counts known before a time; see `take_snapshot`."""
        searches = sort_searches(self.events.searches)
        opens = self.events.document_opens
        return take_snapshot(opens, searches, self.document_text, self.texts, time, minimum)

    def most_opened(self, time: int, count: int) -> dict[str, str]:
        """Return titles by id of the documents opened most before a time, ties in the log's order."""
        opens = self.events.document_opens
        size = len(self.document_ids)
        opened = np.bincount(opens["doc"][opens["known_at"] < time], minlength=size)
        # Document 0 is the pad document.
        chosen = 1 + np.argsort(-opened[1:], kind="stable")[:count]
        return {
            self.document_ids[doc]: self.texts[self.document_text[doc]] for doc in chosen.tolist()
        }


def read_events(log: str | os.PathLike[str], settings: SequenceSettings) -> LoggedEvents:
    """Read a log by the rules of a dataset."""
    folders = (os.fspath(log),)
    with (
        tempfile.TemporaryDirectory() as spill,
        connect(PrepareSettings(log=folders), spill) as engine,
    ):
        tables = read_tables(engine, folders, settings)
        opened = open_prepared_log(engine, tables, folders, settings)
        events = build_events(engine, tables, opened.document_text, settings)
        return LoggedEvents(
            settings=settings,
            events=events,
            texts=opened.read_texts(),
            document_text=opened.document_text,
            document_ids=opened.read_document_ids(),
            user_ids=opened.users,
        )


def read_dataset_events(dataset: Dataset, log: str | os.PathLike[str]) -> LoggedEvents:
    """Read the log a dataset was prepared from.

    Raises:
        ValueError: It is another log.
    """
    sequence = SequenceSettings(**dataset.manifest["settings"]["sequence"])
    found = read_events(log, sequence)
    if len(found.texts) != len(dataset.text_tokens) or found.document_ids != dataset.document_ids:
        raise ValueError(
            f"`log` must be the log the dataset was prepared from. Got {os.fspath(log)!r} with "
            f"{len(found.texts)} texts and {len(found.document_ids) - 1} documents, while the "
            f"dataset has {len(dataset.text_tokens)} and {len(dataset.document_ids) - 1}. Fix: set "
            "--log to that log's folder."
        )
    return found


def target_requests(
    dataset: Dataset, logged: LoggedEvents, scenario: str, split: str
) -> Iterator[tuple[int, Request]]:
    """Yield (target id, request) of every target of a split, in the order of target ids.

    Sessions are numbered from 1 among those the target sees. F is given raw for both tasks.

    Args:
        dataset: An opened dataset.
        logged: Result of `read_dataset_events`.
        scenario: Behaviors a model sees: `unified`, `search` or `recommendation`.
        split: `train`, `validation` or `test`.
    """
    columns = ["target_id", "split", "user_id", "time", "session", "query", "candidates"]
    rows = dataset.targets(columns).to_pylist()
    ends = np.cumsum([len(row["candidates"]) for row in rows])
    users = {user_id: number for number, user_id in enumerate(logged.user_ids)}
    title_of = dict(zip(logged.document_ids, logged.document_text.tolist(), strict=True))
    histories = _Histories(logged, scenario)
    for row, end in zip(rows, ends.tolist(), strict=True):
        if row["split"] != split:
            continue
        features = dataset.features[end - len(row["candidates"]) : end].tolist()
        session, history, opened = histories.at(users[row["user_id"]], row["time"], row["session"])
        yield (
            row["target_id"],
            Request(
                user_id=row["user_id"],
                query=row["query"] or "",
                session=session,
                history=history,
                candidates=tuple(logged.texts[title_of[doc]] for doc in row["candidates"]),
                features=tuple(map(tuple, features)),
                request_id=str(row["target_id"]),
                opened=opened,
            ),
        )


class _Histories:
    """Histories of users as of any time, in strings."""

    def __init__(self, logged: LoggedEvents, scenario: str) -> None:
        chosen = select_scenario(logged.events, scenario, logged.settings)
        self._text = logged.texts.__getitem__
        self._title = functools.partial(_title, logged.texts, logged.document_text)
        self._behaviors, self._clicks = chosen.behaviors, chosen.satisfied_search_clicks
        self._activities, self._session = logged.events.activities, chosen.session
        opens = logged.events.document_opens
        order = np.lexsort((opens["known_at"], opens["user"]))
        self._opens: Columns = {name: column[order] for name, column in opens.items()}

    def at(
        self, user: int, time: int, unified_session: int
    ) -> tuple[int, tuple[Behavior, ...], tuple[Opening, ...]]:
        """Return the current session's number, the history and the documents opened."""
        seen = self._rows_of(self._behaviors, user)
        seen = seen[self._behaviors["known_at"][seen] < time]
        activity = self._rows_of(self._activities, user)
        activity = activity[self._activities["time"][activity] == time]
        current = int(self._session[activity[0]])
        sessions = self._behaviors["session"][seen]
        numbers = np.unique(np.append(sessions, current))
        number = np.searchsorted(numbers, sessions) + 1
        last = int(np.searchsorted(numbers, current)) + 1
        history = tuple(map(self._behavior, seen.tolist(), number.tolist(), [time] * len(seen)))
        return last, history, self._opened(user, time, unified_session, last)

    def _behavior(self, row: int, session: int, time: int) -> Behavior:
        text = self._text(int(self._behaviors["text"][row]))
        if self._behaviors["type"][row] != BehaviorType.SEARCH:
            return Behavior(session, "", (text,))
        behavior = self._behaviors["behavior"][row]
        first, after = np.searchsorted(self._clicks["behavior"], [behavior, behavior + 1])
        known = self._clicks["known_at"][first:after] < time
        docs = self._clicks["doc"][first:after][known]
        return Behavior(session, text, tuple(map(self._title, docs.tolist())))

    def _opened(self, user: int, time: int, unified: int, last: int) -> tuple[Opening, ...]:
        rows = self._rows_of(self._opens, user)
        rows = rows[self._opens["known_at"][rows] < time]
        now = np.where(self._opens["session"][rows] == unified, last, 0)
        return tuple(
            Opening(session, self._text(query), self._title(doc))
            for session, query, doc in zip(
                now.tolist(),
                self._opens["query"][rows].tolist(),
                self._opens["doc"][rows].tolist(),
                strict=True,
            )
        )

    @staticmethod
    def _rows_of(columns: Columns, user: int) -> Any:
        first, after = np.searchsorted(columns["user"], [user, user + 1])
        return np.arange(first, after)


def _title(texts: Sequence[str], document_text: Integers, doc: int) -> str:
    return texts[document_text[doc]]
