import datetime

import pytest

from data_pipeline.importers import trec_session
from data_pipeline.log.log_folder import write_log
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers.importing import (
    PLAIN,
    assert_adds_up,
    assert_holds_no_raw_user,
    documents,
    import_folder,
    quarantine,
    requests,
    write_files,
)

START = datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC)
DAY = 24 * 3600


def _result(rank, doc, title="A title"):
    inner = f"<clueweb12id>{doc}</clueweb12id>" if doc else ""
    return (
        f'<result rank="{rank}"><url>http://{rank}.example/</url>{inner}<title>{title}</title>'
        "<snippet>Not read</snippet></result>"
    )


def _click(what, start, end, num=1):
    return f'<click num="{num}" starttime="{start}" endtime="{end}">{what}</click>'


def _interaction(start, query, results, clicks=""):
    clicked = f"<clicked>{clicks}</clicked>" if clicks else ""
    return (
        f'<interaction num="1" starttime="{start}" type="reformulate"><query>{query}</query>'
        f"<results>{''.join(results)}</results>{clicked}</interaction>"
    )


def _session(num, *queries, user=""):
    attribute = f' userid="{user}"' if user else ""
    topic = '<topic num="1"><desc>Not read</desc></topic>'
    last = '<currentquery starttime="99.5"><query>the last</query></currentquery>'
    return (
        f'<session num="{num}" starttime="10:10:23.5"{attribute}>{topic}{"".join(queries)}{last}'
        "</session>"
    )


def _write(tmp_path, sessions, year=2013):
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<sessiontrack{year}>", *sessions]
    name = f"sessiontrack{year}.xml"
    return name, write_files(tmp_path / "in", {name: [*lines, f"</sessiontrack{year}>"]})


def _import(tmp_path, sessions, rows, settings=PLAIN, year=2013):
    name, folder = _write(tmp_path, sessions, year)
    log, read = import_folder(trec_session, folder, settings)
    assert_adds_up(log, {name: rows})
    return log, read


def test_an_interaction_is_a_search_with_clicks_and_dwell(tmp_path):
    clicks = [
        _click("<rank>2</rank>", "15.5", "75.5"),
        _click("<docno>c1</docno>", "20", "NA", 2),
        _click("<rank>2</rank>", "80", "81", 3),
        _click("<rank>3</rank>", "NA", "9", 4),
    ]
    shown = [_result(2, "c2", "Caf&amp;eacute; &amp; bar"), _result(1, "c1"), _result(3, "")]
    sessions = [
        _session(9, _interaction("0.25", "a  later one", [_result(1, "c1", "Again")])),
        _session(
            3,
            _interaction("10.5", "hotel &amp; bar", shown, "".join(clicks)),
            _interaction("60", "hotel", []),
        ),
    ]
    log, read = _import(tmp_path, sessions, 5)
    assert requests(log, START) == {
        "t1": ("s9", DAY + 0.25, "a later one", [("c1", False, None, None)]),
        "t3": (
            "s3",
            10.5,
            "hotel & bar",
            [
                ("c1", True, 20.0, None),
                ("c2", True, 15.5, 60.0),
                ("http://3.example/", True, None, None),
            ],
        ),
        "t4": ("s3", 60.0, "hotel", []),
    }
    assert documents(log)["c2"][0] == "Caf&eacute; & bar"
    assert documents(log)["c1"][0] == "Again"
    assert read["sessiontrack2013.xml"] == {"left out, a last query without a list": 2, "search": 3}
    assert read["clicks of searches"] == {"click": 3, "clicked again": 1}
    assert quarantine(log) == []


def test_sessions_of_one_user_follow_each_other(tmp_path):
    sessions = [
        _session(num, _interaction("1", "q", [_result(1, "c1")]), user=user)
        for num, user in ((1, "u1"), (2, "u2"), (3, "u1"))
    ]
    log, _ = _import(tmp_path, sessions, 6, year=2014)
    found = [(user, time) for user, time, _, _ in requests(log, START).values()]
    assert found == [("u1", 1.0), ("u2", DAY + 1.0), ("u1", 2 * DAY + 1.0)]


def test_queries_that_cannot_be_read_are_quarantined(tmp_path):
    good = [_result(1, "c1")]
    queries = [
        _interaction("1", "q", good),
        _interaction("NA", "q", good),
        _interaction("-1", "q", good),
        _interaction("86401", "q", good),
        _interaction("nan", "q", good),
        _interaction("2", " ", good),
        _interaction("3", "q", ["<result rank='1'><title>no id</title></result>"]),
        _interaction("4", "q", good, _click("<rank>2</rank>", "5", "6")),
    ]
    log, read = _import(tmp_path, [_session(1, *queries), _session("x", queries[0])], 11)
    assert [entry[1:3] for entry in quarantine(log)] == [
        *((row, "time") for row in (2, 3, 4, 5)),
        (6, "query-empty"),
        (7, "result-id"),
        (8, "click-result"),
        (10, "session-num"),
        (11, "session-num"),
    ]
    assert read["sessiontrack2013.xml"]["quarantined"] == 9
    assert list(requests(log, START)) == ["t1"]


@pytest.mark.parametrize("keep", [0, 1, 100, 400])
def test_a_file_that_is_cut_is_an_error_and_leaves_nothing(tmp_path, keep):
    name, folder = _write(tmp_path, [_session(1, _interaction("1", "q", [_result(1, "c1")]))])
    (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    source = trec_session.read(folder)
    with pytest.raises(LogError, match=r"sessiontrack2013\.xml: the file must be complete XML"):
        write_log(tmp_path / "log", source.batches, PLAIN, source.description)
    assert not (tmp_path / "log").exists()


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    queries = [_interaction(time, "q", [_result(1, "c1")]) for time in ("1", "NA")]
    session = _session(1, *queries, user="user70010")
    log, _ = _import(tmp_path, [session], 3, LogSettings(quarantine_share=1.0))
    assert len(requests(log, START)) == 1 and len(quarantine(log)) == 1
    assert_holds_no_raw_user(log, {"user70010"})
