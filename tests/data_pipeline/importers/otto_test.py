import datetime
import json

import pytest

from data_pipeline.importers import otto
from data_pipeline.log.schema import LogError
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers.importing import (
    assert_adds_up,
    assert_holds_no_raw_user,
    browses,
    documents,
    import_folder,
    quarantine,
    write_files,
)

START = datetime.datetime(2022, 8, 1, tzinfo=datetime.UTC)
MILLISECONDS = int(START.timestamp()) * 1000


def _session(number, *events):
    """Events are (product, second, type)."""
    listed = [
        {"aid": aid, "ts": MILLISECONDS + round(second * 1000), "type": kind}
        for aid, second, kind in events
    ]
    return json.dumps({"session": number, "events": listed})


def _import(tmp_path, lines, rows, **settings):
    folder = write_files(tmp_path / "in", {"train.jsonl": lines})
    log, read = import_folder(otto, folder, LogSettings(quarantine_share=1.0, **settings))
    assert_adds_up(log, {"train.jsonl": rows})
    return log, read


def test_events_are_browses_and_carts_and_orders_count_as_satisfied(tmp_path):
    lines = [
        _session(11, (7, 0, "clicks"), (7, 2.5, "carts"), (8, 60, "orders")),
        _session(12, (9, 5, "clicks"), (9, 5, "carts"), (9, 5, "clicks"), (7, 6, "clicks")),
        _session(13),
    ]
    log, read = _import(tmp_path, [lines[0], "", *lines[1:]], 3, mask_users=False)
    assert browses(log, START) == [
        ("11", 0.0, "7", 0.0),
        ("11", 2.5, "7", None),
        ("11", 60.0, "8", None),
        ("12", 5.0, "9", None),
        ("12", 6.0, "7", 0.0),
    ]
    assert documents(log) == {name: (name, None, None) for name in ("7", "8", "9")}
    assert read["train.jsonl"] == {"session": 3}
    assert read["events of sessions"] == {"at one time with another event on it": 2, "browse": 5}
    assert quarantine(log) == []


BROKEN = {
    "line": ["{", "[]", "7", '{"session": 1'],
    "session-id": ['{"events": []}', '{"session": "x", "events": []}', '{"session": -1}'],
    "events": [
        '{"session": 1}',
        '{"session": 1, "events": {}}',
        '{"session": 1, "events": [3]}',
        '{"session": 1, "events": [{"aid": 1, "ts": 1659304800025}]}',
        '{"session": 1, "events": [{"aid": 1.5, "ts": 1659304800025, "type": "clicks"}]}',
        '{"session": 1, "events": [{"aid": 1, "ts": "soon", "type": "clicks"}]}',
        '{"session": 1, "events": [{"aid": 1, "ts": 1659304800025, "type": "views"}]}',
    ],
}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_line_that_cannot_be_read_is_quarantined(tmp_path, rule):
    good = _session(70011, (7, 0, "clicks"))
    log, _ = _import(tmp_path, [good, *BROKEN[rule]], 1 + len(BROKEN[rule]), mask_users=False)
    assert [entry[:3] for entry in quarantine(log)] == [
        ("train.jsonl", row, rule) for row in range(2, 2 + len(BROKEN[rule]))
    ]
    assert len(browses(log, START)) == 1


def test_no_raw_user_id_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "a key of the test")
    lines = [_session(7001177, (7, 0, "clicks")), '{"session": 7001177, "events": [3]}']
    log, _ = _import(tmp_path, lines, 2)
    assert_holds_no_raw_user(log, {"7001177"})


def test_a_folder_without_the_file_is_an_error(tmp_path):
    with pytest.raises(LogError, match=r"an? otto folder must hold train\.jsonl"):
        otto.read(tmp_path)
