"""Rules for the rows of canonical tables, checked batch by batch.

Checks work on complete columns; only rows that break a rule are handled one by one. One bad result
rejects its complete request: a list with a gap would have other ranks and other negatives.
Duplicates within a table are found when the log is finished.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.common.codes import Split
from data_pipeline.log.quarantine import Faults, Rule, Value

Mask = npt.NDArray[np.bool_]

EARLIEST, LATEST = (int(np.datetime64(day, "us").astype(np.int64)) for day in ("1990", "2100"))
"""Times outside of [1990, 2100) come from a wrong unit, not from a user."""

DOC_ID = Rule("doc-id-empty", "`doc_id` must not be empty. Fix: fill it, or remove the row.")
TITLE = Rule("title-null", '`title` must not be null. Fix: write "" for a document without one.')
PUBLISHED = Rule(
    "published-range",
    "`published` must be in 1990 to 2099. Fix: check its unit, or leave it empty.",
)
REQUEST_ID = Rule("request-id-empty", "`request_id` must not be empty. Fix: number the requests.")
USER_ID = Rule(
    "user-id-empty", "`user_id` must not be empty. Fix: fill it, or remove the row from the source."
)
TIME_NULL = Rule(
    "time-null", "`time` must not be empty. Fix: fill it, or remove the row from the source."
)
TIME_RANGE = Rule("time-range", "`time` must be in 1990 to 2099. Fix: check its unit.")
QUERY = Rule("query-null", '`query` must not be null. Fix: write "" for a recommendation.')
RESULTS = Rule("results-null", "`results` must be a list. Fix: write [] for an empty list.")
RESULTS_EMPTY = Rule(
    "results-empty",
    "A recommendation must show a result. Fix: remove the row from the source.",
)
RESULT_UNKNOWN = Rule(
    "result-unknown",
    "Every result must be in documents. Fix: add the document with its title, or set --add_documents.",
)
RESULT_TWICE = Rule(
    "result-twice",
    "A list must show a document only once. Fix: keep the first result, and its click.",
)
CLICKED = Rule("clicked-null", "`clicked` must be true or false. Fix: write false for no click.")
CLICK_RANGE = Rule("click-time-range", "`click_time` must be in 1990 to 2099. Fix: check its unit.")
CLICK_EARLY = Rule(
    "click-before-request",
    "A click must not precede its request. Fix: check clocks and time zones.",
)
UNCLICKED = Rule(
    "unclicked-with-click",
    "A result without a click must not have `click_time` or `dwell_seconds`. Fix: set `clicked`, "
    "or leave both empty.",
)
DWELL = Rule(
    "dwell-range",
    "`dwell_seconds` must be a finite number of at least 0. Fix: leave it empty if unknown.",
)
BROWSE_UNKNOWN = Rule(
    "doc-unknown",
    "Every browsed document must be in documents. Fix: add the document with its title, or set "
    "--add_documents.",
)
SPLIT = Rule(
    "split-unknown",
    f"`split` must be {', '.join(Split)}, or empty. Fix: rewrite it, or leave the column out.",
)
UNLABELED_CLICK = Rule(
    "unlabeled-with-click",
    "An unlabeled request must have no click. Fix: write its split, or `clicked` false.",
)
DOC_TWICE = Rule(
    "doc-id-twice", "A `doc_id` must be in documents only once. Fix: remove the other rows."
)
REQUEST_TWICE = Rule(
    "request-id-twice",
    "A `request_id` must be in requests only once. Fix: number the requests over all files.",
)
BROWSE_TWICE = Rule(
    "browse-twice",
    "A user must browse a document only once at a time. Fix: remove the repeated row.",
)
TWICE = {
    "documents": DOC_TWICE,
    "requests": REQUEST_TWICE,
    "browses": BROWSE_TWICE,
    "unlabeled": REQUEST_TWICE,
    "splits": REQUEST_TWICE,
}
"""Rule for rows of a table that share their key with an earlier row."""


def _mask(column: pa.Array) -> Mask:
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)


def _empty(column: pa.Array) -> Mask:
    return _mask(pc.equal(pc.binary_length(column.fill_null("")), 0))


def _null(column: pa.Array) -> Mask:
    return _mask(column.is_null())


def _out_of_range(column: pa.Array) -> Mask:
    micros = column.cast(pa.int64()).fill_null(EARLIEST).to_numpy(zero_copy_only=False)
    outside: Mask = (micros < EARLIEST) | (micros >= LATEST)
    return outside


def _bad_dwell(column: pa.Array) -> Mask:
    seconds = column.fill_null(0.0).to_numpy(zero_copy_only=False)
    bad: Mask = ~(np.isfinite(seconds) & (seconds >= 0))
    return bad


def _value(column: pa.Array) -> Callable[[int], Value]:
    """Return the values of rows; times as NumPy holds them, since they may be in no calendar."""
    if pa.types.is_timestamp(column.type):
        times = column.cast(pa.int64())
        return lambda row: np.datetime64(times[row].as_py(), "us")
    return lambda row: column[row].as_py()


def _no_value(_: int) -> str:
    return ""


def check_documents(rows: pa.RecordBatch, faults: Faults) -> None:
    """Mark documents without an id or title, or with an impossible time."""
    faults.mark(_empty(rows["doc_id"]), DOC_ID, _value(rows["doc_id"]))
    faults.mark(_null(rows["title"]), TITLE, _value(rows["doc_id"]))
    faults.mark(_out_of_range(rows["published"]), PUBLISHED, _value(rows["published"]))


def _check_user_and_time(rows: pa.RecordBatch, faults: Faults) -> None:
    faults.mark(_empty(rows["user_id"]), USER_ID, _no_value)
    faults.mark(_null(rows["time"]), TIME_NULL, _no_value)
    faults.mark(_out_of_range(rows["time"]), TIME_RANGE, _value(rows["time"]))


def check_browses(rows: pa.RecordBatch, documents: pa.Array, faults: Faults) -> None:
    """Mark browses without user or time, of unknown documents, or with an impossible dwell.

    Args:
        documents: All known doc_ids.
    """
    _check_user_and_time(rows, faults)
    unknown = _null(pc.index_in(rows["doc_id"], documents, skip_nulls=True))
    faults.mark(unknown, BROWSE_UNKNOWN, _value(rows["doc_id"]))
    faults.mark(_bad_dwell(rows["dwell_seconds"]), DWELL, _value(rows["dwell_seconds"]))


def check_requests(rows: pa.RecordBatch, documents: pa.Array, faults: Faults) -> None:
    """Mark requests that break a rule themselves or in a result of their list.

    A search may have an empty list; a recommendation may not.

    Args:
        documents: All known doc_ids.
    """
    faults.mark(_empty(rows["request_id"]), REQUEST_ID, _no_value)
    _check_user_and_time(rows, faults)
    faults.mark(_null(rows["query"]), QUERY, _value(rows["request_id"]))
    results = rows["results"]
    faults.mark(_null(results), RESULTS, _value(rows["request_id"]))
    no_results = _mask(pc.equal(pc.list_value_length(results), 0)) & _empty(rows["query"])
    faults.mark(no_results, RESULTS_EMPTY, _value(rows["request_id"]))
    _check_items(rows, documents, faults)


def find_unknown_documents(rows: pa.RecordBatch, table: str, documents: pa.Array) -> pa.Array:
    """Return the distinct ids that requests or browses name and `documents` lacks."""
    column = rows["doc_id"] if table == "browses" else rows["results"].flatten().field("doc_id")
    ids = column.unique()
    return ids.filter(pc.and_(pc.is_null(pc.index_in(ids, documents)), pc.not_equal(ids, "")))


def are_unlabeled(splits: pa.Array) -> Mask:
    """Return which requests have withheld answers: bool [rows]."""
    return _mask(pc.equal(splits, Split.UNLABELED))


def check_splits(rows: pa.RecordBatch, faults: Faults) -> None:
    """Mark requests with an unknown split, and unlabeled ones with a click."""
    splits = rows["split"]
    known = pc.is_in(splits, pa.array(["", None, *Split], pa.string()))
    faults.mark(~_mask(known), SPLIT, _value(splits))
    clicked = pc.struct_field(rows["results"].flatten(), ["clicked"])
    parents = pc.list_parent_indices(rows["results"]).to_numpy(zero_copy_only=False)
    clicks = np.bincount(parents[_mask(clicked)], minlength=rows.num_rows) > 0
    faults.mark(are_unlabeled(splits) & clicks, UNLABELED_CLICK, _no_value)


def _check_items(rows: pa.RecordBatch, documents: pa.Array, faults: Faults) -> None:
    """Mark requests by the results of their lists; works on all results [items] at once."""
    parents = pc.list_parent_indices(rows["results"]).to_numpy(zero_copy_only=False)
    items = rows["results"].flatten()
    doc, clicked, click_time, dwell = (
        pc.struct_field(items, [name])
        for name in ("doc_id", "clicked", "click_time", "dwell_seconds")
    )

    def mark(bad: Mask, rule: Rule, column: pa.Array) -> None:
        bad_items = np.flatnonzero(bad)
        if len(bad_items):
            requests, first = np.unique(parents[bad_items], return_index=True)
            item = dict(zip(requests.tolist(), bad_items[first].tolist(), strict=True))
            bad_requests = np.zeros(rows.num_rows, bool)
            bad_requests[requests] = True
            value = _value(column)
            faults.mark(bad_requests, rule, lambda row: value(item[row]))

    codes = pc.index_in(doc, documents, skip_nulls=True)
    mark(_null(codes), RESULT_UNKNOWN, doc)
    # A list with an unknown document is marked already, so its code may be anything.
    document = codes.fill_null(0).to_numpy(zero_copy_only=False)
    mark(_repeated(parents * len(documents) + document), RESULT_TWICE, doc)
    mark(_null(clicked), CLICKED, doc)
    mark(_out_of_range(click_time), CLICK_RANGE, click_time)
    request_time = rows["time"].cast(pa.int64()).fill_null(EARLIEST).to_numpy(zero_copy_only=False)
    clicked_at = click_time.cast(pa.int64()).fill_null(LATEST).to_numpy(zero_copy_only=False)
    mark(clicked_at < request_time[parents], CLICK_EARLY, click_time)
    mark(~_mask(clicked) & ~(_null(click_time) & _null(dwell)), UNCLICKED, doc)
    mark(_bad_dwell(dwell), DWELL, dwell)


def _repeated(keys: npt.NDArray[np.int64]) -> Mask:
    """Return which keys repeat an earlier key."""
    order = np.argsort(keys, kind="stable")
    repeated = np.zeros(len(keys), bool)
    repeated[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return repeated
