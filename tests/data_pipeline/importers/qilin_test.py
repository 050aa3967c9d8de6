import csv
import datetime
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import qilin, qilin_sql
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers import importing
from tests.data_pipeline.importers.importing import (
    DATA,
    PLAIN,
    assert_holds_none_of,
    browses,
    documents,
    import_folder,
    quarantine,
    requests,
)

START = datetime.datetime(2024, 11, 27, 0, 0, tzinfo=datetime.UTC)
START_S = 1_732_665_600
NAN = float("nan")
SEARCH_LIST, RECOMMENDED_LIST = "search_result_details_with_idx", "rec_result_details_with_idx"
SEARCH_COLUMNS = ["query", "recent_clicked_note_idxs", SEARCH_LIST, "search_idx", "user_idx"]
RECOMMENDED_COLUMNS = ["query", RECOMMENDED_LIST, "request_idx", "session_idx", "user_idx"]
NOTE_COLUMNS = ["note_title", "note_content", "taxonomy1_id", "note_idx", "note_type"]


def _result(note, position, time, click=0, page_time=NAN):
    """A result of a search: all numbers are floats, time is seconds."""
    at = START_S + time if isinstance(time, int | float) else time
    numbers = {"click": click, "collect": 0, "page_time": page_time, "position": position}
    floats = {name: value and float(value) for name, value in numbers.items()}
    return {"note_id": "67ab", "note_idx": note, **floats, "search_timestamp": at}


def _recommended(note, position, second, click=0, page_time=0.0):
    """A result of a recommendation: whole numbers, time in milliseconds."""
    return {
        "click": click,
        "note_id": "67ab",
        "note_idx": note,
        "page_time": page_time,
        "position": position,
        "request_timestamp": (START_S * 1000) + round(second * 1000),
    }


def _search(index, user, query, results):
    return [query, "[1 2\n 3]", results, index, user]


def _recommendation(index, user, results, query="titles clicked before"):
    return [query, results, index, 5, user]


def _note(number, title="A title", content="Some words", category="c1"):
    return [title, content, category, number, 1.0]


def _numpy(results):
    """A list as NumPy prints it into a CSV file."""
    return "[" + "\n ".join(map(repr, results)) + "]" if isinstance(results, list) else results


def _json(results):
    return json.dumps(results) if isinstance(results, list) else results


def _write_csv(path, columns, rows, form=_numpy):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[form(value) for value in row] for row in rows])


def _tables(search_train=(), recommendation_train=(), **others):
    """{table: (columns, rows)}, notes among them."""
    lists = {"search_train": search_train, "recommendation_train": recommendation_train, **others}
    notes = lists.pop("notes", None) or [_note(number) for number in range(1, 10)]
    return {"notes": (NOTE_COLUMNS, notes)} | {
        table: (RECOMMENDED_COLUMNS if table.startswith("rec") else SEARCH_COLUMNS, rows)
        for table, rows in lists.items()
        if rows
    }


def _import(tmp_path, settings=PLAIN, **tables):
    (tmp_path / "in").mkdir()
    written = _tables(**tables)
    for table, (columns, rows) in written.items():
        _write_csv(tmp_path / "in" / f"{table}.csv", columns, rows)
    log, read = import_folder(qilin, tmp_path / "in", settings)
    _assert_adds_up(log, {table: len(rows) for table, (_, rows) in written.items()})
    return log, read


def _assert_adds_up(log, rows):
    """Every row of {table: rows} must be told of once, and every table of the log add up."""
    read = log.source["read"]
    assert read["rows"] == sum(rows.values())
    assert {table: sum(read["actions"][table].values()) for table in rows} == rows
    counts = log.report.tables
    assert all(table.read == table.kept + table.quarantined for table in counts.values())
    assert counts["documents"].read == rows["notes"]
    assert counts["requests"].read == sum(rows.values()) - rows["notes"]


def test_a_search_is_a_row_at_its_earliest_result_in_the_order_of_positions(tmp_path):
    results = [
        _result(3, 2, 9, click=1, page_time=31.5),
        _result(1, 4, 429_361),
        _result(2, 1, 9, click=1),
        _result(4, 3, 4, click=1, page_time=0.25),
    ]
    log, read = _import(tmp_path, search_train=[_search(25147.0, 6948, " 渔歌子 ", results)])
    assert requests(log, START) == {
        "s25147": (
            "6948",
            4.0,
            "渔歌子",
            [
                ("2", True, 9.0, None),
                ("3", True, 9.0, 31.5),
                ("4", True, 4.0, 0.25),
                ("1", False, None, None),
            ],
        )
    }
    assert read["search_train"] == {"request": 1}
    assert read["results"] == {"place of a list": 4}
    assert read["clicks"] == {"with a dwell": 2, "without a dwell": 1}
    assert browses(log, START) == []


