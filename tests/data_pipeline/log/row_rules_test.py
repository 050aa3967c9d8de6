import datetime
import math

import numpy as np
import pyarrow as pa
import pytest

from data_pipeline.log.quarantine import Faults
from data_pipeline.log.row_rules import check_browses, check_documents, check_requests
from data_pipeline.log.schema import BROWSES, DOCUMENTS, REQUESTS

NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
KNOWN = pa.array(["a", "b", "c"])


def _item(doc_id="a", clicked=False, click_time=None, dwell_seconds=None):
    return {
        "doc_id": doc_id,
        "clicked": clicked,
        "click_time": click_time,
        "dwell_seconds": dwell_seconds,
    }


GOOD_REQUEST = {
    "request_id": "r",
    "user_id": "u",
    "time": NOON,
    "query": "q",
    "results": [_item("b"), _item("a", True, NOON, 0.0), _item("c", True)],
}
GOOD_BROWSE = {"user_id": "u", "time": NOON, "doc_id": "a", "dwell_seconds": 3.0}
GOOD_DOCUMENT = {"doc_id": "a", "title": "", "category": None, "published": None}


def _check(check, schema, good, change, *arguments):
    """Return rules and forms of values of a batch of good, changed, good rows."""
    rows = pa.RecordBatch.from_pylist([good, {**good, **change}, good], schema=schema)
    faults = Faults(3)
    check(rows, *arguments, faults)
    listed = faults.rejected("t", "f", np.array([11, 12, 13])).to_pylist()
    assert all(row["row"] == 12 for row in listed)
    assert faults.kept.tolist() == [True, not listed, True]
    return [(row["rule"], row["value"]) for row in listed]


REQUESTS_THAT_FAIL = [
    ({"request_id": ""}, "request-id-empty", ""),
    ({"request_id": None}, "request-id-empty", ""),
    ({"user_id": ""}, "user-id-empty", ""),
    ({"user_id": None}, "user-id-empty", ""),
    ({"time": None}, "time-null", ""),
    ({"time": NOON.replace(year=1970)}, "time-range", "a time in the year 1970"),
    ({"time": NOON.replace(year=2100)}, "time-range", None),
    ({"query": None}, "query-null", "1 character"),
    ({"results": None}, "results-null", "1 character"),
    ({"query": "", "results": []}, "results-empty", "1 character"),
    ({"results": [_item("b"), _item("zz")]}, "result-unknown", "2 characters"),
    ({"results": [_item(None)]}, "result-unknown", "null"),
    ({"results": [None]}, "result-unknown", "null"),
    ({"results": [_item("a"), _item("b"), _item("a")]}, "result-twice", "1 character"),
    ({"results": [_item("a", None)]}, "clicked-null", "1 character"),
    ({"results": [_item("a", True, NOON - SECOND)]}, "click-before-request", None),
    ({"results": [_item("a", True, NOON.replace(year=2222))]}, "click-time-range", None),
    ({"results": [_item("b"), _item("a", False, NOON)]}, "unclicked-with-click", "1 character"),
    ({"results": [_item("a", False, None, 3.0)]}, "unclicked-with-click", "1 character"),
    ({"results": [_item("a", True, NOON, -1.0)]}, "dwell-range", "a negative number"),
    ({"results": [_item("a", True, NOON, math.nan)]}, "dwell-range", "not a number"),
    ({"results": [_item("a", True, NOON, math.inf)]}, "dwell-range", "an infinite number"),
]


@pytest.mark.parametrize("change, rule, value", REQUESTS_THAT_FAIL)
def test_a_request_that_breaks_a_rule_is_rejected_with_its_value(change, rule, value):
    [listed] = _check(check_requests, REQUESTS, GOOD_REQUEST, change, KNOWN)
    assert listed[0] == rule and value in (None, listed[1])


@pytest.mark.parametrize(
    "change",
    [
        {"results": []},
        {"query": ""},
        {"time": NOON.replace(year=1990, month=1, day=1, hour=0)},
    ],
)
def test_a_search_that_shows_nothing_a_recommendation_and_an_early_time_are_fine(change):
    assert _check(check_requests, REQUESTS, GOOD_REQUEST, change, KNOWN) == []


def test_the_same_document_in_two_lists_is_not_a_repetition():
    rows = pa.RecordBatch.from_pylist([GOOD_REQUEST] * 4, schema=REQUESTS).slice(1)
    faults = Faults(3)
    check_requests(rows, KNOWN, faults)
    assert faults.kept.all()


def test_two_unknown_documents_of_a_list_are_reported_as_unknown():
    change = {"results": [_item("y"), _item("z")]}
    listed = _check(check_requests, REQUESTS, GOOD_REQUEST, change, KNOWN)
    assert listed == [("result-unknown", "1 character")]


@pytest.mark.parametrize(
    "change, rule, value",
    [
        ({"user_id": ""}, "user-id-empty", ""),
        ({"time": None}, "time-null", ""),
        ({"time": NOON.replace(year=1980)}, "time-range", None),
        ({"doc_id": "zz"}, "doc-unknown", "2 characters"),
        ({"doc_id": None}, "doc-unknown", "null"),
        ({"dwell_seconds": -0.5}, "dwell-range", "a negative number"),
        ({"dwell_seconds": math.nan}, "dwell-range", "not a number"),
    ],
)
def test_a_browse_that_breaks_a_rule_is_rejected_with_its_value(change, rule, value):
    [listed] = _check(check_browses, BROWSES, GOOD_BROWSE, change, KNOWN)
    assert listed[0] == rule and value in (None, listed[1])


def test_a_browse_without_dwell_is_fine():
    assert _check(check_browses, BROWSES, GOOD_BROWSE, {"dwell_seconds": None}, KNOWN) == []


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"doc_id": ""}, "doc-id-empty"),
        ({"doc_id": None}, "doc-id-empty"),
        ({"title": None}, "title-null"),
        ({"published": NOON.replace(year=1970)}, "published-range"),
    ],
)
def test_a_document_that_breaks_a_rule_is_rejected(change, rule):
    [listed] = _check(check_documents, DOCUMENTS, GOOD_DOCUMENT, change)
    assert listed[0] == rule


def test_a_row_is_reported_once_by_the_first_rule_it_breaks():
    change = {"user_id": "", "doc_id": "zz", "dwell_seconds": -1.0}
    assert _check(check_browses, BROWSES, GOOD_BROWSE, change, KNOWN) == [("user-id-empty", "")]
