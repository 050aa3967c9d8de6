import datetime

from data_pipeline.importers import kuaisar
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

START = datetime.datetime(2023, 5, 22, 16, 0, tzinfo=datetime.UTC)
START_MS = 1_684_771_200_000
"""Milliseconds of START, which is midnight in Beijing."""

ITEMS = "item_id,caption,author_id,item_type,upload_time,upload_type,first_level_category_name_en"
SEARCHED = (
    "user_id,search_session_id,search_session_time,search_session_timestamp,keyword,"
    "search_source,item_id,click_cnt,item_type"
)
RECOMMENDED = (
    "user_id,item_id,playing_time,duration_ms,time,timestamp,click,forward,like,follow,search,"
    "search_item_related"
)


def _searched(user, session, second, words, item, clicks=0):
    at = second if isinstance(second, str) else f"{START_MS + round(second * 1000)}.0"
    return f'{user},{session},text,{at},"{words}",USER_INPUT,{item},{clicks},VIDEO'


def _recommended(user, second, item, click=0, playing=""):
    at = second if isinstance(second, str) else START_MS + round(second * 1000)
    return f"{user},{item},{playing},9000.0,text,{at},{click},0,0,0,0,0"


def _import(tmp_path, searched=(), recommended=(), items=(), **settings):
    files = {
        "item_features.csv": [ITEMS, *items],
        "src_inter.csv": [SEARCHED, *searched],
        "rec_inter.csv": [RECOMMENDED, *recommended],
    }
    folder = write_files(tmp_path / "in", files)
    log, read = import_folder(kuaisar, folder, **settings)
    assert_adds_up(log, {name: len(lines) - 1 for name, lines in files.items()})
    return log, read


def _shown(*items):
    """Places of a list: an item, or (item, dwell) of a clicked one."""
    return [
        (item[0], True, None, item[1]) if isinstance(item, tuple) else (item, False, None, None)
        for item in items
    ]


def test_a_search_is_all_rows_of_its_session_in_their_order_wherever_they_stand(tmp_path):
    rows = [
        _searched(1, 7, 0.919, "[20, 34, 3]", 13),
        _searched(2, 8, 5, "[20]", 11, clicks=1),
        _searched(1, 7, 0.919, "[20, 34, 3]", 11, clicks=2),
        # The number of a session may be used again, by another user or at another time.
        _searched(3, 7, 0.919, "[20, 34, 3]", 11),
        _searched(1, 7, 60, "[4]", 11),
        _searched(1, 7, 0.919, "[20, 34, 3]", 12),
    ]
    log, read = _import(tmp_path, searched=rows)
    assert requests(log, START) == {
        "s1": ("1", 0.919, "20 34 3", _shown("13", ("11", None), "12")),
        "s2": ("2", 5.0, "20", _shown(("11", None))),
        "s4": ("3", 0.919, "20 34 3", _shown("11")),
        "s5": ("1", 60.0, "4", _shown("11")),
    }
    assert read["src_inter.csv"] == {"clicked place of a list": 2, "place of a list": 4}
    assert browses(log, START) == []


def test_a_recommendation_is_the_list_sent_to_a_user_at_one_time(tmp_path):
    rows = [
        _recommended(1, 0, 11, click=1, playing="60792.0"),
        _recommended(1, 0, 12, playing="4000.0"),
        _recommended(2, 0, 12, click=1),
        _recommended(1, 0, 13, click=1, playing="0"),
        _recommended(1, 0.001, 14),
    ]
    log, _ = _import(tmp_path, recommended=rows)
    assert requests(log, START) == {
        "r1": ("1", 0.0, "", _shown(("11", 60.792), "12", ("13", 0.0))),
        "r3": ("2", 0.0, "", _shown(("12", None))),
        "r5": ("1", 0.001, "", _shown("14")),
    }


def test_a_repeated_item_is_listed_once_at_its_first_rank_with_its_click(tmp_path):
    searched = [
        _searched(1, 7, 0, "[3]", item, clicks) for item, clicks in [(11, 0), (12, 0), (11, 1)]
    ]
    recommended = [
        _recommended(1, 9, 12, click=1, playing="2000"),
        _recommended(1, 9, 11),
        _recommended(1, 9, 12, click=1, playing="5000"),
        _recommended(1, 9, 12, click=0, playing="8000"),
    ]
    log, read = _import(tmp_path, searched, recommended)
    assert requests(log, START) == {
        "s1": ("1", 0.0, "3", _shown(("11", None), "12")),
        "r1": ("1", 9.0, "", _shown(("12", 5.0), "11")),
    }
    assert read["src_inter.csv"]["again in its list"] == 1
    assert read["rec_inter.csv"]["again in its list"] == 2


