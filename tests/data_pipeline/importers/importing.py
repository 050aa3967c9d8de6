"""Write hand-made files of a source, import them, and read the log."""

import collections
import datetime
import math
import os
import pathlib
import re

import pyarrow.parquet as pq
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events.log_tables import read_tables
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.log_summary import KEYS
from data_pipeline.log.schema import REQUESTS, SCHEMAS
from data_pipeline.settings import LogSettings, SequenceSettings

DATA = pathlib.Path(
    os.environ.get("USER_TF_SHARED_DATA")
    or pathlib.Path(__file__).parents[3].parent / "shared" / "data"
)
"""Folder of real rows of the sources, if there is one; it is not part of the project."""

PLAIN = LogSettings(mask_users=False, quarantine_share=1.0)


def needs_real_rows(path: pathlib.Path):
    """Mark a test that reads real rows; skip it with a message if they are missing."""
    return pytest.mark.skipif(
        not path.exists(), reason=f"NO REAL ROWS: {path} is absent; set USER_TF_SHARED_DATA"
    )


def write_files(folder: pathlib.Path, files) -> pathlib.Path:
    """Writes {name: lines} to a folder, which is made if needed."""
    folder.mkdir(exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def import_folder(importer, folder: pathlib.Path, settings=PLAIN):
    """Import a folder; return the log, written beside it, and the counts of its source."""
    source = importer.read(folder)
    output = folder.with_name(folder.name + "-log")
    write_log(output, source.batches, settings, source.description)
    log = open_log(output)
    return log, log.source["read"]["actions"]


def _seconds(time: datetime.datetime | None, start: datetime.datetime) -> float | None:
    return None if time is None else (time - start).total_seconds()


def requests(log, start: datetime.datetime, table: str = "requests"):
    """{id: (user, second, query, [(doc, clicked, second of the click, dwell), ...])}."""
    return {
        row["request_id"]: (
            row["user_id"],
            _seconds(row["time"], start),
            row["query"],
            [
                (
                    place["doc_id"],
                    place["clicked"],
                    _seconds(place["click_time"], start),
                    place["dwell_seconds"],
                )
                for place in row["results"]
            ],
        )
        for row in pq.read_table(log.folder / f"{table}.parquet").to_pylist()
    }


def browses(log, start: datetime.datetime):
    """(user, second, doc, dwell) of each browse."""
    return [
        (row["user_id"], _seconds(row["time"], start), row["doc_id"], row["dwell_seconds"])
        for row in pq.read_table(log.browses).to_pylist()
    ]


def documents(log):
    """{id: (title, category, day of publication)}."""
    return {
        row["doc_id"]: (row["title"], row["category"], row["published"])
        for row in pq.read_table(log.documents).to_pylist()
    }


def quarantine(log):
    """(file, row, rule, value) of each rejected row, sorted."""
    rows = pq.read_table(log.quarantine).to_pylist()
    return sorted((row["file"], row["row"], row["rule"], row["value"]) for row in rows)


def assert_adds_up(log, rows) -> None:
    """Assert that every row of {file: rows} is counted once, and that all tables add up."""
    read = log.source["read"]
    assert read["rows"] == sum(rows.values())
    assert {name: sum(read["actions"][name].values()) for name in rows} == rows
    for table in log.report.tables.values():
        assert table.read == table.kept + table.quarantined
    listed = sum(read["actions"][name].get("quarantined", 0) for name in rows)
    listed += sum(read["actions"][name].get("unreadable line", 0) for name in rows)
    canonical = ("documents", "requests", "browses", "unlabeled")
    raw = [log.report.tables[name] for name in log.report.tables if name not in canonical]
    assert sum(table.read for table in raw) == sum(rows.values())
    assert sum(table.quarantined for table in raw) == listed


def assert_whole(folder):
    """Every row read is kept or quarantined, every kept row keeps the rules."""
    log = open_log(folder)
    listed = collections.Counter(pq.read_table(log.quarantine)["table"].to_pylist())
    rows = {}
    extra = {"unlabeled": REQUESTS} if "unlabeled" in log.report.tables else {}
    for table, schema in (SCHEMAS | extra).items():
        written = pq.read_table(log.folder / f"{table}.parquet")
        assert written.schema.equals(schema)
        rows[table] = written.to_pylist()
        report = log.report.tables[table]
        assert report.kept == len(rows[table])
        assert report.quarantined == listed[table] == sum(report.rules.values())
        assert report.read == len(rows[table]) + listed[table]
        keys = [tuple(row[name] for name in KEYS[table]) for row in rows[table]]
        assert len(set(keys)) == len(keys)
        optional = {"category", "published", "dwell_seconds"}
        assert all(value is not None for row in rows[table] for value in _needed(row, optional))
        for row in rows[table]:
            assert all(row[name] for name in ("doc_id", "user_id", "request_id") if name in row)
            _assert_in_range(row.get("time"), row.get("published"), row.get("dwell_seconds"))
    known = {row["doc_id"] for row in rows["documents"]}
    assert {row["doc_id"] for row in rows["browses"]} <= known
    withheld = rows.get("unlabeled", [])
    assert not {row["request_id"] for row in withheld} & {
        row["request_id"] for row in rows["requests"]
    }
    assert not any(item["clicked"] for row in withheld for item in row["results"])
    for row in rows["requests"] + withheld:
        shown = [item["doc_id"] for item in row["results"]]
        assert known.issuperset(shown) and len(set(shown)) == len(shown)
        assert shown or row["query"]
        for item in row["results"]:
            assert item["clicked"] in (True, False)
            assert item["clicked"] or (item["click_time"], item["dwell_seconds"]) == (None, None)
            assert item["click_time"] is None or item["click_time"] >= row["time"]
            _assert_in_range(None, item["click_time"], item["dwell_seconds"])
    with DuckDBEngine() as engine:
        read_tables(engine, [folder], SequenceSettings())
    return log


def _needed(row, optional):
    return (value for name, value in row.items() if name not in optional)


def _assert_in_range(time, other, dwell):
    for moment in (time, other):
        assert moment is None or 1990 <= moment.year <= 2099
    assert dwell is None or (math.isfinite(dwell) and dwell >= 0)


def assert_holds_no_raw_user(log, raw: set[str]) -> None:
    """No byte written, packed or unpacked, may hold one of the raw user ids."""
    form = re.compile("|".join(re.escape(text) for text in sorted(raw)).encode())
    for path in log.folder.iterdir():
        written = [path.read_bytes()]
        if path.suffix == ".parquet":
            written.append(pq.read_table(path).to_pandas().to_csv().encode())
        assert not any(form.search(part) for part in written), path.name
