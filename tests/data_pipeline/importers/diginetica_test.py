import datetime

from data_pipeline.importers import diginetica
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers.importing import (
    assert_adds_up,
    assert_holds_no_raw_user,
    browses,
    documents,
    import_folder,
    quarantine,
    requests,
    write_files,
)

START = datetime.datetime(2016, 5, 9, tzinfo=datetime.UTC)
DAY = 86_400.0

HEADERS = {
    "products.csv": "itemId;pricelog2;product.name.tokens",
    "product-categories.csv": "itemId;categoryId",
    "train-queries.csv": "queryId;sessionId;userId;timeframe;duration;eventdate;"
    "searchstring.tokens;categoryId;items;is.test",
    "train-clicks.csv": "queryId;timeframe;itemId",
    "train-item-views.csv": "sessionId;userId;itemId;timeframe;eventdate",
}


def _query(number, session, second, items, words="NA", user="NA", day="2016-05-09", test="FALSE"):
    at = second if isinstance(second, str) else round(second * 1000)
    return f"{number};{session};{user};{at};250;{day};{words};3;{items};{test}"


def _view(session, second, item, user="NA", day="2016-05-09"):
    return f"{session};{user};{item};{round(second * 1000)};{day}"


def _import(tmp_path, queries=(), clicks=(), views=(), products=(), categories=(), **settings):
    rows = {
        "products.csv": products,
        "product-categories.csv": categories,
        "train-queries.csv": queries,
        "train-clicks.csv": clicks,
        "train-item-views.csv": views,
    }
    files = {name: [HEADERS[name], *lines] for name, lines in rows.items()}
    folder = write_files(tmp_path / "in", files)
    log, read = import_folder(diginetica, folder, **settings)
    assert_adds_up(log, {name: len(lines) for name, lines in rows.items()})
    return log, read


def _shown(*items):
    """Places of a list: an item, or (item, second of the click) of a clicked one."""
    return [
        (item[0], True, item[1], None) if isinstance(item, tuple) else (item, False, None, None)
        for item in items
    ]


def test_a_text_query_is_a_search_and_a_category_page_a_recommendation(tmp_path):
    queries = [
        _query(1, 5, 1, "12,11,13"),
        _query(2, 5, 9, "11,12", words="53,7,53"),
        _query(3, 5, 20, "", words="53"),
        _query(4, 5, 30, "13", words=""),
    ]
    log, read = _import(tmp_path, queries)
    assert requests(log, START) == {
        "q1": ("s5", 1.0, "", _shown("12", "11", "13")),
        "q2": ("s5", 9.0, "53 7 53", _shown("11", "12")),
        "q3": ("s5", 20.0, "53", []),
        "q4": ("s5", 30.0, "", _shown("13")),
    }
    assert read["train-queries.csv"] == {"page of a category": 2, "search": 2}


def test_clicks_stand_in_the_list_of_their_query_at_their_first_time(tmp_path):
    queries = [_query(1, 5, 1, "12,11,13"), _query(2, 6, 2, "11,12")]
    clicks = ["1;9000;11", "2;2500;11", "1;4500;13", "1;7000;11", "1;9000;11"]
    log, read = _import(tmp_path, queries, clicks)
    assert requests(log, START) == {
        "q1": ("s5", 1.0, "", _shown("12", ("11", 7.0), ("13", 4.5))),
        "q2": ("s6", 2.0, "", _shown(("11", 2.5), "12")),
    }
    assert read["train-clicks.csv"] == {"click": 3, "clicked again": 2}


def test_a_list_whose_clicks_were_withheld_is_unlabeled_and_counted(tmp_path):
    queries = [_query(1, 5, 0, "11", test="TRUE"), _query(2, 5, 9, "11", words="4", test="true")]
    views = [_view(5, 3, 11)]
    log, read = _import(tmp_path, queries, ["1;500;11"], views)
    assert requests(log, START) == {}
    assert browses(log, START) == [("s5", 3.0, "11", None)]
    withheld = requests(log, START, "unlabeled")
    assert set(withheld) == {"q1", "q2"}
    assert withheld["q2"][2:] == ("4", [("11", False, None, None)])
    assert read["train-queries.csv"] == {"unlabeled request": 2}
    assert read["train-clicks.csv"] == {"left out with its query": 1}


def test_views_are_browses_of_the_session_that_their_query_has(tmp_path):
    queries = [_query(1, 5, 4, "11", user=8)]
    views = [_view(5, 7.25, 12), _view(5, 9, 13, user="NA"), _view(5, 9, 13), _view(5, 9, 12)]
    log, read = _import(tmp_path, queries, views=views)
    assert list(requests(log, START)["q1"][:2]) == ["u8", 4.0]
    assert browses(log, START) == [
        ("u8", 7.25, "12", None),
        ("u8", 9.0, "13", None),
        ("u8", 9.0, "12", None),
    ]
    assert read["train-item-views.csv"] == {"browse": 3, "at one time with another view of it": 1}


def test_a_row_without_a_user_has_its_sessions_if_there_is_one_only(tmp_path):
    views = [
        _view(1, 1, 11),
        _view(2, 2, 11),
        _view(2, 3, 12, user=8),
        _view(3, 4, 11, user=8),
        _view(3, 5, 12, user=9),
        _view(3, 6, 13),
    ]
    log, _ = _import(tmp_path, views=views)
    assert [row[0] for row in browses(log, START)] == ["s1", "u8", "u8", "u8", "u9", "s3"]


