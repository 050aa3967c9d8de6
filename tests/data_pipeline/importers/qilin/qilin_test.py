import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.importers import qilin, qilin_sql
from tests.data_pipeline.importers.importing import (
    browses,
    documents,
    import_folder,
    quarantine,
    requests,
)
from tests.data_pipeline.importers.qilin.qilin_files import (
    NAN,
    NOTE_COLUMNS,
    SEARCH_LIST,
    START,
    import_tables,
    make_note,
    make_recommendation,
    make_recommended,
    make_result,
    make_search,
    make_tables,
    print_json,
    print_numpy,
    write_csv,
)


def test_a_search_is_a_row_at_its_earliest_result_in_the_order_of_positions(tmp_path):
    results = [
        make_result(3, 2, 9, click=1, page_time=31.5),
        make_result(1, 4, 429_361),
        make_result(2, 1, 9, click=1),
        make_result(4, 3, 4, click=1, page_time=0.25),
    ]
    log, read = import_tables(
        tmp_path, search_train=[make_search(25147.0, 6948, " 渔歌子 ", results)]
    )
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
        make_recommended(1, 1, 0.025),
        make_recommended(2, 2, 0.026, click=1),
        make_recommended(3, 3, 5, click=1, page_time=-1),
        make_recommended(4, 4, 5, click=1, page_time=1.639),
        make_recommended(5, 5, 5, click=0, page_time=12.5),
    ]
    log, read = import_tables(tmp_path, recommendation_train=[make_recommendation(7, 8, results)])
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


def test_a_note_shown_again_is_listed_once_with_its_first_click(tmp_path):
    results = [
        make_recommended(1, 1, 30_000, click=1, page_time=7.5),
        make_recommended(2, 2, 30_000),
        make_recommended(1, 1, 0),
        make_recommended(2, 2, 0, click=1),
        make_recommended(2, 8, 40_000, click=1, page_time=99),
        make_recommended(1, 9, 40_000, click=1, page_time=99),
    ]
    log, read = import_tables(tmp_path, recommendation_train=[make_recommendation(7, 8, results)])
    places = [("1", True, 30_000.0, 7.5), ("2", True, 0.0, None)]
    assert requests(log, START) == {"r7": ("8", 0.0, "", places)}
    assert read["results"] == {"place of a list": 2, "shown again in its list": 4}


def test_an_answer_above_the_list_is_not_a_result(tmp_path):
    answer = {**make_result(1, 0, 0, click=1, page_time=9), "note_idx": None}
    searches = [
        make_search(1, 70, "q", [answer, make_result(1, 1, 5)]),
        make_search(2, 70, "q", [answer]),
    ]
    log, read = import_tables(tmp_path, dqa=searches)
    assert requests(log, START) == {"s1": ("70", 5.0, "q", [("1", False, None, None)])}
    assert [listed[1:3] for listed in quarantine(log)] == [(2, "results")]
    assert read["results"] == {"place of a list": 1, "answer at position 0, left out": 1}
    assert "clicks" not in read


def test_all_tables_of_lists_are_read(tmp_path):
    one, two = [[make_result(1, 1, 0)], [make_recommended(1, 1, 0)]]
    log, read = import_tables(
        tmp_path,
        search_train=[make_search(10, 1, "a", one)],
        search_test=[make_search(11, 1, "b", one)],
        dqa=[make_search(2, 1, "c", one)],
        recommendation_train=[make_recommendation(1, 1, two)],
        recommendation_test=[make_recommendation(2, 1, two)],
    )
    found = {name: query for name, (_, _, query, _) in requests(log, START).items()}
    assert found == {"s10": "a", "s11": "b", "s2": "c", "r1": "", "r2": ""}
    assert all(read[table] == {"request": 1} for table in qilin_sql.REQUESTS)


def test_a_title_is_that_of_the_note_or_its_content(tmp_path):
    notes = [
        make_note(1.0, "标题", "内容"),
        make_note(2, " ", "First line\nsecond, line 🧨", ""),
        make_note(3, "", ""),
    ]
    log, read = import_tables(
        tmp_path, notes=notes, search_train=[make_search(1, 1, "q", [make_result(1, 1, 0)])]
    )
    assert documents(log) == {
        "1": ("标题", "c1", None),
        "2": ("First line\nsecond, line 🧨", None, None),
        "3": ("", "c1", None),
    }
    assert read["notes"] == {"document": 3}


def test_numpy_json_gzip_and_parquet_give_the_same_log(tmp_path):
    tables = make_tables(
        [
            make_search(
                1, 70, "Qilin, 麒麟", [make_result(2, 1, 0, 1, 31.0), make_result(1, 2, 3)]
            ),
            make_search(2, 70, "again", [make_result(3, 1, 9, 1)]),
        ],
        [
            make_recommendation(
                1, 71, [make_recommended(4, 2, 0), make_recommended(5, 1, 0, 1, 2.5)]
            )
        ],
    )
    logs = {}
    for kind, ending, form in (
        ("numpy", "csv", print_numpy),
        ("json", "csv", print_json),
        ("gzip", "csv.gz", print_numpy),
    ):
        (tmp_path / kind).mkdir()
        for table, (columns, rows) in tables.items():
            write_csv(tmp_path / kind / f"{table}.{ending}", columns, rows, form)
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
    lists = [[make_result(1, 1, 0)]] * 3 + [[make_result(1, NAN, 0)]]
    searches = {"query": ["q"] * 4, "search_idx": [1, 2, 3, 4], "user_idx": [1.0, 2.0, None, 4.0]}
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({**searches, SEARCH_LIST: lists}), tmp_path / "in/dqa.parquet")
    write_csv(tmp_path / "in/notes.csv", NOTE_COLUMNS, [make_note(1)])
    log, _ = import_folder(qilin, tmp_path / "in")
    assert [listed[:3] for listed in quarantine(log)] == [
        ("dqa.parquet", 3, "user-id-empty"),
        ("dqa.parquet", 4, "result"),
    ]
    assert {user for user, *_ in requests(log, START).values()} == {"1", "2"}
