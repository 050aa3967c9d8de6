import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.log_writer import ROWS_AT_ONCE, LogWriter
from data_pipeline.log.quarantine import Rule, quarantine_rows
from data_pipeline.log.raw_rows import RawBatch, Rejected
from data_pipeline.log.schema import BROWSES, DOCUMENTS, QUARANTINE, REQUESTS, SCHEMAS, LogError
from data_pipeline.log.user_ids import mask_user
from data_pipeline.settings import LogSettings

NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
PLAIN = LogSettings(mask_users=False, quarantine_share=1.0)


def _at(minute: int) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minute)


def _documents(*ids: str, file="d.csv") -> RawBatch:
    rows = [{"doc_id": doc, "title": f"title {doc}"} for doc in ids]
    return RawBatch("documents", pa.Table.from_pylist(rows, schema=DOCUMENTS), file)


def _request(number: int, user="anna", query="q", docs=("a", "b"), clicked=None, **item):
    results = [{"doc_id": doc, "clicked": doc == clicked} for doc in docs]
    for place in results:
        if place["clicked"]:
            place.update(item)
    return {
        "request_id": f"r{number}",
        "user_id": user,
        "time": _at(number),
        "query": query,
        "results": results,
    }


def _requests(*rows, file="r.csv", **where) -> RawBatch:
    return RawBatch("requests", pa.Table.from_pylist(list(rows), schema=REQUESTS), file, **where)


def _browses(*rows, file="b.csv", **where) -> RawBatch:
    named = [dict(zip(BROWSES.names, row, strict=False)) for row in rows]
    return RawBatch("browses", pa.Table.from_pylist(named, schema=BROWSES), file, **where)


def _quarantine(folder):
    return pq.read_table(folder / "quarantine.parquet").to_pylist()


def test_a_log_holds_the_canonical_tables_in_the_order_given(tmp_path):
    batches = [
        _documents("b", "a"),
        _requests(_request(2, clicked="b", click_time=_at(3), dwell_seconds=40.0)),
        _browses(("bert", _at(9), "a", None)),
        _requests(_request(1, query="")),
    ]
    write_log(tmp_path / "log", batches, PLAIN)
    log = open_log(tmp_path / "log")
    for table, schema in {**SCHEMAS, "quarantine": QUARANTINE}.items():
        assert pq.read_schema(getattr(log, table)) == schema
    assert pq.read_table(log.documents)["doc_id"].to_pylist() == ["b", "a"]
    requests = pq.read_table(log.requests).to_pylist()
    assert [row["request_id"] for row in requests] == ["r2", "r1"]
    assert requests[0]["results"][1] == {
        "doc_id": "b",
        "clicked": True,
        "click_time": _at(3),
        "dwell_seconds": 40.0,
    }
    assert not (tmp_path / "log.tmp").exists()


def test_the_report_counts_what_the_log_holds(tmp_path):
    rows = [
        _request(1, clicked="a", click_time=_at(2), dwell_seconds=3.0),
        _request(2, clicked="b"),
        _request(3, user="bert", query=""),
        _request(4, query="nothing", docs=()),
    ]
    batches = [
        _documents("a", "b"),
        _requests(*rows),
        _browses(("carl", _at(60), "a"), ("carl", _at(61), "a", 1.0)),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN, {"name": "test"})
    assert (report.users, report.searches, report.recommendations) == (3, 3, 1)
    assert (report.first_time, report.last_time) == ("2024-01-01T12:01:00Z", "2024-01-01T13:01:00Z")
    assert (report.results, report.clicks, report.lists_without_click) == (6, 2, 2)
    assert (report.clicks_without_time, report.clicks_without_dwell) == (1, 1)
    assert report.browses_without_dwell == 1
    opened = open_log(tmp_path / "log")
    assert opened.report == report and opened.source == {"name": "test"}
    assert opened.settings == PLAIN
    assert "3 users, 2024-01-01T12:01:00Z to" in report.summary()


