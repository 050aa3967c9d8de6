import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import qilin
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers.importing import (
    assert_holds_no_raw_user,
    documents,
    import_folder,
    quarantine,
    requests,
)
from tests.data_pipeline.importers.qilin.qilin_files import (
    NAN,
    NOTE_COLUMNS,
    SEARCH_COLUMNS,
    SEARCH_LIST,
    START,
    START_S,
    import_tables,
    make_note,
    make_recommendation,
    make_recommended,
    make_result,
    make_search,
    print_json,
    write_csv,
)


def test_rows_that_cannot_be_mapped_are_quarantined(tmp_path):
    good = make_result(1, 1, 0)
    searches = [
        make_search("one", 1, "q", [good]),
        make_search(2.5, 1, "q", [good]),
        # Without its query it would be a recommendation.
        make_search(3, 1, " ", [good]),
        make_search(4, 1, "q", []),
        make_search(5, 1, "q", "[{'note_idx'"),
        make_search(6, 1, "q", "{}"),
        make_search(7, 1, "q", [good, {**make_result(2, 2, 0), "note_idx": "x"}]),
        make_search(8, 1, "q", [good, {"note_idx": 2}]),
        make_search(9, 1, "q", [make_result(1, 1, 0, click=2)]),
        make_search(10, 1, "q", [make_result(1, NAN, 0)]),
        make_search(11, 1, "q", [make_result(1, 1, NAN)]),
        # Milliseconds.
        make_search(12, 1, "q", [make_result(1, 1, START_S * 999)]),
        make_search(13, "", "q", [good]),
        make_search(14, 1, "q", [good, make_result(77, 2, 0)]),
        make_search(15, 1, "q", [make_result(1, 1, 0, click=1, page_time=-3)]),
        make_search(16, 1, "q", [good]),
        make_search(16, 1, "q", [good]),
        ["q", "[]"],
    ]
    # Seconds.
    early = {**make_recommended(1, 1, 0), "request_timestamp": START_S}
    log, read = import_tables(
        tmp_path,
        search_train=searches,
        recommendation_train=[make_recommendation(1, 1, [early])],
        notes=[make_note(1), make_note(2), make_note(2, "Again"), make_note("x")],
    )
    listed = {(file, row): (rule, value) for file, row, rule, value in quarantine(log)}
    rules = {row: rule for (file, row), (rule, _) in listed.items() if file == "search_train.csv"}
    assert rules == {
        1: "index",
        2: "index",
        3: "query",
        4: "results",
        5: "results",
        6: "results",
        **dict.fromkeys(range(7, 13), "result"),
        13: "user-id-empty",
        14: "result-unknown",
        15: "dwell-range",
        17: "request-id-twice",
        18: "columns",
    }
    assert listed["search_train.csv", 2] == ("index", "3 characters")
    assert listed["search_train.csv", 8] == ("result", "86 characters")
    assert listed["recommendation_train.csv", 1][0] == "result"
    assert listed["notes.csv", 3] == ("doc-id-twice", "1 digit")
    assert listed["notes.csv", 4][0] == "doc-id-empty"
    assert list(requests(log, START)) == ["s16"]
    # What the log refuses for itself is found only when it is written.
    assert read["search_train"] == {"quarantined": 13, "request": 5}


def test_text_of_parquet_files_may_be_of_any_type_but_a_list(tmp_path):
    (tmp_path / "in").mkdir()
    notes = {
        "note_title": [b"A title"],
        "note_content": [7],
        "taxonomy1_id": [2],
        "note_idx": ["1"],
    }
    pq.write_table(pa.table(notes), tmp_path / "in/notes.parquet")
    search = {"query": [b"q"], "search_idx": [1.0], "user_idx": ["5"]}
    lists = pa.array([print_json([make_result(1, 1, 0)])], pa.large_string())
    pq.write_table(pa.table({**search, SEARCH_LIST: lists}), tmp_path / "in/dqa.parquet")
    log, _ = import_folder(qilin, tmp_path / "in")
    assert documents(log) == {"1": ("A title", "2", None)}
    assert requests(log, START) == {"s1": ("5", 0.0, "q", [("1", False, None, None)])}
    search["query"] = [["q"]]
    pq.write_table(pa.table({**search, SEARCH_LIST: lists}), tmp_path / "in/dqa.parquet")
    with pytest.raises(LogError, match=r"dqa\.parquet: the column `query` must hold text or num"):
        list(qilin.read(tmp_path / "in").batches)


def test_a_repeated_column_is_an_error(tmp_path):
    write_csv(tmp_path / "notes.csv", [*NOTE_COLUMNS, "note_idx"], [])
    write_csv(tmp_path / "dqa.csv", SEARCH_COLUMNS, [])
    with pytest.raises(LogError, match=r"notes\.csv: .* must have the column `note_idx` once"):
        list(qilin.read(tmp_path).batches)


def test_a_folder_that_lacks_tables_or_columns_is_an_error(tmp_path):
    with pytest.raises(LogError, match="the input must be a folder"):
        qilin.read(tmp_path / "none")
    with pytest.raises(
        LogError, match=r"must hold notes, and one of search_train.*an empty folder"
    ):
        qilin.read(tmp_path)
    write_csv(tmp_path / "notes.csv", NOTE_COLUMNS, [make_note(1)])
    with pytest.raises(LogError, match=r"must hold notes, and one of .*Got notes\.csv"):
        qilin.read(tmp_path)
    write_csv(tmp_path / "search_test.csv", ["query", "search_idx", "user_idx"], [])
    with pytest.raises(LogError, match=rf"search_test\.csv: .* the column `{SEARCH_LIST}`"):
        list(qilin.read(tmp_path).batches)
    pq.write_table(pa.table({"note_idx": [1]}), tmp_path / "notes.parquet")
    with pytest.raises(LogError, match="the table notes only once"):
        qilin.read(tmp_path)
    (tmp_path / "notes.csv").unlink()
    with pytest.raises(LogError, match=r"notes\.parquet: .* the column `note_title`"):
        list(qilin.read(tmp_path).batches)


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    searches = [
        make_search(1, 700100200, "q", [make_result(1, 1, 0, click=1)]),
        make_search(2, 700100200, "", [make_result(1, 1, 0)]),
    ]
    settings = LogSettings(quarantine_share=1.0)
    log, _ = import_tables(tmp_path, settings, search_train=searches)
    assert len(requests(log, START)) == 1 and len(quarantine(log)) == 1
    assert_holds_no_raw_user(log, {"700100200"})
