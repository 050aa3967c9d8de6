"""Hand-made batches of raw rows."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.log.raw_rows import RawBatch
from data_pipeline.log.schema import BROWSES, DOCUMENTS, REQUESTS
from data_pipeline.settings import LogSettings

NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)


PLAIN = LogSettings(mask_users=False, quarantine_share=1.0)


def minute_at(minute: int) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=minute)


def batch_documents(*ids: str, file="d.csv") -> RawBatch:
    rows = [{"doc_id": doc, "title": f"title {doc}"} for doc in ids]
    return RawBatch("documents", pa.Table.from_pylist(rows, schema=DOCUMENTS), file)


def make_request(number: int, user="anna", query="q", docs=("a", "b"), clicked=None, **item):
    results = [{"doc_id": doc, "clicked": doc == clicked} for doc in docs]
    for place in results:
        if place["clicked"]:
            place.update(item)
    return {
        "request_id": f"r{number}",
        "user_id": user,
        "time": minute_at(number),
        "query": query,
        "results": results,
    }


def batch_requests(*rows, file="r.csv", **where) -> RawBatch:
    return RawBatch("requests", pa.Table.from_pylist(list(rows), schema=REQUESTS), file, **where)


def batch_browses(*rows, file="b.csv", **where) -> RawBatch:
    named = [dict(zip(BROWSES.names, row, strict=False)) for row in rows]
    return RawBatch("browses", pa.Table.from_pylist(named, schema=BROWSES), file, **where)


def read_quarantine(folder):
    return pq.read_table(folder / "quarantine.parquet").to_pylist()
