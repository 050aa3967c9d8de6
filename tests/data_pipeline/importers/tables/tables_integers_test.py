"""Integer ids and times give the log of the same ids and times as text."""

import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import tables
from data_pipeline.importers.formats.column_names import UNITS
from data_pipeline.log.schema import LogError
from tests.data_pipeline.importers.tables.canonical_files import (
    WRITERS,
    import_folder,
    read_quarantine,
)

NOON = datetime.datetime(2024, 1, 31, 12, tzinfo=datetime.UTC)
SECONDS = int(NOON.timestamp())


def _rows(at):
    """Tables whose times are `at(second after noon)`."""
    results = [
        {"doc_id": 7, "clicked": True, "click_time": at(5), "dwell_seconds": 31.5},
        {"doc_id": 8, "clicked": False, "click_time": None, "dwell_seconds": None},
    ]
    request = {"request_id": 1, "user_id": 70, "time": at(0), "query": "q", "results": results}
    return {
        "documents": [
            {"doc_id": 7, "title": "seven", "published": at(-60)},
            {"doc_id": 8, "title": "eight", "published": None},
        ],
        "requests": [request],
        "browses": [{"user_id": 71, "time": at(9), "doc_id": 8, "dwell_seconds": 2.0}],
    }


def _write(folder, ending, rows):
    for table, of_table in rows.items():
        path = folder / f"{table}.{ending}"
        if ending == "parquet":
            pq.write_table(pa.Table.from_pylist(of_table), path)
        else:
            WRITERS[ending](path, table, of_table)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_integer_ids_and_times_are_read(folder, ending, unit):
    _write(folder, ending, _rows(lambda second: (SECONDS + second) * 1_000_000 // UNITS[unit]))
    columns = [f"{name}={name.split('.')[1]}:{unit}" for name in TIMES]
    log = import_folder(folder, columns=columns)
    assert read_quarantine(log) == []
    expected = _rows(lambda second: NOON + datetime.timedelta(seconds=second))
    for table, rows in expected.items():
        found = pq.read_table(getattr(log, table)).to_pylist()
        assert [{name: row[name] for name in rows[0]} for row in found] == _as_text(rows)
    assert log.source["units"]["requests"] == {"time": unit}


TIMES = ("documents.published", "requests.time", "browses.time")


def _as_text(value):
    """Return the value with its ids as text."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {
            name: str(item) if name.endswith("_id") else _as_text(item)
            for name, item in value.items()
        }
    return value


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "time", ["soon", "1.5", "", "9" * 19, "0x1", "2024-01-31T12:00:00Z", "--1"]
)
def test_what_is_no_integer_of_the_unit_is_quarantined(folder, ending, time):
    rows = _rows(lambda second: (SECONDS + second) * 1000)
    rows["browses"].append({**rows["browses"][0], "time": time})
    _write(folder, ending, rows)
    log = import_folder(folder, columns=[f"{name}={name.split('.')[1]}:ms" for name in TIMES])
    [(file, row, rule, _)] = read_quarantine(log)
    assert (file, row) == (f"browses.{ending}", 2)
    assert rule == ("time-unreadable" if time else "time-null")


@pytest.mark.parametrize(
    ("ending", "rule"), [("csv", "time-unreadable"), ("jsonl", "text-expected")]
)
def test_integers_without_a_unit_name_the_way_out(folder, ending, rule):
    _write(folder, ending, _rows(lambda second: SECONDS + second))
    browse = {"user_id": 71, "time": "2024-01-31T12:00:00Z", "doc_id": 8}
    (folder / f"browses.{ending}").unlink()
    WRITERS[ending](folder / f"browses.{ending}", "browses", [browse])
    log = import_folder(folder)
    assert {listed[2] for listed in read_quarantine(log)} >= {rule}
    messages = {
        row["message"] for row in pq.read_table(log.quarantine).to_pylist() if row["rule"] == rule
    }
    assert all("--columns=requests.time=time:ms" in message for message in messages)


@pytest.mark.parametrize(
    ("share", "columns", "message"),
    [(2, ["requests.time=time:ms"], "Got type double"), (1, [], "Got type int64.*--columns=")],
)
def test_a_parquet_column_of_other_numbers_is_an_error(folder, share, columns, message):
    rows = _rows(lambda second: SECONDS + second if share == 1 else (SECONDS + second) / share)
    _write(folder, "parquet", {**rows, "documents": [{"doc_id": 7, "title": "seven"}]})
    with pytest.raises(LogError, match=rf"the column `time` must be a timestamp\. {message}"):
        import_folder(folder, columns=columns)


def test_ids_that_are_no_integers_are_quarantined(folder):
    rows = _rows(lambda second: (NOON + datetime.timedelta(seconds=second)).isoformat())
    rows["browses"] += [{**rows["browses"][0], "user_id": value} for value in (7.5, True, [7])]
    _write(folder, "jsonl", rows)
    listed = [entry[:3] for entry in read_quarantine(import_folder(folder))]
    assert listed == [("browses.jsonl", row, "text-expected") for row in (2, 3, 4)]
    assert tables.read(folder).description["files"][2] == "browses.jsonl"
    assert json.loads((folder / "browses.jsonl").read_text().split("\n")[0])["user_id"] == 71
