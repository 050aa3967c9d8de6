"""The rules a row of a canonical table must keep, checked a batch at a time.

Every check works on whole columns; only rows that break a rule are looked at one by one. A broken
place of a shown list rejects its whole request, since a list with a hole has other ranks and
another choice of negatives. Duplicates over the whole table are found when the log is finished.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.log.quarantine import Faults, Rule, Value

Mask = npt.NDArray[np.bool_]

EARLIEST, LATEST = (int(np.datetime64(day, "us").astype(np.int64)) for day in ("1990", "2100"))
"""Times outside of [1990, 2100) come from a wrong unit, not from a user."""

DOC_ID = Rule("doc-id-empty", "A document needs a `doc_id`. Give it one or remove the row.")
TITLE = Rule("title-null", 'A document needs a `title`. Write "" where it has none.')
PUBLISHED = Rule(
    "published-range", "`published` must lie in 1990 to 2099. Check its unit, or leave it empty."
)
REQUEST_ID = Rule("request-id-empty", "A request needs a `request_id`. Number the requests.")
USER_ID = Rule(
    "user-id-empty", "A `user_id` must not be empty. Fill it, or leave the row out of the source."
)
TIME_NULL = Rule("time-null", "A row needs a `time`. Fill it, or leave the row out of the source.")
TIME_RANGE = Rule("time-range", "`time` must lie in 1990 to 2099. Check its unit.")
QUERY = Rule("query-null", 'A request needs a `query`. Write "" for a recommendation.')
RESULTS = Rule("results-null", "A request needs its list of `results`. Write [] for none.")
RESULTS_EMPTY = Rule(
    "results-empty", "A recommendation must show something. Leave it out of the source."
)
RESULT_UNKNOWN = Rule(
    "result-unknown", "Every result must stand in documents. Add the document, with its title."
)
RESULT_TWICE = Rule(
    "result-twice", "A document must stand once in a list. Keep its first place, and its click."
)
CLICKED = Rule("clicked-null", "`clicked` must be true or false. Write false for no click.")
CLICK_RANGE = Rule("click-time-range", "`click_time` must lie in 1990 to 2099. Check its unit.")
CLICK_EARLY = Rule(
    "click-before-request", "A click cannot precede its request. Check clocks and time zones."
)
UNCLICKED = Rule(
    "unclicked-with-click",
    "A result that was not clicked has no `click_time` and no `dwell_seconds`. Set `clicked`, or "
    "leave both empty.",
)
DWELL = Rule(
    "dwell-range", "`dwell_seconds` must be a finite number from 0 on. Leave it empty if unknown."
)
BROWSE_UNKNOWN = Rule(
    "doc-unknown", "Every browsed document must stand in documents. Add it, with its title."
)
DOC_TWICE = Rule("doc-id-twice", "A `doc_id` must stand once in documents. Remove the others.")
REQUEST_TWICE = Rule(
    "request-id-twice", "A `request_id` must stand once in requests. Number them over all files."
)
BROWSE_TWICE = Rule(
    "browse-twice", "A user browses a document once at a time. Remove the repeated row."
)


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
    """The value of a row; a time as NumPy holds it, since no calendar may."""
    if pa.types.is_timestamp(column.type):
        times = column.cast(pa.int64())
        return lambda row: np.datetime64(times[row].as_py(), "us")
    return lambda row: column[row].as_py()


def _no_value(_: int) -> str:
    return ""


def check_documents(rows: pa.RecordBatch, faults: Faults) -> None:
    """Marks documents without an id or title, or published at an impossible time."""
    faults.mark(_empty(rows["doc_id"]), DOC_ID, _value(rows["doc_id"]))
    faults.mark(_null(rows["title"]), TITLE, _value(rows["doc_id"]))
    faults.mark(_out_of_range(rows["published"]), PUBLISHED, _value(rows["published"]))


def _check_user_and_time(rows: pa.RecordBatch, faults: Faults) -> None:
    faults.mark(_empty(rows["user_id"]), USER_ID, _no_value)
    faults.mark(_null(rows["time"]), TIME_NULL, _no_value)
    faults.mark(_out_of_range(rows["time"]), TIME_RANGE, _value(rows["time"]))


def check_browses(rows: pa.RecordBatch, documents: pa.Array, faults: Faults) -> None:
    """Marks browses without user or time, of unknown documents, or with an impossible dwell.

    Args:
        documents: All known doc_ids.
    """
    _check_user_and_time(rows, faults)
    unknown = _null(pc.index_in(rows["doc_id"], documents, skip_nulls=True))
    faults.mark(unknown, BROWSE_UNKNOWN, _value(rows["doc_id"]))
    faults.mark(_bad_dwell(rows["dwell_seconds"]), DWELL, _value(rows["dwell_seconds"]))


def check_requests(rows: pa.RecordBatch, documents: pa.Array, faults: Faults) -> None:
    """Marks requests that break a rule themselves or in a place of their list.

    A search may show nothing; a recommendation may not.

    Args:
        documents: All known doc_ids.
    """
    faults.mark(_empty(rows["request_id"]), REQUEST_ID, _no_value)
    _check_user_and_time(rows, faults)
    faults.mark(_null(rows["query"]), QUERY, _value(rows["request_id"]))
    results = rows["results"]
    faults.mark(_null(results), RESULTS, _value(rows["request_id"]))
    bare = _mask(pc.equal(pc.list_value_length(results), 0)) & _empty(rows["query"])
    faults.mark(bare, RESULTS_EMPTY, _value(rows["request_id"]))
    _check_items(rows, documents, faults)


def _check_items(rows: pa.RecordBatch, documents: pa.Array, faults: Faults) -> None:
    """Marks requests by the places of their lists; works on all places [items] at once."""
    parents = pc.list_parent_indices(rows["results"]).to_numpy(zero_copy_only=False)
    items = rows["results"].flatten()
    doc, clicked, click_time, dwell = (
        pc.struct_field(items, [name])
        for name in ("doc_id", "clicked", "click_time", "dwell_seconds")
    )

    def mark(bad: Mask, rule: Rule, column: pa.Array) -> None:
        places = np.flatnonzero(bad)
        if len(places):
            requests, first = np.unique(parents[places], return_index=True)
            place = dict(zip(requests.tolist(), places[first].tolist(), strict=True))
            whole = np.zeros(rows.num_rows, bool)
            whole[requests] = True
            value = _value(column)
            faults.mark(whole, rule, lambda row: value(place[row]))

    codes = pc.index_in(doc, documents, skip_nulls=True)
    mark(_null(codes), RESULT_UNKNOWN, doc)
    # A list with an unknown document is marked by now, so its code may be any.
    places = codes.fill_null(0).to_numpy(zero_copy_only=False)
    mark(_repeated(parents * len(documents) + places), RESULT_TWICE, doc)
    mark(_null(clicked), CLICKED, doc)
    mark(_out_of_range(click_time), CLICK_RANGE, click_time)
    asked = rows["time"].cast(pa.int64()).fill_null(EARLIEST).to_numpy(zero_copy_only=False)
    at = click_time.cast(pa.int64()).fill_null(LATEST).to_numpy(zero_copy_only=False)
    mark(at < asked[parents], CLICK_EARLY, click_time)
    mark(~_mask(clicked) & ~(_null(click_time) & _null(dwell)), UNCLICKED, doc)
    mark(_bad_dwell(dwell), DWELL, dwell)


def _repeated(keys: npt.NDArray[np.int64]) -> Mask:
    """Where a key stood before."""
    order = np.argsort(keys, kind="stable")
    repeated = np.zeros(len(keys), bool)
    repeated[order[1:]] = keys[order[1:]] == keys[order[:-1]]
    return repeated
