"""Make requests of a dataset's own targets, with raw strings from the behavior log.

A dataset holds token ids; the log it was made from holds the strings. A request made here carries the
history its target sees and all documents its user had opened, so the served model must score it as
evaluation does: the export test, `evaluate --served` and the example beside a SavedModel use it.
"""

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np

from data_pipeline.common.array_types import Integers
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.engine.connect import connect
from data_pipeline.events.event_shards import build_events
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.prepared_log import open_prepared_log
from data_pipeline.events.user_events import UserEvents, sort_searches
from data_pipeline.events.user_histories import UserHistories
from data_pipeline.features.count_snapshot import CountSnapshot, take_snapshot
from data_pipeline.settings import PrepareSettings, SequenceSettings
from user_tf.serving.request import Request, behaviors_in_words, opens_in_words


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
        # Its files stay readable after the folder is gone, as long as they are mapped.
        events = build_events(engine, tables, opened.document_text, settings, pathlib.Path(spill))
        return LoggedEvents(
            settings=settings,
            events=events,
            texts=opened.read_texts().to_pylist(),
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
    histories = UserHistories(logged.events, scenario, logged.settings)
    texts = logged.texts
    for row, end in zip(rows, ends.tolist(), strict=True):
        if row["split"] != split:
            continue
        features = dataset.features[end - len(row["candidates"]) : end].tolist()
        seen = histories.at(users[row["user_id"]], row["time"], row["session"])
        yield (
            row["target_id"],
            Request(
                user_id=row["user_id"],
                query=row["query"] or "",
                session=seen.session,
                history=behaviors_in_words(seen, texts, logged.document_text),
                candidates=tuple(texts[title_of[doc]] for doc in row["candidates"]),
                features=tuple(map(tuple, features)),
                request_id=str(row["target_id"]),
                opened=opens_in_words(seen, texts, logged.document_text),
            ),
        )
