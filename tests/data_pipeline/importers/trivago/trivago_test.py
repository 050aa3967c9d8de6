import gzip

import pyarrow.csv as pc
import pyarrow.parquet as pq

from data_pipeline.importers import trivago
from data_pipeline.log.log_folder import write_log
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers.trivago.trivago_files import (
    PLAIN,
    import_sessions,
    make_row,
    read_browses,
    read_requests,
    write_sessions,
)


def test_a_clickout_is_a_search_with_the_latest_text_before_it_in_its_session(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "clickout item", "11", shown="11|12"),
        make_row("u", "s", 10, 2, "search for destination", "Oslo, Norway"),
        make_row("u", "s", 20, 3, "search for poi", "Opera"),
        make_row("u", "s", 30, 4, "filter selection", "Hotel"),
        make_row("u", "s", 40, 5, "clickout item", "12", shown="11|12|13"),
        make_row("u", "s", 55, 6, "search for destination", "Bergen, Norway"),
        make_row("u", "t", 60, 1, "clickout item", "13", shown="13"),
    ]
    log, read = import_sessions(tmp_path, rows)
    assert read_requests(log) == [
        ("t1", "u", 0, "", "11|12", "11", 0, 10.0),
        ("t5", "u", 40, "Opera", "11|12|13", "12", 40, 15.0),
        # Another session: no query, and no later row that gives the dwell.
        ("t7", "u", 60, "", "13", "13", 60, None),
    ]
    assert read["search for poi"] == {"query of requests": 1}
    assert read["search for destination"] == {"no request follows it": 2}
    assert read["filter selection"] == {"not mapped": 1}
    assert read["clickout item"] == {"request": 3}


def test_rows_are_taken_by_time_then_step_whatever_their_order_in_the_file(tmp_path):
    rows = [
        make_row("u", "s", 20, 3, "clickout item", "11", shown="11"),
        make_row("v", "s", 5, 9, "search for poi", "Not of u"),
        make_row("u", "s", 20, 2, "search for poi", "Opera"),
        # The step counter starts again while time goes forward.
        make_row("u", "s", 30, 1, "interaction item image", "11"),
    ]
    log, _ = import_sessions(tmp_path, rows)
    assert read_requests(log) == [("t1", "u", 20, "Opera", "11", "11", 20, 10.0)]
    assert read_browses(log) == [("u", 30, "11", None)]


def test_a_run_of_interactions_on_one_item_is_one_browse_at_its_first_time(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "interaction item image", "11"),
        make_row("u", "s", 4, 2, "interaction item rating", "11"),
        make_row("u", "s", 9, 3, "interaction item deals", "11"),
        make_row("u", "s", 12, 4, "interaction item info", "12"),
        make_row("u", "s", 20, 5, "change of sort order", "price"),
        make_row("u", "s", 25, 6, "interaction item image", "12"),
        make_row("u", "t", 26, 1, "interaction item image", "12"),
    ]
    log, read = import_sessions(tmp_path, rows)
    assert read_browses(log) == [
        ("u", 0, "11", 12.0),
        ("u", 12, "12", 8.0),
        ("u", 25, "12", None),
        ("u", 26, "12", None),
    ]
    assert read["interaction item image"] == {"browse": 3}
    assert read["interaction item rating"] == {"part of a browse": 1}


def test_a_search_for_an_item_is_a_browse_of_its_own(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "search for item", "11"),
        make_row("u", "s", 3, 2, "interaction item image", "11"),
        make_row("u", "s", 5, 3, "interaction item image", "11"),
        make_row("u", "s", 9, 4, "search for item", "11"),
        make_row("u", "s", 15, 5, "clickout item", "11", shown="11"),
    ]
    log, _ = import_sessions(tmp_path, rows)
    assert read_browses(log) == [("u", 0, "11", 3.0), ("u", 3, "11", 6.0), ("u", 9, "11", 6.0)]
    # A search for an item is not a text search.
    assert read_requests(log)[0][3] == ""


def test_browses_of_one_item_in_one_second_are_one_row_and_none_is_quarantined(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "interaction item image", "11"),
        make_row("u", "s", 0, 2, "interaction item image", "12"),
        make_row("u", "s", 0, 3, "interaction item image", "11"),
        make_row("u", "s", 7, 4, "filter selection", "Hotel"),
    ]
    log, read = import_sessions(tmp_path, rows, LogSettings(mask_users=False, quarantine_share=0.0))
    assert read_browses(log) == [("u", 0, "11", 7.0), ("u", 0, "12", 0.0)]
    listed = {"browse": 2, "same second as another browse of it": 1}
    assert read["interaction item image"] == listed


def test_two_clickouts_of_one_second_are_two_requests(tmp_path):
    rows = [make_row("u", "s", 0, step, "clickout item", "11", shown="11|12") for step in (1, 2)]
    log, _ = import_sessions(tmp_path, rows)
    assert [row[0] for row in read_requests(log)] == ["t1", "t2"]


def test_a_title_is_the_city_first_seen_with_the_item_and_its_id(tmp_path):
    rows = [
        make_row("u", "s", 9, 1, "clickout item", "11", "Oslo, Norway", "11|12"),
        make_row("v", "s", 3, 1, "interaction item image", "12", "Bergen, Norway"),
        make_row("v", "s", 4, 2, "search for item", "13", ""),
        make_row("v", "s", 5, 3, "search for destination", "14"),
    ]
    log, _ = import_sessions(tmp_path, rows)
    assert pq.read_table(log.documents).select(["doc_id", "title"]).to_pylist() == [
        {"doc_id": "11", "title": "Oslo, Norway 11"},
        {"doc_id": "12", "title": "Bergen, Norway 12"},
        {"doc_id": "13", "title": "13"},
    ]


def test_csv_gzip_and_parquet_give_the_same_tables(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "search for poi", "Opera"),
        make_row("u", "s", 9, 2, "clickout item", "11", shown="11|12"),
        make_row("u", "s", 12, 3, "interaction item image", "12"),
    ]
    plain = write_sessions(tmp_path / "sessions.csv", rows)
    with gzip.open(tmp_path / "sessions.csv.gz", "wb") as file:
        file.write(plain.read_bytes())
    table = pc.read_csv(plain)
    pq.write_table(table, tmp_path / "sessions.parquet")
    for name in ("sessions.csv", "sessions.csv.gz", "sessions.parquet"):
        source = trivago.read(tmp_path / name)
        write_log(tmp_path / f"log-{name}", source.batches, PLAIN)
    for table in ("documents", "requests", "browses"):
        one, two, three = (
            pq.read_table(tmp_path / f"log-{name}" / f"{table}.parquet")
            for name in ("sessions.csv", "sessions.csv.gz", "sessions.parquet")
        )
        assert one.equals(two) and one.equals(three) and one.num_rows > 0