def test_a_recommendation_has_milliseconds_no_query_and_dwells_unless_filled_in(tmp_path):
    results = [
        _recommended(1, 1, 0.025),
        _recommended(2, 2, 0.026, click=1),
        _recommended(3, 3, 5, click=1, page_time=-1),
        _recommended(4, 4, 5, click=1, page_time=1.639),
        _recommended(5, 5, 5, click=0, page_time=12.5),
    ]
    log, read = _import(tmp_path, recommendation_train=[_recommendation(7, 8, results)])
    assert requests(log, START) == {
        "r7": (
            "8",
            0.025,
            "",
            [
                ("1", False, None, None),
                ("2", True, 0.026, None),
                ("3", True, 5.0, None),
                ("4", True, 5.0, 1.639),
                ("5", False, None, None),
            ],
        )
    }
    assert read["clicks"] == {"with a dwell": 1, "without a dwell": 2}
    assert read["page times without a click"] == {"left out": 1}


def test_a_note_shown_again_stands_once_with_its_first_click(tmp_path):
    results = [
        _recommended(1, 1, 30_000, click=1, page_time=7.5),
        _recommended(2, 2, 30_000),
        _recommended(1, 1, 0),
        _recommended(2, 2, 0, click=1),
        _recommended(2, 8, 40_000, click=1, page_time=99),
        _recommended(1, 9, 40_000, click=1, page_time=99),
    ]
    log, read = _import(tmp_path, recommendation_train=[_recommendation(7, 8, results)])
    places = [("1", True, 30_000.0, 7.5), ("2", True, 0.0, None)]
    assert requests(log, START) == {"r7": ("8", 0.0, "", places)}
    assert read["results"] == {"place of a list": 2, "shown again in its list": 4}


def test_an_answer_above_the_list_is_no_result(tmp_path):
    answer = {**_result(1, 0, 0, click=1, page_time=9), "note_idx": None}
    searches = [
        _search(1, 70, "q", [answer, _result(1, 1, 5)]),
        _search(2, 70, "q", [answer]),
    ]
    log, read = _import(tmp_path, dqa=searches)
    assert requests(log, START) == {"s1": ("70", 5.0, "q", [("1", False, None, None)])}
    assert [told[1:3] for told in quarantine(log)] == [(2, "results")]
    assert read["results"] == {"place of a list": 1, "answer at position 0, left out": 1}
    assert "clicks" not in read


def test_all_tables_of_lists_are_read(tmp_path):
    one, two = [[_result(1, 1, 0)], [_recommended(1, 1, 0)]]
    log, read = _import(
        tmp_path,
        search_train=[_search(10, 1, "a", one)],
        search_test=[_search(11, 1, "b", one)],
        dqa=[_search(2, 1, "c", one)],
        recommendation_train=[_recommendation(1, 1, two)],
        recommendation_test=[_recommendation(2, 1, two)],
    )
    found = {name: query for name, (_, _, query, _) in requests(log, START).items()}
    assert found == {"s10": "a", "s11": "b", "s2": "c", "r1": "", "r2": ""}
    assert all(read[table] == {"request": 1} for table in qilin_sql.REQUESTS)


def test_a_title_is_that_of_the_note_or_its_content(tmp_path):
    notes = [
        _note(1.0, "标题", "内容"),
        _note(2, " ", "First line\nsecond, line 🧨", ""),
        _note(3, "", ""),
    ]
    log, read = _import(
        tmp_path, notes=notes, search_train=[_search(1, 1, "q", [_result(1, 1, 0)])]
    )
    assert documents(log) == {
        "1": ("标题", "c1", None),
        "2": ("First line\nsecond, line 🧨", None, None),
        "3": ("", "c1", None),
    }
    assert read["notes"] == {"document": 3}


