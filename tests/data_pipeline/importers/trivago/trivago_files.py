"""Hand-made files of trivago sessions, and their import."""

import csv
import datetime
import pathlib

import pyarrow.parquet as pq

from data_pipeline.importers import trivago
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.settings import LogSettings

COLUMNS = [
    "user_id",
    "session_id",
    "timestamp",
    "step",
    "action_type",
    "reference",
    "platform",
    "city",
    "device",
    "current_filters",
    "impressions",
    "prices",
]


START = 1_541_600_000


PLAIN = LogSettings(mask_users=False, quarantine_share=1.0)


def make_row(user, session, second, step, action, reference, city="Oslo, Norway", shown=""):
    """A row of the file; `second` counts from START unless it is text."""
    at = second if isinstance(second, str) else START + second
    return [user, session, at, step, action, reference, "NO", city, "mobile", "", shown, ""]


def write_sessions(path: pathlib.Path, rows) -> pathlib.Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def import_sessions(tmp_path, rows, settings=PLAIN):
    """Import hand-written rows; return the log and the counts of its source."""
    source = trivago.read(write_sessions(tmp_path / "sessions.csv", rows))
    write_log(tmp_path / "log", source.batches, settings, source.description)
    log = open_log(tmp_path / "log")
    return log, log.source["read"]["actions"]


def to_seconds(time: datetime.datetime | None) -> int | None:
    return None if time is None else round(time.timestamp()) - START


def read_requests(log):
    """(id, user, second, query, shown, clicked, second of the click, dwell) of each request."""
    listed = []
    for row in pq.read_table(log.requests).to_pylist():
        shown = [place["doc_id"] for place in row["results"]]
        clicked = [place for place in row["results"] if place["clicked"]]
        assert all(place["click_time"] is None for place in row["results"] if place not in clicked)
        [click] = clicked
        listed.append(
            (
                row["request_id"],
                row["user_id"],
                to_seconds(row["time"]),
                row["query"],
                "|".join(shown),
                click["doc_id"],
                to_seconds(click["click_time"]),
                click["dwell_seconds"],
            )
        )
    return listed


def read_browses(log):
    """(user, second, item, dwell) of each browse."""
    return [
        (row["user_id"], to_seconds(row["time"]), row["doc_id"], row["dwell_seconds"])
        for row in pq.read_table(log.browses).to_pylist()
    ]


def read_quarantine(log):
    rows = pq.read_table(log.quarantine).to_pylist()
    return [(row["table"], row["row"], row["rule"], row["value"]) for row in rows]
