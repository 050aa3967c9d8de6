"""Withheld answers, by one rule for every source: unlabeled requests are kept apart and counted."""

import csv
import datetime

import pyarrow.parquet as pq
import pytest

from data_pipeline.import_log import ImportSettings, import_log
from data_pipeline.log.log_folder import open_log
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers import diginetica_test, mind_test
from tests.data_pipeline.importers.importing import assert_whole, requests, write_files
from tests.data_pipeline.importers.tables.canonical_files import ROWS, write_csv, write_jsonl
from tests.data_pipeline.importers.trivago.trivago_files import make_row, write_sessions


def _trivago(folder):
    folder.mkdir()
    rows = [
        make_row("u", "s", 0, 1, "clickout item", "11", shown="11|12"),
        make_row("u", "s", 10, 2, "search for destination", "Oslo"),
        make_row("u", "s", 20, 3, "clickout item", "", shown="12|13"),
        make_row("u", "s", 30, 4, "clickout item", "", shown=""),
    ]
    return write_sessions(folder / "test.csv", rows), {"t3": ("Oslo", "12 13")}, 1


def _mind(folder):
    time = "11/12/2019 12:00:00 PM"
    shown = ["N1-1 N2-0", "N3 N4", "N3 N4-0"]
    rows = [mind_test._row("U1", time, "N9", list_, place) for place, list_ in enumerate(shown)]
    news = [mind_test._news(number) for number in range(1, 10)]
    write_files(folder, {"news.tsv": news, "behaviors.tsv": rows})
    return folder, {"m2": ("", "N3 N4")}, 1


def _diginetica(folder):
    queries = [
        diginetica_test._query(1, 5, 0, "11"),
        diginetica_test._query(2, 5, 9, "11,12", words="4,5", test="TRUE"),
    ]
    rows = {"train-queries.csv": queries}
    files = {name: [head, *rows.get(name, ())] for name, head in diginetica_test.HEADERS.items()}
    write_files(folder, files)
    return folder, {"q2": ("4 5", "11 12")}, 0


def _tables(write, ending):
    def make(folder):
        folder.mkdir()
        listed = [dict(row) for row in ROWS["requests"]]
        unclicked = [{"doc_id": doc, "clicked": False} for doc in "ab"]
        withheld = {**listed[0], "request_id": "r3", "results": unclicked, "split": "unlabeled"}
        # A click cannot be in a list whose clicks are withheld.
        wrong = {**listed[0], "request_id": "r4", "split": "unlabeled"}
        rows = {**ROWS, "requests": [*({**row, "split": ""} for row in listed), withheld, wrong]}
        for table in rows:
            write(folder / f"{table}.{ending}", table, rows[table])
        return folder, {"r3": ("some words", "a b")}, 1

    return make


CASES = {
    "trivago": _trivago,
    "mind": _mind,
    "diginetica": _diginetica,
    "tables as CSV": _tables(write_csv, "csv"),
    "tables as JSON Lines": _tables(write_jsonl, "jsonl"),
}


@pytest.mark.parametrize("name", CASES)
def test_requests_without_answers_are_kept_apart_counted_and_no_faults(tmp_path, name):
    path, expected, faults = CASES[name](tmp_path / "in")
    settings = ImportSettings(name.split()[0], str(path), str(tmp_path / "log"))
    report = import_log(settings, LogSettings(mask_users=False, quarantine_share=1.0))
    log = open_log(tmp_path / "log")
    assert_whole(log.folder)
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    found = {
        request: (query, " ".join(item[0] for item in items))
        for request, (_, _, query, items) in requests(log, start, "unlabeled").items()
    }
    assert found == expected
    assert not set(expected) & set(requests(log, start))
    table = log.report.tables["unlabeled"]
    assert (table.kept, table.read - table.quarantined) == (len(expected), len(expected))
    assert sum(counts.quarantined for counts in log.report.tables.values()) == faults
    assert f"unlabeled   {table.read:>12}" in report
    # Nothing of them is in the counts of requests, lists or clicks.
    assert log.report.searches + log.report.recommendations == log.report.tables["requests"].kept


def test_the_split_of_other_requests_is_kept_and_wrong_or_repeated_ones_are_rejected(tmp_path):
    listed = [dict(ROWS["requests"][0], request_id=f"r{number}") for number in range(6)]
    unclicked = [{"doc_id": "a", "clicked": False}]
    listed[4] |= {"request_id": "r1", "results": unclicked}
    splits = ["train", "test", "", "dev", "unlabeled", "validation"]
    rows = [{**row, "split": split} for row, split in zip(listed, splits, strict=True)]
    folder = tmp_path / "in"
    folder.mkdir()
    write_csv(folder / "documents.csv", "documents", ROWS["documents"])
    write_csv(folder / "requests.csv", "requests", rows)
    settings = ImportSettings("tables", str(folder), str(tmp_path / "log"))
    import_log(settings, LogSettings(mask_users=False, quarantine_share=1.0))
    log = open_log(tmp_path / "log")
    found = pq.read_table(log.folder / "splits.parquet").to_pylist()
    assert {row["request_id"]: row["split"] for row in found} == {
        "r0": "train",
        "r1": "test",
        "r2": None,
        "r5": "validation",
    }
    assert log.report.tables["requests"].rules == {"split-unknown": 1}
    assert log.report.tables["unlabeled"].rules == {"request-id-twice": 1}


def test_a_log_without_such_requests_has_no_such_tables(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for table in ROWS:
        write_csv(folder / f"{table}.csv", table, ROWS[table])
    with open(folder / "requests.csv", newline="", encoding="utf-8") as file:
        assert "split" not in next(csv.reader(file))
    settings = ImportSettings("tables", str(folder), str(tmp_path / "log"))
    import_log(settings, LogSettings(mask_users=False, quarantine_share=1.0))
    names = {path.name for path in (tmp_path / "log").iterdir()}
    tables = {"documents.parquet", "requests.parquet", "browses.parquet", "quarantine.parquet"}
    assert names == {*tables, "log.json"}
