"""One user in a behavior log: events in the order of time, with titles, clicks and dwell times."""

import dataclasses
import datetime
import functools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.log.log_folder import Log, open_log
from data_pipeline.log.log_writer import LOG_FILE
from data_pipeline.settings import SequenceSettings

SIMULATED = "simulation"
# Tables with users; only a log with withheld clicks has the last one.
_TABLES = ("requests", "browses", "unlabeled")
_REMEMBERED = 8


@dataclasses.dataclass(frozen=True)
class Click:
    """A document opened.

    Attributes:
        doc_id: Id of the document.
        title: Its title.
        time: Microseconds since the epoch; None where the log has none.
        dwell_seconds: Time spent reading; None where unknown.
        satisfied: Whether it counts as satisfied by the rules of the dataset.
    """

    doc_id: str
    title: str
    time: int | None
    dwell_seconds: float | None
    satisfied: bool


@dataclasses.dataclass(frozen=True)
class Event:
    """Something a user did: a search, a recommendation shown, or a browse.

    Attributes:
        kind: `search`, `recommendation` or `browse`.
        time: Microseconds since the epoch.
        query: Query of a search.
        request_id: Id of the list shown; None for a browse.
        shown: Titles of the list, in order; none for a browse.
        clicks: Documents opened, in the order of the list; one of a browse.
        labeled: False where the clicks of the list are withheld.
    """

    kind: str
    time: int
    query: str
    request_id: str | None
    shown: tuple[str, ...]
    clicks: tuple[Click, ...]
    labeled: bool = True


class UserLog:
    """The log a dataset was prepared from, read a user at a time.

    Args:
        folders: Folders of the log, all that the dataset was prepared from.
        dataset: The dataset.

    Raises:
        LogError: A folder is no complete log.
        ValueError: A log is not one of the dataset, or its users are not masked.
    """

    def __init__(self, folders: Sequence[str | os.PathLike[str]], dataset: Dataset) -> None:
        self._logs = [open_log(folder, checksums=False) for folder in folders]
        _check_logs(self._logs, dataset)
        self.settings = SequenceSettings(**dataset.manifest["settings"]["sequence"])
        self._events = functools.lru_cache(_REMEMBERED)(self._read_events)

    @functools.cached_property
    def _titles(self) -> pa.Table:
        tables = [pq.read_table(log.documents, columns=["doc_id", "title"]) for log in self._logs]
        return pa.concat_tables(tables).combine_chunks()

    def titles(self, documents: Iterable[str]) -> dict[str, str]:
        """Return the titles of documents by id; "" for one that the log does not have."""
        wanted = list(dict.fromkeys(documents))
        mask = pc.is_in(self._titles["doc_id"], value_set=pa.array(wanted, pa.string()))
        found = self._titles.filter(mask).to_pydict()
        known = dict(zip(found["doc_id"], found["title"], strict=True))
        return {document: known.get(document) or "" for document in wanted}

    def events(self, user_id: str) -> tuple[Event, ...]:
        """Return all events of a user, in the order of time."""
        return self._events(user_id)

    def _read_events(self, user_id: str) -> tuple[Event, ...]:
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
        for log in self._logs:
            for name, found in rows.items():
                found += _rows_of_user(log.folder / f"{name}.parquet", user_id)
        lists = [*rows["requests"], *rows["unlabeled"]]
        shown = {item["doc_id"] for row in lists for item in row["results"] or ()}
        titles = self.titles([*sorted(shown), *(row["doc_id"] for row in rows["browses"])])
        events = [
            self._read_request(row, titles, name != "unlabeled")
            for name in ("requests", "unlabeled")
            for row in rows[name]
        ]
        for row in rows["browses"]:
            click = self._click(row, row["time"], titles)
            events.append(Event("browse", _microseconds(row["time"]), "", None, (), (click,)))
        return tuple(sorted(events, key=lambda event: (event.time, event.request_id or "")))

    def _read_request(
        self, row: Mapping[str, Any], titles: Mapping[str, str], labeled: bool
    ) -> Event:
        items = row["results"] or []
        clicked = [item for item in items if item["clicked"]]
        return Event(
            kind="search" if row["query"] else "recommendation",
            time=_microseconds(row["time"]),
            query=row["query"] or "",
            request_id=row["request_id"],
            shown=tuple(titles[item["doc_id"]] for item in items),
            clicks=tuple(self._click(item, item["click_time"], titles) for item in clicked),
            labeled=labeled,
        )

    def _click(
        self, item: Mapping[str, Any], time: datetime.datetime | None, titles: Mapping[str, str]
    ) -> Click:
        dwell = item["dwell_seconds"]
        long = dwell is None or dwell > self.settings.satisfied_seconds
        return Click(
            doc_id=item["doc_id"],
            title=titles[item["doc_id"]],
            time=None if time is None else _microseconds(time),
            dwell_seconds=dwell,
            satisfied=long or self.settings.relevance == "click",
        )


def check_masked(dataset: Dataset) -> None:
    """Refuse a dataset with ids of people that are not masked; simulated ones identify nobody.

    Raises:
        ValueError: A log of the dataset has raw ids.
    """
    for log in dataset.manifest["logs"]:
        name = log["source"].get("name", "unknown")
        if not log["masked"] and name != SIMULATED:
            raise ValueError(
                f"`dataset` must be of a log with masked users. Got one of the source {name!r} with "
                "raw ids. Fix: import the log again with --mask_users, and prepare it."
            )


def _check_logs(logs: Sequence[Log], dataset: Dataset) -> None:
    """Check that logs are those of a dataset, by the checksums that both record."""
    check_masked(dataset)
    known = {log["files"]["requests.parquet"] for log in dataset.manifest["logs"]}
    for log in logs:
        manifest = json.loads((pathlib.Path(log.folder) / LOG_FILE).read_text(encoding="utf-8"))
        if manifest["files"]["requests.parquet"]["sha256"] not in known:
            raise ValueError(
                f"`log` must be the log the dataset was prepared from. Got {os.fspath(log.folder)!r}, "
                "whose requests are others. Fix: set --log to that log's folder."
            )


def _rows_of_user(path: pathlib.Path, user_id: str) -> list[dict[str, Any]]:
    """Return the rows of a user, none without the file.

    Only row groups that hold the user are read completely.
    """
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            users = file.read_row_group(group, columns=["user_id"])["user_id"]
            mask = pc.equal(users, user_id)
            if pc.any(mask).as_py():
                rows += file.read_row_group(group).filter(mask).to_pylist()
    return rows


def _microseconds(time: datetime.datetime) -> int:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (time - epoch) // datetime.timedelta(microseconds=1)
