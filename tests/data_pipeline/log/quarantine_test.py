import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.log.log_folder import write_log
from data_pipeline.log.log_writer import ROWS_AT_ONCE, LogWriter
from data_pipeline.log.quarantine import Rule, quarantine_rows
from data_pipeline.log.raw_rows import RawBatch, Rejected
from data_pipeline.log.schema import SCHEMAS, LogError
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


def test_rejected_rows_are_listed_with_file_row_rule_value_and_message(tmp_path):
    batches = [
        batch_documents("a", "b"),
        batch_requests(
            make_request(1), make_request(2, docs=("a", "zz")), first_row=10, file="part-2.csv"
        ),
        batch_browses(("anna", minute_at(1), "a", -1.0), ("anna", minute_at(1), "a")),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    first, second = read_quarantine(tmp_path / "log")
    assert (first["table"], first["file"], first["row"]) == ("requests", "part-2.csv", 11)
    assert (first["rule"], first["value"]) == ("result-unknown", "2 characters")
    assert "Fix: add the document" in first["message"]
    assert (second["table"], second["row"], second["rule"]) == ("browses", 1, "dwell-range")
    assert report.tables["requests"].rules == {"result-unknown": 1}


def test_kept_and_quarantined_rows_together_are_the_rows_read(tmp_path):
    rule = Rule("odd", "A row must be even. Fix: correct it.")
    batches = [
        batch_documents("a", "b", "a", ""),
        Rejected("requests", quarantine_rows("requests", "r.csv", [(7, rule, "x")])),
        Rejected("raw", quarantine_rows("raw", "r.csv", [(3, rule, "x")]), read=50),
        batch_requests(make_request(1), make_request(1), make_request(2, user="")),
        batch_browses(
            ("anna", minute_at(1), "a"), ("anna", minute_at(1), "a"), ("anna", minute_at(2), "zz")
        ),
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
    assert len(read_quarantine(tmp_path / "log")) == 8


def test_a_duplicate_is_found_over_files_and_blocks_and_the_first_stays(tmp_path):
    many = ROWS_AT_ONCE + 3
    times = pa.array(range(many), pa.int64()).cast(pa.timestamp("s"))
    shifted = pa.compute.add(times, pa.scalar(1_700_000_000, pa.duration("s")))
    docs = ["zz", *["a"] * (many - 2), "yy"]
    rows = pa.table({"user_id": ["anna"] * many, "time": shifted, "doc_id": docs})
    again = rows.slice(many - 2, 1).append_column("dwell_seconds", pa.array([5.0]))
    bad = again.set_column(2, "doc_id", pa.array(["xx"]))
    batches = [
        batch_documents("a"),
        RawBatch("browses", rows, "one.csv"),
        RawBatch("browses", pa.concat_tables([bad, again]), "two.csv", first_row=4),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    listed = [(row["file"], row["row"], row["rule"]) for row in read_quarantine(tmp_path / "log")]
    assert listed == [
        ("one.csv", 1, "doc-unknown"),
        ("one.csv", many, "doc-unknown"),
        ("two.csv", 4, "doc-unknown"),
        ("two.csv", 5, "browse-twice"),
    ]
    kept = pq.read_table(tmp_path / "log" / "browses.parquet")
    assert kept.num_rows == many - 2 == report.tables["browses"].kept
    assert kept["dwell_seconds"].null_count == many - 2
    assert kept["time"].to_pylist()[-1].timestamp() == 1_700_000_000 + many - 2


def test_duplicate_documents_and_requests_are_rejected_with_any_content(tmp_path):
    numbers = {"numbers": pa.array([5, 9]).to_numpy()}
    batches = [
        batch_documents("a", "b", "a"),
        batch_requests(make_request(1), make_request(1, user="bert", docs=("b",)), **numbers),
    ]
    report = write_log(tmp_path / "log", batches, PLAIN)
    listed = [(row["row"], row["rule"], row["value"]) for row in read_quarantine(tmp_path / "log")]
    assert listed == [(3, "doc-id-twice", "1 character"), (9, "request-id-twice", "2 characters")]
    assert report.users == 1


def test_too_many_rejected_rows_stop_the_run_and_leave_the_quarantine_to_read(tmp_path):
    settings = LogSettings(mask_users=False, quarantine_share=0.25)
    bad = ("anna", minute_at(0), "zz")
    good = [("anna", minute_at(minute), "a") for minute in range(1, 4)]
    write_log(tmp_path / "fine", [batch_documents("a"), batch_browses(bad, *good)], settings)
    with pytest.raises(LogError) as listed:
        write_log(tmp_path / "log", [batch_documents("a"), batch_browses(bad, *good[1:])], settings)
    assert "must be at most 25.00% of its rows" in str(listed.value)
    assert "browses: 1 of 3 rows rejected (33.33%)" in str(listed.value)
    assert "doc-unknown: 1, first at b.csv, row 1" in str(listed.value)
    assert "--quarantine_share" in str(listed.value)
    assert not (tmp_path / "log").exists()
    assert [path.name for path in (tmp_path / "log.tmp").iterdir()] == ["quarantine.parquet"]
    assert read_quarantine(tmp_path / "log.tmp")[0]["rule"] == "doc-unknown"


def test_a_share_of_zero_stops_at_the_first_rejected_row_of_any_table(tmp_path):
    rule = quarantine_rows(
        "raw", "x", [(1, Rule("odd", "A row must be even. Fix: correct it."), "")]
    )
    batches = [
        batch_documents("a"),
        batch_browses(("anna", minute_at(1), "a")),
        Rejected("raw", rule, 1000),
    ]
    with pytest.raises(LogError, match="1 of 1000 rows"):
        write_log(tmp_path / "log", batches, LogSettings(mask_users=False, quarantine_share=0.0))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_out_of_range_is_an_error(tmp_path, share):
    with pytest.raises(ValueError, match="`quarantine_share` must be in \\[0, 1\\]"):
        LogWriter(tmp_path / "log", LogSettings(mask_users=False, quarantine_share=share))
