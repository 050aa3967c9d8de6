"""Hand-made files of Qilin, and their import."""

import csv
import datetime
import gzip
import json

from data_pipeline.importers import qilin
from tests.data_pipeline.importers.importing import (
    PLAIN,
    import_folder,
)

START = datetime.datetime(2024, 11, 27, 0, 0, tzinfo=datetime.UTC)


START_S = 1_732_665_600


NAN = float("nan")


SEARCH_LIST, RECOMMENDED_LIST = "search_result_details_with_idx", "rec_result_details_with_idx"


SEARCH_COLUMNS = ["query", "recent_clicked_note_idxs", SEARCH_LIST, "search_idx", "user_idx"]


RECOMMENDED_COLUMNS = ["query", RECOMMENDED_LIST, "request_idx", "session_idx", "user_idx"]


NOTE_COLUMNS = ["note_title", "note_content", "taxonomy1_id", "note_idx", "note_type"]


def make_result(note, position, time, click=0, page_time=NAN):
    """A result of a search: all numbers are floats, time is seconds."""
    at = START_S + time if isinstance(time, int | float) else time
    numbers = {"click": click, "collect": 0, "page_time": page_time, "position": position}
    floats = {name: value and float(value) for name, value in numbers.items()}
    return {"note_id": "67ab", "note_idx": note, **floats, "search_timestamp": at}


def make_recommended(note, position, second, click=0, page_time=0.0):
    """A result of a recommendation: whole numbers, time in milliseconds."""
    return {
        "click": click,
        "note_id": "67ab",
        "note_idx": note,
        "page_time": page_time,
        "position": position,
        "request_timestamp": (START_S * 1000) + round(second * 1000),
    }


def make_search(index, user, query, results):
    return [query, "[1 2\n 3]", results, index, user]


def make_recommendation(index, user, results, query="titles clicked before"):
    return [query, results, index, 5, user]


def make_note(number, title="A title", content="Some words", category="c1"):
    return [title, content, category, number, 1.0]


def print_numpy(results):
    """A list as NumPy prints it into a CSV file."""
    return "[" + "\n ".join(map(repr, results)) + "]" if isinstance(results, list) else results


def print_json(results):
    return json.dumps(results) if isinstance(results, list) else results


def write_csv(path, columns, rows, form=print_numpy):
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[form(value) for value in row] for row in rows])


def make_tables(search_train=(), recommendation_train=(), **others):
    """{table: (columns, rows)}, notes among them."""
    lists = {"search_train": search_train, "recommendation_train": recommendation_train, **others}
    notes = lists.pop("notes", None) or [make_note(number) for number in range(1, 10)]
    return {"notes": (NOTE_COLUMNS, notes)} | {
        table: (RECOMMENDED_COLUMNS if table.startswith("rec") else SEARCH_COLUMNS, rows)
        for table, rows in lists.items()
        if rows
    }


def import_tables(tmp_path, settings=PLAIN, **tables):
    (tmp_path / "in").mkdir()
    written = make_tables(**tables)
    for table, (columns, rows) in written.items():
        write_csv(tmp_path / "in" / f"{table}.csv", columns, rows)
    log, read = import_folder(qilin, tmp_path / "in", settings)
    assert_rows_add_up(log, {table: len(rows) for table, (_, rows) in written.items()})
    return log, read


def assert_rows_add_up(log, rows):
    """Assert that every row of {table: rows} is counted once, and that all tables add up."""
    read = log.source["read"]
    assert read["rows"] == sum(rows.values())
    assert {table: sum(read["actions"][table].values()) for table in rows} == rows
    counts = log.report.tables
    assert all(table.read == table.kept + table.quarantined for table in counts.values())
    assert counts["documents"].read == rows["notes"]
    assert counts["requests"].read == sum(rows.values()) - rows["notes"]
