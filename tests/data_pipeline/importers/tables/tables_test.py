import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import tables
from data_pipeline.log.schema import SCHEMAS, LogError
from tests.data_pipeline.importers.tables.canonical_files import (
    BROWSES,
    DOCUMENTS,
    REQUESTS,
    ROWS,
    WRITERS,
    import_folder,
    parse_value,
    read_quarantine,
    write_csv,
    write_jsonl,
    write_parquet,
)


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_log(folder, ending):
    for table, rows in ROWS.items():
        WRITERS[ending](folder / f"{table}.{ending}", table, rows)
    log = import_folder(folder)
    for table, rows in ROWS.items():
        wanted = pa.Table.from_pylist(parse_value(rows), schema=SCHEMAS[table])
        assert pq.read_table(getattr(log, table)).equals(wanted)
    assert log.source["files"] == [f"{table}.{ending}" for table in ROWS]
    assert read_quarantine(log) == []


def test_a_table_may_be_a_folder_of_parts_of_any_format(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    (folder / "browses").mkdir()
    write_jsonl(folder / "browses" / "2024-01-02.jsonl", "browses", BROWSES[1:])
    write_csv(folder / "browses" / "2024-01-01.csv", "browses", BROWSES[:1])
    (folder / "browses" / ".hidden").write_text("x")
    log = import_folder(folder)
    assert pq.read_table(log.browses)["user_id"].to_pylist() == ["anna", "bert"]
    assert log.source["files"][1:] == ["browses/2024-01-01.csv", "browses/2024-01-02.jsonl"]


def test_csv_rows_that_do_not_parse_are_quarantined_with_their_number(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    lines = [
        "user_id,time,doc_id,dwell_seconds",
        "anna,2024-01-31T12:00:00Z,a,1",
        "anna,1706702400,a,1",
        "anna,2024-02-30T12:00:00Z,a,1",
        "anna,2024-01-31,a,1",
        "anna,,a,1",
        "anna,2024-01-31T12:00:01Z,a,long",
        "anna,2024-01-31T12:00:02Z,a",
        "anna,2024-01-31T12:00:03Z,a,nan",
    ]
    (folder / "browses.csv").write_text("\n".join(lines))
    log = import_folder(folder)
    assert read_quarantine(log) == [
        ("browses.csv", 2, "time-unreadable", "10 digits"),
        ("browses.csv", 3, "time-unreadable", "20 characters"),
        ("browses.csv", 4, "time-unreadable", "10 characters"),
        ("browses.csv", 5, "time-null", ""),
        ("browses.csv", 6, "number-unreadable", "4 characters"),
        ("browses.csv", 7, "columns", ""),
        ("browses.csv", 8, "dwell-range", "not a number"),
    ]
    counts = log.report.tables["browses"]
    assert (counts.read, counts.kept, counts.quarantined) == (8, 1, 7)


BROKEN_LISTS = [
    "[",
    "{}",
    '["a"]',
    '[{"doc_id": "a"}]',
    '[{"doc_id": 1.5, "clicked": true}]',
    '[{"doc_id": "a", "clicked": "yes"}]',
    '[{"doc_id": "a", "clicked": 1}]',
    '[{"doc_id": "a", "clicked": true, "rank": 1}]',
    '[{"doc_id": "b", "clicked": false}, {"doc_id": "a", "clicked": true, "click_time": 3}]',
    '[{"doc_id": "a", "clicked": true, "click_time": "yesterday"}]',
    '[{"doc_id": "a", "clicked": true, "dwell_seconds": "5"}]',
    "[null]",
]


@pytest.mark.parametrize(
    ("ending", "results"),
    # In JSON Lines an open bracket breaks the line; another test covers it.
    [(e, r) for e in ("csv", "jsonl") for r in BROKEN_LISTS if (e, r) != ("jsonl", "[")],
)
def test_a_list_of_another_form_is_quarantined(folder, results, ending):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    write_csv(folder / "browses.csv", "browses", BROWSES)
    path = folder / f"requests.{ending}"
    if ending == "csv":
        quoted = results.replace('"', '""')
        head = "request_id,user_id,time,query,results"
        path.write_text(f'{head}\nr,u,2024-01-31T12:00:00Z,q,"{quoted}"\n')
    else:
        row = {**REQUESTS[0], "results": json.loads(results)}
        path.write_text(json.dumps(row) + "\n")
    [listed] = read_quarantine(import_folder(folder))
    assert listed[:3] == (path.name, 1, "results-unreadable")
    # JSON Lines are counted without blanks between their parts.
    compact = results if ending == "csv" else json.dumps(json.loads(results), separators=(",", ":"))
    assert listed[3] == f"{len(compact)} character{'s' * (len(compact) > 1)}"


def test_wrong_json_lines_are_quarantined_without_a_user_id(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    good = {"user_id": "anna", "time": "2024-01-31T12:00:00Z", "doc_id": "a"}
    lines = [
        json.dumps(good),
        '{"user_id": "carl-9363", ',
        '["carl-9363"]',
        json.dumps({**good, "user_id": 9363.5}),
        json.dumps({**good, "time": 1706702400}),
        json.dumps({**good, "dwell_seconds": "5"}),
        json.dumps({**good, "query": "carl-9363"}),
        json.dumps({"user_id": "carl-9363", "doc_id": "a"}),
        '{"user_id": "a", "time": "2024-01-31T12:00:00Z", "doc_id": "a", "doc_id": "b"}',
        json.dumps({**good, "user_id": None}),
        json.dumps({**good, "time": "soon"}),
    ]
    (folder / "browses.jsonl").write_text("\n".join(lines))
    log = import_folder(folder)
    listed = [(row, rule, value) for _, row, rule, value in read_quarantine(log)]
    assert listed == [
        (2, "line-unreadable", ""),
        (3, "line-unreadable", ""),
        (4, "text-expected", "6 characters"),
        (5, "text-expected", "10 digits"),
        (6, "number-expected", "3 characters"),
        (7, "line-columns", ""),
        (8, "line-columns", ""),
        (9, "line-columns", ""),
        (10, "user-id-empty", ""),
        (11, "time-unreadable", "4 characters"),
    ]
    assert log.report.tables["browses"].read == 11
    assert "9363" not in repr(pq.read_table(log.quarantine).to_pylist())


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_wrong_columns_refuse_the_file(folder, ending):
    rows = [{"user_id": "anna", "time": "2024-01-31T12:00:00Z", "document": "a"}]
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    path = folder / f"browses.{ending}"
    if ending == "csv":
        path.write_text("user_id,time,document\nanna,2024-01-31T12:00:00Z,a\n")
    elif ending == "jsonl":
        path.write_text(json.dumps(rows[0]) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(LogError, match=rf"browses\.{ending}: .* must have the column `doc_id`"):
        import_folder(folder)
    assert not list(folder.parent.glob("in-log*"))


def test_a_file_in_another_encoding_is_refused(folder):
    (folder / "documents.csv").write_bytes("doc_id,title\na,Café\n".encode("latin-1"))
    write_csv(folder / "browses.csv", "browses", BROWSES)
    with pytest.raises(LogError, match=r"documents\.csv: the file must be UTF-8, and line 2 "):
        import_folder(folder)


def test_parquet_with_text_that_is_not_utf8_or_cut_short_is_refused(folder):
    write_csv(folder / "browses.csv", "browses", BROWSES)
    latin = pa.array(["Café".encode("latin-1")], pa.binary()).view(pa.string())
    table = pa.table({"doc_id": ["a"], "title": latin})
    pq.write_table(table, folder / "documents.parquet")
    with pytest.raises(LogError, match=r"documents\.parquet: .*UTF-8"):
        import_folder(folder)
    whole = (folder / "documents.parquet").read_bytes()
    (folder / "documents.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LogError, match=r"documents\.parquet: the file must be complete Parquet"):
        import_folder(folder)


def test_parquet_rows_that_break_a_rule_are_listed_with_their_number(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    rows = [*BROWSES, {**BROWSES[0], "doc_id": "zz"}]
    write_parquet(folder / "browses.parquet", "browses", rows)
    assert read_quarantine(import_folder(folder)) == [
        ("browses.parquet", 3, "doc-unknown", "2 characters")
    ]


def test_a_table_that_is_missing_or_there_twice_or_of_another_kind_is_an_error(folder):
    with pytest.raises(LogError, match="must hold documents, and requests or browses"):
        tables.read(folder)
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    with pytest.raises(LogError, match=r"Got documents\.csv\. Fix: name the files"):
        tables.read(folder)
    write_jsonl(folder / "documents.jsonl", "documents", DOCUMENTS)
    with pytest.raises(LogError, match=r"the table documents only once.*csv, documents\.jsonl"):
        tables.read(folder)
    with pytest.raises(LogError, match="the input must be a folder"):
        tables.read(folder / "none")
    (folder / "documents.jsonl").unlink()
    (folder / "browses").mkdir()
    (folder / "browses" / "part.tsv").write_text("x")
    with pytest.raises(LogError, match=r"a file must end in .*part\.tsv"):
        tables.read(folder)


def test_a_first_line_nested_without_end_is_quarantined(folder):
    write_csv(folder / "documents.csv", "documents", DOCUMENTS)
    lines = ["[" * 100_000 + "]" * 100_000, json.dumps(BROWSES[0])]
    (folder / "browses.jsonl").write_text("\n".join(lines))
    log = import_folder(folder)
    assert read_quarantine(log) == [("browses.jsonl", 1, "line-unreadable", "")]
    assert log.report.tables["browses"].kept == 1