def test_numpy_json_gzip_and_parquet_give_the_same_log(tmp_path):
    tables = _tables(
        [
            _search(1, 70, "Qilin, 麒麟", [_result(2, 1, 0, 1, 31.0), _result(1, 2, 3)]),
            _search(2, 70, "again", [_result(3, 1, 9, 1)]),
        ],
        [_recommendation(1, 71, [_recommended(4, 2, 0), _recommended(5, 1, 0, 1, 2.5)])],
    )
    logs = {}
    for kind, ending, form in (
        ("numpy", "csv", _numpy),
        ("json", "csv", _json),
        ("gzip", "csv.gz", _numpy),
    ):
        (tmp_path / kind).mkdir()
        for table, (columns, rows) in tables.items():
            _write_csv(tmp_path / kind / f"{table}.{ending}", columns, rows, form)
        logs[kind], _ = import_folder(qilin, tmp_path / kind)
    for table, (columns, rows) in tables.items():
        (tmp_path / "parquet" / table).mkdir(parents=True)
        for part, row in enumerate(rows):
            values = {name: [value] for name, value in zip(columns, row, strict=True)}
            pq.write_table(pa.table(values), tmp_path / "parquet" / table / f"{part}.parquet")
    logs["parquet"], _ = import_folder(qilin, tmp_path / "parquet")
    assert len(logs["parquet"].source["files"]) == 12
    for log in logs.values():
        assert quarantine(log) == []
        for table in ("documents", "requests"):
            wanted = pq.read_table(getattr(logs["numpy"], table))
            assert pq.read_table(getattr(log, table)).equals(wanted) and wanted.num_rows
    assert len(requests(logs["json"], START)) == 3


def test_rows_of_parquet_keep_their_numbers_however_many_are_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(qilin, "ROWS_AT_ONCE", 2)
    lists = [[_result(1, 1, 0)]] * 3 + [[_result(1, NAN, 0)]]
    searches = {"query": ["q"] * 4, "search_idx": [1, 2, 3, 4], "user_idx": [1.0, 2.0, None, 4.0]}
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({**searches, SEARCH_LIST: lists}), tmp_path / "in/dqa.parquet")
    _write_csv(tmp_path / "in/notes.csv", NOTE_COLUMNS, [_note(1)])
    log, _ = import_folder(qilin, tmp_path / "in")
    assert [told[:3] for told in quarantine(log)] == [
        ("dqa.parquet", 3, "user-id-empty"),
        ("dqa.parquet", 4, "result"),
    ]
    assert {user for user, *_ in requests(log, START).values()} == {"1", "2"}


def test_rows_that_cannot_be_mapped_are_quarantined(tmp_path):
    good = _result(1, 1, 0)
    searches = [
        _search("one", 1, "q", [good]),
        _search(2.5, 1, "q", [good]),
        # Without its query it would be a recommendation.
        _search(3, 1, " ", [good]),
        _search(4, 1, "q", []),
        _search(5, 1, "q", "[{'note_idx'"),
        _search(6, 1, "q", "{}"),
        _search(7, 1, "q", [good, {**_result(2, 2, 0), "note_idx": "x"}]),
        _search(8, 1, "q", [good, {"note_idx": 2}]),
        _search(9, 1, "q", [_result(1, 1, 0, click=2)]),
        _search(10, 1, "q", [_result(1, NAN, 0)]),
        _search(11, 1, "q", [_result(1, 1, NAN)]),
        # Milliseconds.
        _search(12, 1, "q", [_result(1, 1, START_S * 999)]),
        _search(13, "", "q", [good]),
        _search(14, 1, "q", [good, _result(77, 2, 0)]),
        _search(15, 1, "q", [_result(1, 1, 0, click=1, page_time=-3)]),
        _search(16, 1, "q", [good]),
        _search(16, 1, "q", [good]),
        ["q", "[]"],
    ]
    # Seconds.
    early = {**_recommended(1, 1, 0), "request_timestamp": START_S}
    log, read = _import(
        tmp_path,
        search_train=searches,
        recommendation_train=[_recommendation(1, 1, [early])],
        notes=[_note(1), _note(2), _note(2, "Again"), _note("x")],
    )
    told = {(file, row): (rule, value) for file, row, rule, value in quarantine(log)}
    rules = {row: rule for (file, row), (rule, _) in told.items() if file == "search_train.csv"}
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
    assert told["search_train.csv", 2] == ("index", "3 characters")
    assert told["search_train.csv", 8] == ("result", "86 characters")
    assert told["recommendation_train.csv", 1][0] == "result"
    assert told["notes.csv", 3] == ("doc-id-twice", "1 digit")
    assert told["notes.csv", 4][0] == "doc-id-empty"
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
    lists = pa.array([_json([_result(1, 1, 0)])], pa.large_string())
    pq.write_table(pa.table({**search, SEARCH_LIST: lists}), tmp_path / "in/dqa.parquet")
    log, _ = import_folder(qilin, tmp_path / "in")
    assert documents(log) == {"1": ("A title", "2", None)}
    assert requests(log, START) == {"s1": ("5", 0.0, "q", [("1", False, None, None)])}
    search["query"] = [["q"]]
    pq.write_table(pa.table({**search, SEARCH_LIST: lists}), tmp_path / "in/dqa.parquet")
    with pytest.raises(LogError, match=r"dqa\.parquet: the column `query` must hold text or num"):
        list(qilin.read(tmp_path / "in").batches)