def test_titles_are_the_hashed_words_and_items_without_features_have_none(tmp_path):
    items = [
        '11,"[2077636, 5]",4,NORMAL,2023-05-23,LongImport,Funny',
        "12,[7],0,NORMAL,1970-01-01,UNKNOWN,empty",
        "13,[],0,NORMAL,,UNKNOWN,",
    ]
    searched = [_searched(1, 7, 0, "[5]", item) for item in (99, 11, 98)]
    recommended = [_recommended(1, 5, item) for item in (97, 99, 12)]
    log, read = _import(tmp_path, searched, recommended, items)
    assert documents(log) == {
        "11": ("2077636 5", "Funny", START),
        "12": ("7", None, None),
        "13": ("", None, None),
        "99": ("", None, None),
        "98": ("", None, None),
        "97": ("", None, None),
    }
    assert read["(items without features)"] == {"document with an empty title": 3}
    assert read["item_features.csv"] == {"document": 3}


def test_a_row_that_cannot_be_read_is_quarantined_with_the_other_rows_of_its_list(tmp_path):
    searched = [
        _searched("", 1, 0, "[3]", 11),
        _searched(1, "", 0, "[3]", 11),
        _searched(1, 2, "noon", "[3]", 11),
        _searched(1, 3, 9, "[3]", 11),
        _searched(1, 4, 0, "[]", 11),
        _searched(1, 5, 0, "[a b]", 11),
        _searched(1, 6, 0, "[3]", 11),
        _searched(1, 6, 0, "[3]", "x"),
        _searched(1, 6, 0, "[3]", 12, clicks="-1"),
        _searched(1, 7, 0, "[3]", 12),
        _searched(1, 8, "1684771200", "[3]", 12),
        "1,9,text",
    ]
    recommended = [
        _recommended(1, 0, 11, click="yes"),
        _recommended(1, 1, 11, playing="-5"),
        _recommended(1, 1, 12),
        _recommended(1, 2, 12, playing="inf"),
        _recommended(1, "nan", 12),
        _recommended(1, 4, 12),
    ]
    log, read = _import(tmp_path, searched, recommended, ["x,[3],0,NORMAL,,,"])
    assert quarantine(log) == [
        ("item_features.csv", 1, "item-id", "1 character"),
        ("rec_inter.csv", 1, "click", "3 characters"),
        ("rec_inter.csv", 2, "playing-time", "2 characters"),
        ("rec_inter.csv", 3, "list-broken", ""),
        ("rec_inter.csv", 4, "playing-time", "3 characters"),
        ("rec_inter.csv", 5, "timestamp", "3 characters"),
        ("src_inter.csv", 1, "user-id-empty", ""),
        ("src_inter.csv", 2, "session-id-empty", ""),
        ("src_inter.csv", 3, "timestamp", "4 characters"),
        ("src_inter.csv", 5, "keyword", "2 characters"),
        ("src_inter.csv", 6, "keyword", "5 characters"),
        ("src_inter.csv", 7, "list-broken", ""),
        ("src_inter.csv", 8, "item-id", "1 character"),
        ("src_inter.csv", 9, "click", "2 characters"),
        ("src_inter.csv", 11, "timestamp", "10 digits"),
        ("src_inter.csv", 12, "columns", ""),
    ]
    assert list(requests(log, START)) == ["s4", "s10", "r6"]
    assert read["src_inter.csv"]["quarantined"] == 9
    assert read["src_inter.csv"]["unreadable line"] == 1


def test_an_item_with_two_rows_keeps_the_first(tmp_path):
    items = ["11,[5],0,NORMAL,,,", "11,[6],0,NORMAL,,,"]
    log, _ = _import(tmp_path, [_searched(1, 7, 0, "[5]", 11)], items=items)
    assert documents(log) == {"11": ("5", None, None)}
    assert quarantine(log) == [("item_features.csv", 2, "doc-id-twice", "2 digits")]


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    searched = [_searched(700100200, 7, 0, "[5]", 11, 1), _searched(700100200, 8, 0, "[]", 11)]
    recommended = [_recommended(700100300, 0, 11, click="x"), _recommended(700100300, 5, 12)]
    settings = LogSettings(quarantine_share=1.0)
    log, _ = _import(tmp_path, searched, recommended, settings=settings)
    assert len(requests(log, START)) == 2 and len(quarantine(log)) == 2
    assert_holds_no_raw_user(log, {"700100200", "700100300"})
