import datetime
import pathlib
import tempfile

import hypothesis
import pytest
from hypothesis import strategies as st

from data_pipeline.importers import mind
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers import importing
from tests.data_pipeline.importers.importing import (
    DATA,
    PLAIN,
    assert_adds_up,
    assert_holds_no_raw_user,
    browses,
    documents,
    import_folder,
    quarantine,
    requests,
    write_files,
)

NOON = datetime.datetime(2019, 11, 12, 12, tzinfo=datetime.UTC)
MINUTE, HOUR = 60, 3600


def _news(number, title="A title", category="news", abstract="An abstract"):
    address, entities = f"https://news.example/{number}", '[{"Label": "A \\"B\\""}]'
    fields = (f"N{number}", category, "world", title, abstract, address, entities, "[]")
    return "\t".join(fields)


def _row(user, time, history, shown, impression=1):
    return f"{impression}\t{user}\t{time}\t{history}\t{shown}"


def _import(tmp_path, rows, news=None, settings=PLAIN):
    news = [_news(number) for number in range(1, 10)] if news is None else news
    folder = write_files(tmp_path / "in", {"news.tsv": news, "behaviors.tsv": rows})
    log, read = import_folder(mind, folder, settings)
    assert_adds_up(log, {"news.tsv": len(news), "behaviors.tsv": len(rows)})
    return log, read


def _shown(*places):
    """Places of a list: N<number>, or the number alone of a clicked one."""
    return [
        (f"N{place}", True, None, None) if isinstance(place, int) else (place, False, None, None)
        for place in places
    ]


def test_an_impression_is_a_recommendation_with_its_list_and_clicks_without_a_time(tmp_path):
    rows = [
        _row("U1", "11/12/2019 12:00:00 PM", "", "N3-0 N1-1 N2-0"),
        _row("U2", "11/12/2019 2:14:46 PM", "", "N1-1 N2-1", impression=9),
        _row("U1", "11/12/2019 12:00:01 AM", "", "N3-0"),
    ]
    log, read = _import(tmp_path, rows)
    assert requests(log, NOON) == {
        "m1": ("U1", 0.0, "", _shown("N3", 1, "N2")),
        "m2": ("U2", 2 * HOUR + 14 * MINUTE + 46, "", _shown(1, 2)),
        "m3": ("U1", 1 - 12 * HOUR, "", _shown("N3")),
    }
    assert (log.report.searches, log.report.recommendations) == (0, 3)
    assert log.source["relevance"] == "click"
    assert read["behaviors.tsv"] == {"request": 3}
    assert read["histories of requests"] == {"empty": 3}
    assert browses(log, NOON) == []


def test_a_history_is_browses_in_sessions_of_five_before_the_first_impression(tmp_path):
    history = "N1 N2 N3 N4 N5 N6 N7"
    # The first impression by time is the second row of the file.
    rows = [
        _row("U1", "11/13/2019 12:00:00 PM", history, "N1-1 N2-0"),
        _row("U1", "11/12/2019 12:00:00 PM", history, "N3-1 N2-0"),
        _row("U2", "11/12/2019 12:00:00 PM", "N1 N1", "N3-1 N2-0"),
    ]
    log, read = _import(tmp_path, rows)
    assert sorted(browses(log, NOON)) == [
        ("U1", -2 * HOUR - MINUTE, "N1", None),
        ("U1", -2 * HOUR, "N2", None),
        ("U1", -HOUR - 4 * MINUTE, "N3", None),
        ("U1", -HOUR - 3 * MINUTE, "N4", None),
        ("U1", -HOUR - 2 * MINUTE, "N5", None),
        ("U1", -HOUR - MINUTE, "N6", None),
        ("U1", -HOUR, "N7", None),
        ("U2", -HOUR - MINUTE, "N1", None),
        ("U2", -HOUR, "N1", None),
    ]
    assert log.source["synthetic_browses"] == 9
    assert read["clicks of histories"] == {"browse at a synthetic time": 9}
    assert read["histories of requests"] == {"of the first request": 2, "adds nothing": 1}