def test_a_session_begins_at_midnight_of_its_earliest_day(tmp_path):
    queries = [_query(1, 5, 3 * DAY, "11", day="2016-05-12")]
    views = [_view(5, 100, 11, day="2016-05-09"), _view(6, 0, 11, day="2016-05-11")]
    log, _ = _import(tmp_path, queries, views=views)
    assert requests(log, START)["q1"][1] == 3 * DAY
    assert [row[:2] for row in browses(log, START)] == [("s5", 100.0), ("s6", 2 * DAY)]


def test_sessions_of_a_user_on_one_day_do_not_run_into_each_other(tmp_path):
    views = [
        _view(10, 5, 11, user=8),
        _view(9, 5, 11, user=8),
        _view(9, 5, 11, user=9),
        _view(11, 5, 11, user=8, day="2016-05-10"),
        _view(12, 5, 11),
    ]
    log, _ = _import(tmp_path, views=views)
    assert browses(log, START) == [
        ("u8", 7205.0, "11", None),
        ("u8", 5.0, "11", None),
        ("u9", 5.0, "11", None),
        ("u8", DAY + 5, "11", None),
        ("s12", 5.0, "11", None),
    ]


def test_titles_are_the_hashed_words_and_products_without_a_row_have_none(tmp_path):
    log, read = _import(
        tmp_path,
        queries=[_query(1, 5, 0, "11,14")],
        views=[_view(5, 3, 15)],
        products=["11;10;5,600,7", "12;9;", "13;9;NA"],
        categories=["12;8", "11;3", "11;4", "77;1", "13;NA"],
    )
    assert documents(log) == {
        "11": ("5 600 7", "3", None),
        "12": ("", "8", None),
        "13": ("", None, None),
        "14": ("", None, None),
        "15": ("", None, None),
    }
    assert read["(products without a row)"] == {"document with an empty title": 2}
    assert read["product-categories.csv"] == {
        "category of a document": 3,
        "another category of its product": 1,
        "of no product": 1,
    }


def test_rows_that_cannot_be_mapped_are_quarantined(tmp_path):
    queries = [
        _query("x", 5, 0, "11"),
        _query(2, "s-5", 0, "11"),
        _query(3, 5, "soon", "11"),
        _query(4, 5, 400 * DAY, "11"),
        _query(5, 5, 0, "11", day="2016-13-01"),
        _query(6, 5, 0, "11", words="shoes"),
        _query(7, 5, 0, "11,x"),
        _query(8, 5, 0, "11", test="?"),
        _query(9, 5, 0, "11,12"),
        _query(10, 5, 50, "11", words="5"),
        _query(10, 5, 60, "11", words="6"),
        "11;5",
    ]
    clicks = ["9;1;13", "7;1;11", "99;1;11", "9;soon;11", "9;1;x", "10;1;11", "9;700;12"]
    views = [_view("", 1, 11), _view(5, 1, "x"), _view(5, 1, 11, day="9 May"), _view(5, 1, 11)]
    log, read = _import(tmp_path, queries, clicks, views, products=[";1;2"])
    assert quarantine(log) == [
        ("products.csv", 1, "item-id", ""),
        ("train-clicks.csv", 1, "click-item", "2 digits"),
        ("train-clicks.csv", 2, "click-query", "1 digit"),
        ("train-clicks.csv", 3, "click-query", "2 digits"),
        ("train-clicks.csv", 4, "timeframe", "4 characters"),
        ("train-clicks.csv", 5, "item-id", "1 character"),
        ("train-clicks.csv", 6, "click-query", "2 digits"),
        ("train-item-views.csv", 1, "session-id", ""),
        ("train-item-views.csv", 2, "item-id", "1 character"),
        ("train-item-views.csv", 3, "eventdate", "5 characters"),
        ("train-queries.csv", 1, "query-id", "1 character"),
        ("train-queries.csv", 2, "session-id", ""),
        ("train-queries.csv", 3, "timeframe", "4 characters"),
        ("train-queries.csv", 4, "timeframe", "11 digits"),
        ("train-queries.csv", 5, "eventdate", "10 characters"),
        ("train-queries.csv", 6, "search-string", "5 characters"),
        ("train-queries.csv", 7, "item-id", "4 characters"),
        ("train-queries.csv", 8, "is-test", "1 character"),
        ("train-queries.csv", 11, "request-id-twice", "3 characters"),
        ("train-queries.csv", 12, "columns", ""),
    ]
    assert requests(log, START) == {
        "q9": ("s5", 0.0, "", _shown("11", ("12", 0.7))),
        "q10": ("s5", 50.0, "5", _shown("11")),
    }
    assert read["train-queries.csv"]["quarantined"] == 8
    assert read["train-clicks.csv"] == {"click": 1, "quarantined": 6}


def test_a_timeframe_of_any_size_is_reported(tmp_path):
    least = str(-(2**63))
    queries = [_query(1, 5, least, "11"), _query(2, 5, 0, "11")]
    log, _ = _import(tmp_path, queries, [f"2;{least};11", "2;50;11"])
    assert list(requests(log, START)) == ["q2"]
    assert [listed[:3] for listed in quarantine(log)] == [
        ("train-clicks.csv", 1, "timeframe"),
        ("train-queries.csv", 1, "timeframe"),
    ]


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    queries = [_query(1, 700100200, 0, "11"), _query(2, 5, 0, "x", user=700100300)]
    views = [_view(6, 1, 12, user=700100300), _view("x700100200", 1, 12)]
    settings = LogSettings(quarantine_share=1.0)
    log, _ = _import(tmp_path, queries, views=views, settings=settings)
    assert len(browses(log, START)) == 1 and len(quarantine(log)) == 2
    assert_holds_no_raw_user(log, {"700100200", "700100300"})
