"""No raw user id, and no key, in anything the data side writes or prints."""

import itertools
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.common import flagtree
from data_pipeline.describe import DescribeSettings, describe
from data_pipeline.import_log import ImportSettings, import_log
from data_pipeline.log.log_folder import open_log
from data_pipeline.log.schema import LogError
from data_pipeline.log.user_ids import key_fingerprint, mask_user, read_key
from data_pipeline.preparation.checks import open_inputs
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import LogSettings, PrepareSettings
from data_pipeline.simulator.world_settings import SimulateSettings
from data_pipeline.truth import TruthSettings
from tests.byte_scan import found_in, written_below

KEY = "k3y-of-the-owner"
USERS = ("anna.7141@mail", "Zoë 用户 88214", "9911223344")
# Users that appear in faulty rows only.
FAULTY = ("bert#8252", "carl#9363", "dora#1474", "emil#2585", "5566778899")
# Users that appear in the place of another value.
SWAPPED = tuple(f"fritz#{number}" for number in range(3690, 3699))


def _search(number, user, minute, **others):
    shown = [
        {"doc_id": "a", "clicked": False},
        {
            "doc_id": "b",
            "clicked": True,
            "click_time": f"2024-01-0{number % 9 + 1}T12:{minute}:20Z",
        },
    ]
    row = {
        "request_id": f"r{number}",
        "user_id": user,
        "time": f"2024-01-0{number % 9 + 1}T12:{minute}:00Z",
        "query": "red shoes",
        "results": shown,
    }
    return json.dumps({**row, **others}, ensure_ascii=False)


@pytest.fixture(name="source")
def _source(tmp_path):
    """Files of three users, with every kind of faulty row that holds an id where one belongs."""
    folder = tmp_path / "in"
    folder.mkdir()
    documents = "".join(f"{doc},title of {doc}\n" for doc in "abcdefghijklmno")
    (folder / "documents.csv").write_text(f"doc_id,title\n{documents}")
    browses = [
        f"{user},{user},2024-01-0{day}T12:30:00Z,{doc}"
        for user, (day, doc) in itertools.product(USERS, enumerate("cde", 1))
    ]
    browses += [
        browses[0],
        f"x,{FAULTY[0]},2024-01-01T12:30:00Z,zz",
        f"x,{FAULTY[1]},2024-01-01T12:30:00Z,a,{FAULTY[1]}",
        f"x,{FAULTY[2]},noon,a",
        f"x,{FAULTY[3]}",
        f"x,c,2024-01-01T12:30:00Z,{SWAPPED[0]}",
        f"x,2024-01-01T12:30:00Z,{SWAPPED[1]},a",
        f"x,c,2024-01-01T12:30:00Z,{USERS[0]}",
    ]
    text = "".join(f"{line}\n" for line in ["account,uid,time,doc_id", *browses])
    (folder / "browses.csv").write_text(text, encoding="utf-8")
    requests = [_search(n, user, 10 + n) for n, user in enumerate(USERS * 2)]
    requests += [
        requests[0],
        _search(10, float(f"{FAULTY[4]}.5"), 50),
        _search(11, FAULTY[0], 51, query=None),
        _search(12, FAULTY[1], 52)[:-2],
        _search(13, FAULTY[2], 53, results=[{"doc_id": "zz", "clicked": False}]),
        json.dumps({"user_id": FAULTY[3]}),
        _search(14, "b", 54, results=[{"doc_id": SWAPPED[2], "clicked": False}]),
        _search(15, "b", 55, time=SWAPPED[3]),
        _search(16, "b", 56, request_id=SWAPPED[4], query=None),
        _search(17, "b", 57, results=SWAPPED[5]),
        _search(18, "b", 58, results=[{"doc_id": "a", "clicked": SWAPPED[6]}]),
        json.dumps({SWAPPED[7]: {"time": "2024-01-01T12:30:00Z"}}),
        f'{SWAPPED[8]} "user_id": "x"',
    ]
    (folder / "requests.jsonl").write_text("\n".join(requests) + "\n", encoding="utf-8")
    (tmp_path / "user.key").write_text(f"{KEY}\n")
    return folder


def _write_all(source, folder, log_settings, small_settings, capsys):
    """Imports, prepares and describes; returns what lies in `folder` and was printed."""
    settings = ImportSettings(
        input=str(source), output=str(folder / "log"), columns=("browses.user_id=uid",)
    )
    told = import_log(settings, log_settings)
    prepare(small_settings(folder / "log", folder / "dataset"))
    told += describe(folder / "dataset", folder / "page.html", "describe")
    printed = capsys.readouterr()
    return written_below(folder, told + printed.out + printed.err)


def test_nothing_that_is_written_or_printed_holds_a_raw_user_id(
    source, tmp_path, small_settings, capsys
):
    key = tmp_path / "user.key"
    settings = LogSettings(key_file=str(key), quarantine_share=1.0)
    written = _write_all(source, tmp_path / "out", settings, small_settings, capsys)
    assert found_in(written, (*USERS, *FAULTY, *SWAPPED)) == set()
    assert found_in(written, (KEY, str(key))) == set()
    # The key's fingerprint tells a serving client that it has the right key.
    known = (key_fingerprint(KEY.encode()),)
    assert {where for where, _ in found_in(written, known)} == {
        "log/log.json",
        "dataset/manifest.json",
    }
    # The scan saw the files in which the users stand, and the faulty rows.
    masked = tuple(mask_user(KEY.encode(), user) for user in USERS)
    places = ("log/requests.parquet", "log/browses.parquet", "dataset/targets.parquet")
    expected = {(f"{place}, unpacked", mask) for place in places for mask in masked}
    assert expected <= found_in(written, masked)
    tables = open_log(tmp_path / "out" / "log").report.tables
    assert tables["browses"].quarantined == 8 and tables["requests"].quarantined == 13


