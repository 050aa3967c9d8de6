import json

import pyarrow.parquet as pq
import pytest

from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.schema import QUARANTINE, SCHEMAS, LogError
from tests.data_pipeline.log.raw_logs import (
    PLAIN,
    batch_browses,
    batch_documents,
    batch_requests,
    make_request,
    minute_at,
)


def test_a_log_holds_the_canonical_tables_in_the_order_given(tmp_path):
    batches = [
        batch_documents("b", "a"),
        batch_requests(make_request(2, clicked="b", click_time=minute_at(3), dwell_seconds=40.0)),
        batch_browses(("bert", minute_at(9), "a", None)),
        batch_requests(make_request(1, query="")),
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
        "click_time": minute_at(3),
        "dwell_seconds": 40.0,
    }
    assert not (tmp_path / "log.tmp").exists()


def test_the_report_counts_the_content_of_the_log(tmp_path):
    rows = [
        make_request(1, clicked="a", click_time=minute_at(2), dwell_seconds=3.0),
        make_request(2, clicked="b"),
        make_request(3, user="bert", query=""),
        make_request(4, query="nothing", docs=()),
    ]
    batches = [
        batch_documents("a", "b"),
        batch_requests(*rows),
        batch_browses(("carl", minute_at(60), "a"), ("carl", minute_at(61), "a", 1.0)),
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


def _written(tmp_path):
    write_log(
        tmp_path / "log", [batch_documents("a"), batch_browses(("anna", minute_at(1), "a"))], PLAIN
    )
    return tmp_path / "log"


def test_a_folder_without_log_json_is_refused(tmp_path):
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