def test_rejected_rows_are_told_with_file_row_rule_value_and_message(tmp_path):
    batches = [
        _documents("a", "b"),
        _requests(_request(1), _request(2, docs=("a", "zz")), first_row=10, file="part-2.csv"),
        _browses(("anna", _at(1), "a", -1.0), ("anna", _at(1), "a")),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    first, second = _quarantine(tmp_path / "log")
    assert (first["table"], first["file"], first["row"]) == ("requests", "part-2.csv", 11)
    assert (first["rule"], first["value"]) == ("result-unknown", "2 characters")
    assert "Fix: add the document" in first["message"]
    assert (second["table"], second["row"], second["rule"]) == ("browses", 1, "dwell-range")
    assert report.tables["requests"].rules == {"result-unknown": 1}


def test_kept_and_quarantined_rows_together_are_the_rows_read(tmp_path):
    rule = Rule("odd", "A row must be even. Fix: correct it.")
    batches = [
        _documents("a", "b", "a", ""),
        Rejected("requests", quarantine_rows("requests", "r.csv", [(7, rule, "x")])),
        Rejected("raw", quarantine_rows("raw", "r.csv", [(3, rule, "x")]), read=50),
        _requests(_request(1), _request(1), _request(2, user="")),
        _browses(("anna", _at(1), "a"), ("anna", _at(1), "a"), ("anna", _at(2), "zz")),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    counts = {name: (t.read, t.kept, t.quarantined) for name, t in report.tables.items()}
    assert counts == {
        "documents": (4, 2, 2),
        "requests": (4, 1, 3),
        "browses": (3, 1, 2),
        "raw": (50, 49, 1),
    }
    for table in SCHEMAS:
        rows = pq.read_metadata(tmp_path / "log" / f"{table}.parquet").num_rows
        assert rows == report.tables[table].kept
    assert len(_quarantine(tmp_path / "log")) == 8


def test_a_duplicate_is_found_over_files_and_blocks_and_the_first_stays(tmp_path):
    many = ROWS_AT_ONCE + 3
    times = pa.array(range(many), pa.int64()).cast(pa.timestamp("s"))
    shifted = pa.compute.add(times, pa.scalar(1_700_000_000, pa.duration("s")))
    docs = ["zz", *["a"] * (many - 2), "yy"]
    rows = pa.table({"user_id": ["anna"] * many, "time": shifted, "doc_id": docs})
    again = rows.slice(many - 2, 1).append_column("dwell_seconds", pa.array([5.0]))
    bad = again.set_column(2, "doc_id", pa.array(["xx"]))
    batches = [
        _documents("a"),
        RawBatch("browses", rows, "one.csv"),
        RawBatch("browses", pa.concat_tables([bad, again]), "two.csv", first_row=4),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    told = [(row["file"], row["row"], row["rule"]) for row in _quarantine(tmp_path / "log")]
    assert told == [
        ("one.csv", 1, "doc-unknown"),
        ("one.csv", many, "doc-unknown"),
        ("two.csv", 4, "doc-unknown"),
        ("two.csv", 5, "browse-twice"),
    ]
    kept = pq.read_table(tmp_path / "log" / "browses.parquet")
    assert kept.num_rows == many - 2 == report.tables["browses"].kept
    assert kept["dwell_seconds"].null_count == many - 2
    assert kept["time"].to_pylist()[-1].timestamp() == 1_700_000_000 + many - 2


def test_duplicate_documents_and_requests_are_rejected_whatever_else_they_hold(tmp_path):
    numbers = {"numbers": pa.array([5, 9]).to_numpy()}
    batches = [
        _documents("a", "b", "a"),
        _requests(_request(1), _request(1, user="bert", docs=("b",)), **numbers),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    told = [(row["row"], row["rule"], row["value"]) for row in _quarantine(tmp_path / "log")]
    assert told == [(3, "doc-id-twice", "1 character"), (9, "request-id-twice", "2 characters")]
    assert report.users == 1


def test_too_many_rejected_rows_stop_the_run_and_leave_the_quarantine_to_read(tmp_path):
    settings = LogSettings(mask_users=False, quarantine_share=0.25)
    bad = ("anna", _at(0), "zz")
    good = [("anna", _at(minute), "a") for minute in range(1, 4)]
    write_log(tmp_path / "fine", [_documents("a"), _browses(bad, *good)], settings)
    with pytest.raises(LogError) as told:
        write_log(tmp_path / "log", [_documents("a"), _browses(bad, *good[1:])], settings)
    assert "must be at most 25.00% of its rows" in str(told.value)
    assert "browses: 1 of 3 rows rejected (33.33%)" in str(told.value)
    assert "doc-unknown: 1, first at b.csv, row 1" in str(told.value)
    assert "--quarantine_share" in str(told.value)
    assert not (tmp_path / "log").exists()
    assert [path.name for path in (tmp_path / "log.tmp").iterdir()] == ["quarantine.parquet"]
    assert _quarantine(tmp_path / "log.tmp")[0]["rule"] == "doc-unknown"


def test_a_share_of_zero_stops_at_the_first_rejected_row_of_any_table(tmp_path):
    rule = quarantine_rows(
        "raw", "x", [(1, Rule("odd", "A row must be even. Fix: correct it."), "")]
    )
    batches = [_documents("a"), _browses(("anna", _at(1), "a")), Rejected("raw", rule, 1000)]
    with pytest.raises(LogError, match="1 of 1000 rows"):
        write_log(tmp_path / "log", batches, LogSettings(mask_users=False, quarantine_share=0.0))


def test_users_are_masked_and_no_raw_id_is_in_any_byte_written(tmp_path):
    key = tmp_path / "user.key"
    key.write_text("secret\n")
    users = ["anna-7141", "bert-8252", "carl-9363"]
    batches = [
        _documents("a", "b"),
        # Rejected rows, duplicates and repeated rows carry user ids too.
        _requests(_request(1, user=users[0]), _request(1, user=users[1]), _request(2, user="")),
        _browses((users[2], _at(1), "zz"), (users[1], _at(1), "a"), (users[1], _at(1), "a")),
    ]
    settings = LogSettings(key_file=str(key), quarantine_share=1.0)
    write_log(tmp_path / "log", batches, settings)
    log = open_log(tmp_path / "log")
    assert pq.read_table(log.requests)["user_id"].to_pylist() == [mask_user(b"secret", users[0])]
    assert pq.read_table(log.browses)["user_id"].to_pylist() == [mask_user(b"secret", users[1])]
    assert len(_quarantine(tmp_path / "log")) == 4
    for path in log.folder.iterdir():
        written = (
            path.read_bytes()
            + repr(pq.read_table(path).to_pylist() if path.suffix == ".parquet" else "").encode()
        )
        assert not any(user.encode() in written for user in users), path.name
        assert b"secret" not in written and str(key).encode() not in written


def test_the_same_rows_give_the_same_bytes(tmp_path):
    batches = [_documents("a", "b"), _requests(_request(1), _request(2)), _browses()]
    for name in ("one", "two"):
        write_log(tmp_path / name, batches, PLAIN)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_an_error_in_the_middle_leaves_nothing(tmp_path):
    def broken():
        yield _documents("a")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_log(tmp_path / "log", broken(), PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_behind_is_replaced(tmp_path):
    (tmp_path / "log.tmp").mkdir()
    (tmp_path / "log.tmp" / "stale.parquet").write_bytes(b"x")
    write_log(tmp_path / "log", [_documents("a"), _browses(("anna", _at(1), "a"))], PLAIN)
    assert not (tmp_path / "log" / "stale.parquet").exists()


def test_an_existing_folder_is_never_written_over(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(LogError, match=r"must not exist.*--output"):
        write_log(tmp_path / "log", [], PLAIN)


def test_documents_after_lists_are_an_error(tmp_path):
    batches = [_documents("a"), _browses(("anna", _at(1), "a")), _documents("b")]
    with pytest.raises(LogError, match=r"d\.csv: all documents must come before"):
        write_log(tmp_path / "log", batches, PLAIN)


def test_an_empty_log_and_an_unknown_table_are_errors(tmp_path):
    with pytest.raises(LogError, match="must hold a request or a browse"):
        write_log(tmp_path / "log", [_documents("a")], PLAIN)
    with pytest.raises(LogError, match=r"one of documents, requests, browses.*'clicks'"):
        write_log(tmp_path / "log", [RawBatch("clicks", _documents("a").rows, "c")], PLAIN)


def test_a_file_without_rows_must_have_the_right_columns_too(tmp_path):
    nothing = pa.schema([("user", pa.string())]).empty_table()
    with pytest.raises(LogError, match=r"b\.csv: a browses file must have the column `user_id`"):
        write_log(tmp_path / "log", [RawBatch("browses", nothing, "b.csv")], PLAIN)


def test_files_put_beside_the_tables_join_the_checksums(tmp_path):
    with LogWriter(tmp_path / "log", PLAIN) as writer:
        writer.add(_documents("a"))
        writer.add(_browses(("anna", _at(1), "a")))
        (writer.folder / "truth").mkdir()
        (writer.folder / "truth" / "model.json").write_text("{}")
        writer.finish({"name": "simulator"})
    manifest = json.loads((tmp_path / "log" / "log.json").read_text())
    assert manifest["files"]["truth/model.json"]["bytes"] == 2


def _written(tmp_path):
    write_log(tmp_path / "log", [_documents("a"), _browses(("anna", _at(1), "a"))], PLAIN)
    return tmp_path / "log"


def test_a_folder_without_log_json_is_no_log(tmp_path):
    folder = _written(tmp_path)
    (folder / "log.json").unlink()
    with pytest.raises(LogError, match=r"log\.json, which is written last.*import_log"):
        open_log(folder)
    with pytest.raises(LogError, match="no folder"):
        open_log(tmp_path / "none")


def test_a_log_of_another_schema_version_is_refused(tmp_path):
    folder = _written(tmp_path)
    manifest = json.loads((folder / "log.json").read_text())
    (folder / "log.json").write_text(json.dumps({**manifest, "schema_version": 0}))
    with pytest.raises(LogError, match=r"schema version must be 1\. Got 0\. Fix: import"):
        open_log(folder)


@pytest.mark.parametrize("checksums", [True, False])
def test_an_altered_or_missing_file_is_refused(tmp_path, checksums):
    folder = _written(tmp_path)
    whole = (folder / "documents.parquet").read_bytes()
    (folder / "documents.parquet").write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    if checksums:
        with pytest.raises(LogError, match=r"documents\.parquet.*another checksum"):
            open_log(folder)
    else:
        open_log(folder, checksums=False)
    (folder / "documents.parquet").unlink()
    with pytest.raises(LogError, match="no such file"):
        open_log(folder, checksums=checksums)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_an_error(tmp_path, share):
    with pytest.raises(ValueError, match="`quarantine_share` must be in \\[0, 1\\]"):
        LogWriter(tmp_path / "log", LogSettings(mask_users=False, quarantine_share=share))