def test_a_later_history_adds_what_is_new_between_the_impressions(tmp_path):
    rows = [
        _row("U1", "11/12/2019 12:00:00 PM", "N1 N2", "N3-1 N4-0"),
        # N3 was clicked in the first list, N1 is no longer named: only N5 and N6 are new.
        _row("U1", "11/12/2019 1:00:00 PM", "N2 N5 N3 N6 N5", "N4-1 N5-0"),
        _row("U1", "11/12/2019 2:00:00 PM", "N6 N4 N1", "N7-1 N5-0"),
        # The click of the row itself is not yet known to its history.
        _row("U1", "11/12/2019 3:00:00 PM", "N8", "N8-1 N5-0"),
        _row("U1", "11/12/2019 4:00:00 PM", "", "N4-1 N5-0"),
        _row("U2", "11/12/2019 4:00:00 PM", "", "N4-1 N5-0"),
        _row("U2", "11/12/2019 4:00:00 PM", "N9", "N4-1 N5-0"),
    ]
    log, read = _import(tmp_path, rows)
    assert sorted(browses(log, NOON)) == [
        ("U1", -HOUR - MINUTE, "N1", None),
        ("U1", -HOUR, "N2", None),
        ("U1", 20 * MINUTE, "N5", None),
        ("U1", 40 * MINUTE, "N6", None),
        ("U1", 2 * HOUR + 30 * MINUTE, "N8", None),
        ("U2", 4 * HOUR, "N9", None),
    ]
    assert list(requests(log, NOON)) == [f"m{number}" for number in range(1, 8)]
    assert quarantine(log) == []
    assert read["histories of requests"] == {
        "adds documents": 3,
        "adds nothing": 1,
        "empty": 2,
        "of the first request": 1,
    }
    assert log.source["synthetic_browses"] == 6


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(st.data())
def test_no_impression_is_lost_and_no_document_known_before_it_is_read(data):
    """Histories may roll, grow, shrink or contradict each other."""
    news = st.integers(1, 9).map("N{}".format)
    rows = [
        _row(
            data.draw(st.sampled_from(["U1", "U2"])),
            f"11/12/2019 1:{data.draw(st.integers(0, 59)):02}:00 PM",
            " ".join(data.draw(st.lists(news, max_size=4))),
            " ".join(f"{doc}-1" for doc in data.draw(st.sets(news, min_size=1, max_size=3))),
        )
        for _ in range(data.draw(st.integers(1, 8)))
    ]
    with tempfile.TemporaryDirectory() as folder:
        log, _ = _import(pathlib.Path(folder), rows)
        found, read = requests(log, NOON), browses(log, NOON)
        assert len(found) == len(rows) and quarantine(log) == []
    order = sorted((found[f"m{number}"][1], number) for number in range(1, len(rows) + 1))
    for user in ("U1", "U2"):
        known, before = set(), None
        for time, number in order:
            if found[f"m{number}"][0] != user:
                continue
            history = set(rows[number - 1].split("\t")[3].split())
            new = {
                doc
                for who, at, doc, _ in read
                if who == user and (before is None or at >= before) and at <= time
            }
            if before != time:
                assert history - known <= new
            known |= history | {doc for doc, *_ in found[f"m{number}"][3]}
            before = time


HEADERS = {
    "news.tsv": "NewsID\tcategory\tSub category\ttitle\tabstract\tURL\ttitle_entities\tx",
    "behaviors.tsv": "impression_id\tuser_id\ttime\thistory\timpressions",
}


@pytest.mark.parametrize("headed", [(), ("news.tsv",), tuple(HEADERS)])
def test_a_header_of_a_file_without_header_is_no_row(tmp_path, headed):
    files = {
        # A row that holds a name of a column is no header.
        "news.tsv": [_news(1, "title", "category"), _news(2)],
        "behaviors.tsv": [_row("U1", "11/12/2019 12:00:00 PM", "", "N1-1 N2-0"), "1\tU1"],
    }
    for name in headed:
        files[name].insert(0, HEADERS[name])
    folder = write_files(tmp_path / "in", files)
    log, _ = import_folder(mind, folder)
    assert_adds_up(log, {"news.tsv": 2, "behaviors.tsv": 2})
    assert documents(log)["N1"] == ("title", "category", None)
    assert list(requests(log, NOON)) == ["m1"]
    assert quarantine(log) == [("behaviors.tsv", 2, "columns", "")]


