import datetime
import zoneinfo

import pyarrow as pa
import pytest

from data_pipeline.log.schema import (
    BROWSES,
    ITEM,
    RAW_SCHEMAS,
    TIME,
    LogError,
    cast_batch,
    check_columns,
)

NOON = datetime.datetime(2024, 1, 1, 12)
UTC_NOON = NOON.replace(tzinfo=datetime.UTC)


def _browses(**columns) -> pa.RecordBatch:
    plain = {
        "user_id": pa.array(["u"]),
        "time": pa.array([NOON], TIME),
        "doc_id": pa.array(["d"]),
        "dwell_seconds": pa.array([1.5]),
    }
    return pa.record_batch({**plain, **columns})


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ms", "UTC"), TIME]
)
def test_times_of_any_unit_become_microseconds_and_naive_ones_are_utc(kind):
    rows = cast_batch("browses", _browses(time=pa.array([NOON], kind)), "f")
    assert rows.schema == BROWSES and rows["time"].to_pylist() == [UTC_NOON]


def test_nanoseconds_are_cut_to_microseconds():
    column = pa.array([1_704_110_400_000_001_999], pa.timestamp("ns"))
    rows = cast_batch("browses", _browses(time=column), "f")
    assert rows["time"].to_pylist() == [UTC_NOON + datetime.timedelta(microseconds=1)]


def test_a_time_with_a_zone_keeps_its_instant():
    there = NOON.replace(tzinfo=zoneinfo.ZoneInfo("Asia/Tokyo"))
    column = pa.array([there], pa.timestamp("us", "Asia/Tokyo"))
    rows = cast_batch("browses", _browses(time=column), "f")
    assert rows["time"].to_pylist()[0] == UTC_NOON - datetime.timedelta(hours=9)


def test_strings_of_any_layout_and_whole_numbers_fit():
    columns = {
        "user_id": pa.array(["u"]).dictionary_encode(),
        "doc_id": pa.array(["d"], pa.large_string()),
        "dwell_seconds": pa.array([2], pa.int32()),
    }
    rows = cast_batch("browses", _browses(**columns), "f")
    assert rows.to_pylist() == [
        {"user_id": "u", "time": UTC_NOON, "doc_id": "d", "dwell_seconds": 2.0}
    ]


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("user_id", pa.array([7.5]), "f: the column `user_id` must be text.*double.*as string"),
        ("time", pa.array(["2024"]), "the column `time` must be a timestamp.*string"),
        (
            "time",
            pa.array([1704110400]),
            "`time` must be a timestamp.*int64.*--columns=requests.time=",
        ),
        ("dwell_seconds", pa.array(["3"]), "`dwell_seconds` must be a number"),
    ],
)
def test_a_wrong_type_is_an_error_with_file_column_type_and_fix(column, value, message):
    with pytest.raises(LogError, match=message):
        cast_batch("browses", _browses(**{column: value}), "f")


def test_a_time_that_microseconds_cannot_hold_is_an_error():
    with pytest.raises(LogError, match="`time` must fit timestamp"):
        cast_batch("browses", _browses(time=pa.array([2**62], pa.timestamp("s"))), "f")


@pytest.mark.parametrize(
    "names, message",
    [
        (["user_id", "doc_id"], "must have the column `time`"),
        (
            ["user_id", "time", "doc_id", "query"],
            "must not have columns with other names than user_id",
        ),
        (["user_id", "time", "doc_id", "time"], "must have the column `time` only once"),
    ],
)
def test_wrong_columns_are_an_error_that_lists_the_right_ones(names, message):
    with pytest.raises(LogError, match=rf"^part\.csv: a browses file {message}.*Got columns"):
        check_columns("browses", names, "part.csv")


def _requests(results: pa.Array) -> pa.RecordBatch:
    rows = len(results)
    return pa.record_batch(
        {
            "request_id": pa.array([f"r{row}" for row in range(rows)]),
            "user_id": pa.array(["u"] * rows),
            "time": pa.array([NOON] * rows, TIME),
            "query": pa.array(["q"] * rows),
            "results": results,
        }
    )


def test_results_without_optional_fields_in_another_order_fit_and_null_lists_stay_null():
    kind = pa.large_list(pa.struct([("clicked", pa.bool_()), ("doc_id", pa.large_string())]))
    one, two = {"clicked": True, "doc_id": "a"}, {"clicked": False, "doc_id": "b"}
    column = pa.array([[two], [one, two], None, []], kind)
    rows = cast_batch("requests", _requests(column).slice(1), "f")
    empty = {"click_time": None, "dwell_seconds": None}
    assert rows.schema == RAW_SCHEMAS["requests"]
    assert rows["results"].to_pylist() == [[{**one, **empty}, {**two, **empty}], None, []]


@pytest.mark.parametrize(
    "results, message",
    [
        (pa.array(["[]"]), "`results` must be a list of structs.*string"),
        (pa.array([["a"]]), "`results` must be a list of structs"),
        (pa.array([[{"doc_id": "a"}]]), "a results file must have the column `clicked`"),
        (pa.array([[{"doc_id": "a", "clicked": 1}]]), "`results.clicked` must be a boolean"),
        (
            pa.array([[{"doc_id": "a", "clicked": True, "rank": 1}]]),
            "must not have columns with other names .*in position 3",
        ),
    ],
)
def test_wrong_results_are_an_error(results, message):
    with pytest.raises(LogError, match=message):
        cast_batch("requests", _requests(results), "f")


def test_lists_that_are_all_empty_have_no_type_and_fit():
    rows = cast_batch("requests", _requests(pa.array([[], []], pa.list_(pa.null()))), "f")
    assert rows["results"].type == pa.list_(ITEM) and rows["results"].to_pylist() == [[], []]
