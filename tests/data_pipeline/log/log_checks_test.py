"""Named warnings of logs that no later step can learn from."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from data_pipeline.import_log import ImportSettings, import_log
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.raw_rows import RawBatch
from data_pipeline.log.schema import DOCUMENTS
from tests.data_pipeline.log.raw_logs import (
    PLAIN,
    batch_browses,
    batch_documents,
    batch_requests,
    make_request,
    minute_at,
)

USERS = ("anna", "bert", "carl")


def make_log(query="q", titles=None, change=None, browses=True):
    """Batches of a log without any warning, but for what the arguments change."""
    documents = batch_documents("a", "b", "c")
    if titles is not None:
        rows = [{"doc_id": doc, "title": titles} for doc in "abc"]
        documents = RawBatch("documents", pa.Table.from_pylist(rows, schema=DOCUMENTS), "d.csv")
    requests = []
    for number in range(30):
        row = make_request(number, USERS[number % 3], query, ("a", "b"), "ab"[number % 2])
        row["time"] = minute_at(number * 60)
        requests.append(row | (change(number) if change else {}))
    read = [("anna", minute_at(number * 60), "c") for number in range(5)] if browses else []
    return [documents, batch_requests(*requests), batch_browses(*read)]


def one_result(number):
    return {"results": [{"doc_id": "a", "clicked": True}]}


def first_clicked(number):
    return {"results": [{"doc_id": "a", "clicked": True}, {"doc_id": "b", "clicked": False}]}


def not_clicked(number):
    return {"results": [{"doc_id": doc, "clicked": False} for doc in "ab"]}


CASES = {
    "empty_titles": {"titles": ""},
    "empty_queries": {"change": lambda number: {"query": "" if number == 7 else "q"}},
    "one_task": {"browses": False},
    "short_time_span": {"change": lambda number: {"time": minute_at(0)}},
    "no_clicks": {"change": not_clicked},
    "one_candidate_lists": {"change": one_result},
    "no_repeat_users": {"change": lambda number: {"user_id": f"u{number}"}, "browses": False},
    "clicks_at_first_rank": {"change": first_clicked},
}


def find_names(tmp_path, **options):
    write_log(tmp_path / "log", make_log(**options), PLAIN)
    return [warning.name for warning in open_log(tmp_path / "log").warnings]


def test_a_log_to_learn_from_has_no_warning(tmp_path):
    assert find_names(tmp_path) == []


@pytest.mark.parametrize("name", CASES)
def test_every_fault_of_a_log_has_a_warning_of_its_own_with_a_fix(tmp_path, name):
    options = CASES[name]
    expected = {"one_task", name} if not options.get("browses", True) else {name}
    assert set(find_names(tmp_path, **options)) == expected
    assert all("Fix: " in warning.message for warning in open_log(tmp_path / "log").warnings)


def test_queries_of_spaces_are_empty_queries(tmp_path):
    assert find_names(tmp_path, query="  ") == ["empty_queries"]


def test_a_log_of_recommendations_only_is_of_one_task(tmp_path):
    assert find_names(tmp_path, query="") == ["one_task"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("own_id", ["doc_id", "pid"])
def test_ids_become_titles_as_the_warning_says(tmp_path, ending, own_id):
    source = tmp_path / "in"
    source.mkdir()
    documents = source / f"documents.{ending}"
    if ending == "csv":
        documents.write_text(f"{own_id},title\nd7,\nd8,\n")
    elif ending == "jsonl":
        documents.write_text(
            f'{{"{own_id}": "d7", "title": ""}}\n{{"{own_id}": "d8", "title": ""}}\n'
        )
    else:
        pa.parquet.write_table(pa.table({own_id: ["d7", "d8"], "title": ["", ""]}), documents)
    (source / "browses.csv").write_text("user_id,time,doc_id\nanna,2024-01-31T12:00:00Z,d7\n")
    columns = [f"documents.title={own_id}"]
    if own_id != "doc_id":
        columns.append(f"documents.doc_id={own_id}")
    output = tmp_path / "log"
    text = import_log(ImportSettings("tables", str(source), str(output), tuple(columns)), PLAIN)
    rows = pa.parquet.read_table(output / "documents.parquet")
    assert rows["title"].to_pylist() == rows["doc_id"].to_pylist() == ["d7", "d8"]
    assert "empty_titles" not in text and "warning (one_task): " in text