def test_rows_that_cannot_be_read_are_quarantined(tmp_path):
    good = "11/12/2019 12:00:00 PM"
    rows = [
        _row("", good, "", "N1-1 N2-0"),
        _row("U1", "2019-11-12 12:00:00", "", "N1-1 N2-0"),
        _row("U1", "13/12/2019 12:00:00 PM", "", "N1-1 N2-0"),
        # As in the test part of the challenge: no fault.
        _row("U1", good, "", "N1 N2"),
        _row("U1", good, "", ""),
        _row("U1", good, "", "N1-1 N2-2"),
        f"1\tU1\t{good}",
        _row("U1", good, "N9 N77", "N1-1 N2-0"),
        _row("U1", good, "N9 N77", "N1-1 N88-0"),
        _row("U1", good, "N9 N77", "N1-1 N2-0 N1-0"),
    ]
    news = [*(_news(number) for number in range(1, 10)), _news("")[1:], "N10\tnews"]
    log, read = _import(tmp_path, rows, news)
    assert quarantine(log) == [
        ("behaviors.tsv", 1, "user-id-empty", ""),
        ("behaviors.tsv", 2, "time", "19 characters"),
        ("behaviors.tsv", 3, "time", "22 characters"),
        ("behaviors.tsv", 5, "labels", ""),
        ("behaviors.tsv", 6, "labels", "9 characters"),
        ("behaviors.tsv", 7, "columns", ""),
        ("behaviors.tsv", 8, "doc-unknown", "3 characters"),
        ("behaviors.tsv", 9, "result-unknown", "3 characters"),
        ("behaviors.tsv", 10, "result-twice", "2 characters"),
        ("news.tsv", 10, "news-id-empty", ""),
        ("news.tsv", 11, "columns", ""),
    ]
    counted = {"quarantined": 5, "request": 3, "unlabeled request": 1, "unreadable line": 1}
    assert read["behaviors.tsv"] == counted
    assert read["news.tsv"] == {"document": 9, "quarantined": 1, "unreadable line": 1}


def test_titles_may_hold_quotes_and_parts_laid_end_to_end_repeat_news(tmp_path):
    news = [
        _news(1, 'He said "no', "sports"),
        _news(2, '"Quoted"', ""),
        _news(3, "", abstract=""),
        _news(1, "Told again"),
    ]
    rows = [
        _row("U1", "11/12/2019 12:00:00 PM", "", "N1-1 N2-0"),
        _row("U1", "11/15/2019 12:00:00 PM", "", "N2-1 N3-0"),
    ]
    log, read = _import(tmp_path, rows, news)
    assert documents(log) == {
        "N1": ('He said "no', "sports", None),
        "N2": ('"Quoted"', None, None),
        "N3": ("", "news", None),
    }
    assert read["news.tsv"] == {"document": 3, "of an earlier row": 1}
    assert list(requests(log, NOON)) == ["m1", "m2"]


def test_a_folder_without_its_files_is_an_error(tmp_path):
    (tmp_path / "news.tsv").write_text(_news(1))
    with pytest.raises(LogError, match=r"a mind folder must hold behaviors\.tsv"):
        mind.read(tmp_path)


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    rows = [
        _row("U70010", "11/12/2019 12:00:00 PM", "N1", "N1-1 N2-0"),
        _row("U70010", "noon", "N1", "N1-1 N2-0"),
        _row("U70010", "11/12/2019 1:00:00 PM", "N2", "N1-1 N2-0"),
    ]
    log, _ = _import(tmp_path, rows, settings=LogSettings(quarantine_share=1.0))
    assert len(requests(log, NOON)) == 2 and len(quarantine(log)) == 1
    assert_holds_no_raw_user(log, {"U70010"})


SAMPLE = DATA / "mind_sample"
needs_real_rows = importing.needs_real_rows(SAMPLE)


@needs_real_rows
def test_every_real_row_and_click_is_accounted_for(tmp_path):
    news = (SAMPLE / "news.tsv").read_text(encoding="utf-8").splitlines()
    rows = (SAMPLE / "behaviors.tsv").read_text(encoding="utf-8").splitlines()
    fields = [row.split("\t") for row in rows]
    named = {place[:-2] for row in fields for place in row[4].split()}
    named |= {click for row in fields for click in row[3].split()}
    known = {row.split("\t")[0] for row in news}
    # The sample has few news of its impressions; the others are added without a title.
    missing = sorted(named - known)
    log, read = _import(tmp_path, rows, [*news, *(_news(name[1:], "") for name in missing)])
    assert quarantine(log) == []
    assert read["behaviors.tsv"] == {"request": 200}
    assert log.report.tables["documents"].kept == 2_000 + len(missing)
    assert log.report.users == len({row[1] for row in fields}) == 197
    first = {row[1]: row[3].split() for row in reversed(fields)}
    assert log.source["synthetic_browses"] == sum(map(len, first.values()))
    assert log.report.clicks == sum(row[4].count("-1") for row in fields)
    assert log.report.results == sum(len(row[4].split()) for row in fields)
    titles = {doc: title for doc, (title, _, _) in documents(log).items()}
    assert all(titles[row.split("\t")[0]] == row.split("\t")[3] for row in news)
