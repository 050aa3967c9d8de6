import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import trivago
from data_pipeline.log.log_folder import write_log
from data_pipeline.log.schema import LogError
from tests.data_pipeline.importers.trivago.trivago_files import (
    COLUMNS,
    PLAIN,
    START,
    import_sessions,
    make_row,
    read_browses,
    read_quarantine,
    read_requests,
)


def test_clickouts_that_cannot_be_mapped_are_quarantined(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "clickout item", "11", shown="12|13"),
        make_row("u", "s", 1, 2, "clickout item", "11"),
        make_row("u", "s", 2, 3, "clickout item", "11", shown="11|x"),
        make_row("u", "s", 3, 4, "clickout item", "11", shown="11|12|11"),
        make_row("u", "s", 4, 5, "clickout item", "11", shown="11"),
    ]
    log, read = import_sessions(tmp_path, rows)
    assert sorted(read_quarantine(log)) == [
        ("requests", 1, "item-not-in-list", "2 digits"),
        ("requests", 2, "no-list", "2 digits"),
        ("requests", 3, "item-id", "2 digits"),
        ("requests", 4, "result-twice", "2 digits"),
    ]
    assert [row[0] for row in read_requests(log)] == ["t5"]
    requests = log.report.tables["requests"]
    assert (requests.read, requests.kept, requests.quarantined) == (5, 1, 4)
    # The list that names an item twice is found only when the log is written.
    assert read["clickout item"] == {"quarantined": 3, "request": 2}


def test_an_unknown_item_is_counted_and_any_other_reference_without_number_quarantined(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "interaction item info", "unknown"),
        make_row("u", "s", 1, 2, "search for item", "Grand Hotel"),
        make_row("u", "s", 2, 3, "interaction item image", "11"),
        make_row("u", "s", 3, 4, "interaction item deals", ""),
        make_row("u", "s", 4, 5, "search for item", ""),
    ]
    log, read = import_sessions(tmp_path, rows)
    assert read["interaction item info"] == {"item unknown": 1}
    assert read["interaction item deals"] == {"item unknown": 1}
    assert read["search for item"] == {"item unknown": 1, "quarantined": 1}
    assert read_quarantine(log) == [("browses", 2, "item-id", "11 characters")]
    assert read_browses(log) == [("u", 2, "11", 1.0)]


def test_rows_that_are_wrong_by_themselves_are_quarantined_before_the_mapping(tmp_path):
    rows = [
        make_row("", "s", 0, 1, "interaction item image", "11"),
        make_row("u", "s", "noon", 2, "interaction item image", "11"),
        make_row("u", "s", str((START + 3) * 1000), 3, "interaction item image", "11"),
        make_row("u", "s", 4, "four", "filter selection", "Hotel"),
        make_row("u", "s", 5, 5, "clickout item", "11", shown="11"),
        make_row("u", "s", 5, 5, "clickout item", "11", shown="11"),
        ["u", "s", "7"],
    ]
    log, read = import_sessions(tmp_path, rows)
    assert sorted(read_quarantine(log)) == [
        ("sessions", 1, "user-id-empty", ""),
        ("sessions", 2, "timestamp", "4 characters"),
        ("sessions", 3, "timestamp", "13 digits"),
        ("sessions", 4, "step", "4 characters"),
        ("sessions", 6, "row-twice", ""),
        ("sessions", 7, "columns", ""),
    ]
    sessions = log.report.tables["sessions"]
    assert (sessions.read, sessions.kept) == (7, 1)
    assert sum(sum(outcomes.values()) for outcomes in read.values()) == 7
    assert read["(unreadable line)"] == {"quarantined": 1}


def test_unknown_action_types_and_empty_search_texts_are_counted(tmp_path):
    rows = [
        make_row("u", "s", 0, 1, "teleport", "11"),
        make_row("u", "s", 1, 2, "search for poi", " "),
        make_row("u", "s", 2, 3, "clickout item", "11", shown="11"),
    ]
    log, read = import_sessions(tmp_path, rows)
    # The word itself is not shown: in shifted columns it is a user id.
    assert read["(unknown action type)"] == {"unknown action type": 1}
    assert "teleport" not in (log.folder / "log.json").read_text()
    assert read["search for poi"] == {"empty text": 1}
    assert read_requests(log)[0][3] == ""


def test_a_file_with_other_columns_or_none_at_all_is_an_error(tmp_path):
    (tmp_path / "other.csv").write_text("user_id,item\nu,11\n")
    with pytest.raises(LogError, match=r"other\.csv: a trivago file must have the column `sess"):
        trivago.read(tmp_path / "other.csv")
    with pytest.raises(LogError, match="no such file"):
        trivago.read(tmp_path / "none.csv")
    pq.write_table(pa.table({"user_id": ["u"]}), tmp_path / "other.parquet")
    with pytest.raises(LogError, match="must have the column `session_id`"):
        trivago.read(tmp_path / "other.parquet")


def test_a_parquet_file_that_is_cut_or_of_other_types_is_an_error(tmp_path):
    path = tmp_path / "sessions.parquet"
    rows = [make_row("u", "s", 2, 3, "clickout item", "11", shown="11")] * 9
    good = {name: list(cells) for name, cells in zip(COLUMNS, zip(*rows, strict=True), strict=True)}
    pq.write_table(pa.table(good), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LogError, match=r"sessions\.parquet: the file must be complete Parquet"):
        trivago.read(path)
    pq.write_table(pa.table({**good, "step": [[1]] * 9}), path)
    with pytest.raises(LogError, match=r"sessions\.parquet: the column `step` must hold text or n"):
        list(trivago.read(path).batches)
    for city in (pa.array([b"\xe9"] * 9), pa.array([b"\xe9"] * 9).view(pa.string())):
        pq.write_table(pa.table({**good, "city": city}), path)
        with pytest.raises(LogError, match=r"sessions\.parquet: .* text"):
            list(trivago.read(path).batches)


def test_a_header_without_rows_or_with_a_repeated_column_is_an_error(tmp_path):
    path = tmp_path / "sessions.csv"
    path.write_text(",".join(COLUMNS) + "\n\n\n")
    with pytest.raises(LogError, match="a log must hold a request or a browse"):
        write_log(tmp_path / "log", trivago.read(path).batches, PLAIN)
    path.write_text(",".join([*COLUMNS, "step"]) + "\n")
    with pytest.raises(LogError, match=r"sessions\.csv: .* must have the column `step` once"):
        trivago.read(path)