def test_a_column_that_stands_twice_is_an_error(tmp_path):
    _write_csv(tmp_path / "notes.csv", [*NOTE_COLUMNS, "note_idx"], [])
    _write_csv(tmp_path / "dqa.csv", SEARCH_COLUMNS, [])
    with pytest.raises(LogError, match=r"notes\.csv: .* must have the column `note_idx` once"):
        list(qilin.read(tmp_path).batches)


def test_a_folder_that_lacks_tables_or_columns_is_an_error(tmp_path):
    with pytest.raises(LogError, match="the input must be a folder"):
        qilin.read(tmp_path / "none")
    with pytest.raises(
        LogError, match=r"must hold notes, and one of search_train.*an empty folder"
    ):
        qilin.read(tmp_path)
    _write_csv(tmp_path / "notes.csv", NOTE_COLUMNS, [_note(1)])
    with pytest.raises(LogError, match=r"must hold notes, and one of .*Got notes\.csv"):
        qilin.read(tmp_path)
    _write_csv(tmp_path / "search_test.csv", ["query", "search_idx", "user_idx"], [])
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
        _search(1, 700100200, "q", [_result(1, 1, 0, click=1)]),
        _search(2, 700100200, "", [_result(1, 1, 0)]),
    ]
    settings = LogSettings(quarantine_share=1.0)
    log, _ = _import(tmp_path, settings, search_train=searches)
    assert len(requests(log, START)) == 1 and len(quarantine(log)) == 1
    assert_holds_none_of(log, {"700100200"})


# Real rows, where they are -----------------------------------------------------------------------

SAMPLE = DATA / "qilin_toy"
needs_real_rows = importing.needs_real_rows(SAMPLE)


@needs_real_rows
def test_every_real_row_and_click_is_accounted_for(tmp_path, request):
    limit = csv.field_size_limit(1 << 30)
    request.addfinalizer(lambda: csv.field_size_limit(limit))
    shown, clicks, folder = set(), 0, tmp_path / "in"
    folder.mkdir()
    for table in qilin_sql.REQUESTS:
        (folder / f"{table}.csv").symlink_to(SAMPLE / f"{table}.csv")
        with open(SAMPLE / f"{table}.csv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text = row.get(SEARCH_LIST) or row[RECOMMENDED_LIST]
                places = [
                    part.split("'note_idx': ")[1].split(",")[0] for part in text.split("{")[1:]
                ]
                clicked = ["'click': 1" in part for part in text.split("{")[1:]]
                names = {f"{float(place):.0f}" for place in places}
                clicks += len({p for p, c in zip(places, clicked, strict=True) if c})
                index = row.get("search_idx") or row["request_idx"]
                shown |= {(table, index, name) for name in names}
    with open(SAMPLE / "notes.csv", encoding="utf-8", newline="") as file:
        notes = list(csv.DictReader(file))
    # The sample holds hardly any of the notes its lists show; the others stand in without a title.
    missing = {name for _, _, name in shown} - {note["note_idx"] for note in notes}
    known = [[note[column] for column in NOTE_COLUMNS] for note in notes]
    others = [_note(name, "", "") for name in sorted(missing)]
    _write_csv(folder / "notes.csv", NOTE_COLUMNS, [*known, *others])
    log, read = import_folder(qilin, folder)
    assert quarantine(log) == []
    _assert_adds_up(log, {"notes": 10 + len(missing)} | dict.fromkeys(qilin_sql.REQUESTS, 10))
    assert (log.report.searches, log.report.recommendations) == (30, 20)
    assert log.report.results == len(shown) and log.report.clicks == clicks
    assert read["results"]["place of a list"] == len(shown)
    assert log.report.first_time[:7] == log.report.last_time[:7] == "2024-11"
    assert documents(log)["0"][0] == notes[0]["note_title"]
