"""Hand-made canonical files in every format, and their import."""

import csv
import datetime
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.importers import tables
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.log.schema import SCHEMAS
from data_pipeline.settings import LogSettings

PLAIN = LogSettings(mask_users=False, quarantine_share=1.0)


DOCUMENTS = [
    {"doc_id": "a", "title": 'A "quoted", title', "category": "x"},
    {"doc_id": "b", "title": ""},
    {"doc_id": "c", "title": "第三\n行", "published": "2024-01-30T00:00:00Z"},
]


REQUESTS = [
    {
        "request_id": "r1",
        "user_id": "anna",
        "time": "2024-01-31T12:00:00Z",
        "query": "some words",
        "results": [
            {"doc_id": "b", "clicked": False},
            {
                "doc_id": "a",
                "clicked": True,
                "click_time": "2024-01-31T13:00:05.25+01:00",
                "dwell_seconds": 31.5,
            },
            {"doc_id": "c", "clicked": True, "click_time": None},
        ],
    },
    {
        "request_id": "r2",
        "user_id": "bert",
        "time": "2024-01-31 12:00",
        "query": "",
        "results": [{"doc_id": "c", "clicked": False}],
    },
]


BROWSES = [
    {"user_id": "anna", "time": "2024-01-31T14:00:00+02:00", "doc_id": "a", "dwell_seconds": 5},
    {"user_id": "bert", "time": "2024-01-31 12:00:00", "doc_id": "b"},
]


ROWS = {"documents": DOCUMENTS, "requests": REQUESTS, "browses": BROWSES}


def write_csv(path, table, rows):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding="utf-8") as file:
        given = ["split"] if any("split" in row for row in rows) else []
        writer = csv.DictWriter(file, [*SCHEMAS[table].names, *given])
        writer.writeheader()
        for row in rows:
            lists = {"results": json.dumps(row["results"])} if "results" in row else {}
            writer.writerow({**row, **lists})


def write_jsonl(path, table, rows):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows)


def parse_value(value):
    """Return times of a row as datetimes, without the tested code."""
    if isinstance(value, dict):
        times = ("time", "click_time", "published")
        return {
            name: parse_time(item) if name in times and item else parse_value(item)
            for name, item in value.items()
        }
    return [parse_value(item) for item in value] if isinstance(value, list) else value


def parse_time(text):
    time = datetime.datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def write_parquet(path, table, rows):
    pq.write_table(pa.Table.from_pylist(parse_value(rows), schema=SCHEMAS[table]), path)


WRITERS = {
    "csv": write_csv,
    "csv.gz": write_csv,
    "jsonl": write_jsonl,
    "jsonl.gz": write_jsonl,
    "parquet": write_parquet,
}


def import_folder(folder, settings=PLAIN, columns=()):
    source = tables.read(folder, columns)
    output = folder.with_name(folder.name + "-log")
    write_log(output, source.batches, settings, source.description)
    return open_log(output)


def read_quarantine(log):
    rows = pq.read_table(log.quarantine).to_pylist()
    return sorted((row["file"], row["row"], row["rule"], row["value"]) for row in rows)