def test_logs_masked_with_different_keys_are_not_prepared_together(source, tmp_path):
    folders = []
    for name in ("first", "second"):
        (tmp_path / f"{name}.key").write_text(name)
        settings = ImportSettings(
            input=str(source), output=str(tmp_path / name), columns=("browses.user_id=uid",)
        )
        key = LogSettings(key_file=str(tmp_path / f"{name}.key"), quarantine_share=1.0)
        import_log(settings, key)
        folders.append(settings.output)
    assert open_log(folders[0]).key_fingerprint == key_fingerprint(b"first")
    assert len(open_inputs(PrepareSettings(log=(folders[0], folders[0])))) == 2
    with pytest.raises(
        ValueError, match="`log` must name logs whose users were masked with one key"
    ):
        open_inputs(PrepareSettings(log=tuple(folders)))


def test_without_masking_the_same_scan_finds_them(source, tmp_path, small_settings, capsys):
    settings = LogSettings(mask_users=False, quarantine_share=1.0)
    written = _write_all(source, tmp_path / "out", settings, small_settings, capsys)
    files = {where for where, _ in found_in(written, USERS)}
    assert {"log/requests.parquet", "log/browses.parquet, unpacked"} <= files
    assert {"dataset/targets.parquet", "dataset/targets.parquet, unpacked"} <= files
    assert found_in(written, (*FAULTY, *SWAPPED)) == set()


def test_a_refused_import_keeps_and_tells_no_raw_user_id(source, tmp_path):
    settings = ImportSettings(
        input=str(source), output=str(tmp_path / "out" / "log"), columns=("browses.user_id=uid",)
    )
    with pytest.raises(LogError) as refused:
        import_log(settings, LogSettings(key_file=str(tmp_path / "user.key")))
    written = written_below(tmp_path / "out", str(refused.value))
    assert "log.tmp/quarantine.parquet" in written
    assert found_in(written, (*USERS, *FAULTY, *SWAPPED, KEY)) == set()


@pytest.mark.parametrize("share", ["1", "0.01"])
def test_the_command_prints_no_raw_user_id(source, tmp_path, share):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "data_pipeline.import_log", f"--input={source}"),
            *(f"--output={tmp_path / 'out' / 'log'}", "--columns=browses.user_id=uid"),
            *(f"--key_file={tmp_path / 'user.key'}", f"--quarantine_share={share}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if share == "1" else 2), done.stderr
    assert "doc-unknown: 3" in done.stdout + done.stderr
    written = written_below(tmp_path / "out", done.stdout + done.stderr)
    assert found_in(written, (*USERS, *FAULTY, *SWAPPED, KEY)) == set()


USER_FIRST = {
    "browses.csv": f"{SWAPPED[0]},2024-01-01T12:30:00Z,a\n",
    "browses.jsonl": json.dumps({SWAPPED[0]: "2024-01-01T12:30:00Z"}),
    "browses.parquet": pa.table({SWAPPED[0]: ["a"], "time": ["x"]}),
}


@pytest.mark.parametrize("name", USER_FIRST)
def test_a_file_without_its_header_is_refused_without_a_word_of_its_first_row(tmp_path, name):
    (tmp_path / "documents.csv").write_text("doc_id,title\na,A title\n")
    if name.endswith(".parquet"):
        pq.write_table(USER_FIRST[name], tmp_path / name)
    else:
        (tmp_path / name).write_text(USER_FIRST[name])
    settings = ImportSettings(input=str(tmp_path), output=str(tmp_path / "out"))
    with pytest.raises(LogError, match=rf"{name}: .* must have the column `user_id`") as refused:
        import_log(settings, LogSettings(mask_users=False))
    assert SWAPPED[0] not in str(refused.value)


def test_a_number_that_does_not_fit_is_not_quoted(tmp_path):
    (tmp_path / "documents.csv").write_text("doc_id,title\na,A title\n")
    user = 2**60 + 7141
    row = {"user_id": ["a"], "time": pa.array([0], pa.timestamp("us")), "doc_id": ["a"]}
    pq.write_table(pa.table({**row, "dwell_seconds": [user]}), tmp_path / "browses.parquet")
    settings = ImportSettings(input=str(tmp_path), output=str(tmp_path / "out"))
    with pytest.raises(LogError, match="`dwell_seconds` must fit double") as refused:
        import_log(settings, LogSettings(mask_users=False))
    assert str(user) not in str(refused.value)


def test_the_only_flag_about_a_key_names_a_file():
    trees = (
        DescribeSettings,
        ImportSettings,
        LogSettings,
        PrepareSettings,
        SimulateSettings,
        TruthSettings,
    )
    names = {name for tree in trees for name, _, _ in flagtree.leaves(tree)}
    secret = {name for name in names if any(part in name for part in ("key", "secret", "salt"))}
    assert secret == {"key_file"}


def test_a_key_given_in_place_of_its_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("USER_TF_USER_KEY", "another key")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="`key_file` must be a file"):
        read_key(KEY)
