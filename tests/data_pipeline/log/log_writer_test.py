import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.log_writer import LogWriter
from data_pipeline.log.raw_rows import RawBatch
from data_pipeline.log.schema import LogError
from data_pipeline.log.user_ids import mask_user
from data_pipeline.settings import LogSettings
from tests.data_pipeline.log.raw_logs import (
    PLAIN,
    batch_browses,
    batch_documents,
    batch_requests,
    make_request,
    minute_at,
    read_quarantine,
)


def test_users_are_masked_and_no_raw_id_is_in_any_byte_written(tmp_path):
    key = tmp_path / "user.key"
    key.write_text("secret\n")
    users = ["anna-7141", "bert-8252", "carl-9363"]
    batches = [
        batch_documents("a", "b"),
        # Rejected rows, duplicates and repeated rows carry user ids too.
        batch_requests(
            make_request(1, user=users[0]), make_request(1, user=users[1]), make_request(2, user="")
        ),
        batch_browses(
            (users[2], minute_at(1), "zz"),
            (users[1], minute_at(1), "a"),
            (users[1], minute_at(1), "a"),
        ),
    ]
    settings = LogSettings(key_file=str(key), quarantine_share=1.0)
    write_log(tmp_path / "log", batches, settings)
    log = open_log(tmp_path / "log")
    assert pq.read_table(log.requests)["user_id"].to_pylist() == [mask_user(b"secret", users[0])]
    assert pq.read_table(log.browses)["user_id"].to_pylist() == [mask_user(b"secret", users[1])]
    assert len(read_quarantine(tmp_path / "log")) == 4
    for path in log.folder.iterdir():
        written = (
            path.read_bytes()
            + repr(pq.read_table(path).to_pylist() if path.suffix == ".parquet" else "").encode()
        )
        assert not any(user.encode() in written for user in users), path.name
        assert b"secret" not in written and str(key).encode() not in written


def test_the_same_rows_give_the_same_bytes(tmp_path):
    batches = [
        batch_documents("a", "b"),
        batch_requests(make_request(1), make_request(2)),
        batch_browses(),
    ]
    for name in ("one", "two"):
        write_log(tmp_path / name, batches, PLAIN)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_an_error_in_the_middle_leaves_nothing(tmp_path):
    def broken():
        yield batch_documents("a")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_log(tmp_path / "log", broken(), PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_run_is_replaced(tmp_path):
    (tmp_path / "log.tmp").mkdir()
    (tmp_path / "log.tmp" / "stale.parquet").write_bytes(b"x")
    write_log(
        tmp_path / "log", [batch_documents("a"), batch_browses(("anna", minute_at(1), "a"))], PLAIN
    )
    assert not (tmp_path / "log" / "stale.parquet").exists()


def test_an_existing_folder_is_never_written_over(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(LogError, match=r"must not exist.*--output"):
        write_log(tmp_path / "log", [], PLAIN)


def test_documents_after_lists_are_an_error(tmp_path):
    batches = [
        batch_documents("a"),
        batch_browses(("anna", minute_at(1), "a")),
        batch_documents("b"),
    ]
    with pytest.raises(LogError, match=r"d\.csv: all documents must come before"):
        write_log(tmp_path / "log", batches, PLAIN)


def test_an_empty_log_and_an_unknown_table_are_errors(tmp_path):
    with pytest.raises(LogError, match="must hold a request or a browse"):
        write_log(tmp_path / "log", [batch_documents("a")], PLAIN)
    with pytest.raises(LogError, match=r"one of documents, requests, browses.*'clicks'"):
        write_log(tmp_path / "log", [RawBatch("clicks", batch_documents("a").rows, "c")], PLAIN)


def test_a_file_without_rows_must_have_the_right_columns_too(tmp_path):
    nothing = pa.schema([("user", pa.string())]).empty_table()
    with pytest.raises(LogError, match=r"b\.csv: a browses file must have the column `user_id`"):
        write_log(tmp_path / "log", [RawBatch("browses", nothing, "b.csv")], PLAIN)


def test_files_put_beside_the_tables_join_the_checksums(tmp_path):
    with LogWriter(tmp_path / "log", PLAIN) as writer:
        writer.add(batch_documents("a"))
        writer.add(batch_browses(("anna", minute_at(1), "a")))
        (writer.folder / "truth").mkdir()
        (writer.folder / "truth" / "model.json").write_text("{}")
        writer.finish({"name": "simulator"})
    manifest = json.loads((tmp_path / "log" / "log.json").read_text())
    assert manifest["files"]["truth/model.json"]["bytes"] == 2


def test_documents_that_the_source_lacks_are_added_once_with_their_ids_as_titles(tmp_path):
    batches = [
        batch_documents("a"),
        batch_requests(make_request(1, docs=("a", "new", "b")), make_request(2, docs=("new",))),
        batch_browses(("anna", minute_at(1), "only read"), ("anna", minute_at(2), "")),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN, add_documents=True)
    log = open_log(tmp_path / "log")
    titles = pq.read_table(log.documents, columns=["doc_id", "title"]).to_pylist()
    assert {row["doc_id"]: row["title"] for row in titles} == {
        "a": "title a",
        **{doc: doc for doc in ("new", "b", "only read")},
    }
    assert report.tables["documents"].kept == len(titles) == 4
    assert report.tables["requests"].kept == 2
    assert report.tables["browses"].rules == {"doc-unknown": 1}


def test_without_the_setting_their_rows_are_quarantined_and_the_message_names_it(tmp_path):
    batches = [batch_documents("a"), batch_requests(make_request(1, docs=("a", "new")))]
    with pytest.raises(LogError, match="--add_documents"):
        write_log(tmp_path / "log", batches, LogSettings(mask_users=False))
