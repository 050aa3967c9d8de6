import pytest

from data_pipeline.importers.formats.column_names import (
    ColumnNames,
    file_columns,
    parse_columns,
    take_units,
)
from data_pipeline.log.schema import LogError

NAMES = ["uid", "ts", "doc_id", "page"]
MAPPING = {"user_id": "uid", "time": "ts"}


def test_mapped_columns_come_from_their_source_and_the_others_by_their_own_name():
    found = file_columns("browses", NAMES, "b.csv", MAPPING)
    assert dict(found.sources) == {"user_id": "uid", "time": "ts", "doc_id": "doc_id"}
    assert found.left_out == ["page"]


def test_without_a_mapping_a_file_has_the_canonical_columns_alone():
    found = file_columns("browses", ["time", "doc_id", "user_id"], "b.csv", {})
    assert list(found.sources) == ["user_id", "time", "doc_id"]
    with pytest.raises(
        LogError,
        match=r"b\.csv: a browses file must not have columns with other names .*in position 4",
    ):
        file_columns("browses", ["time", "doc_id", "user_id", "page"], "b.csv", {})


def test_a_mapping_goes_before_the_canonical_name():
    names = ["user_id", "uid", "time", "doc_id"]
    found = file_columns("browses", names, "b.csv", {"user_id": "uid"})
    assert found.sources["user_id"] == "uid" and found.left_out == ["user_id"]
    # `time` holds the user, so it does not hold the time.
    with pytest.raises(LogError, match=r"column `time`.*--columns=browses\.time="):
        file_columns("browses", names, "b.csv", {"user_id": "time"})
    swapped = {"doc_id": "user_id", "user_id": "doc_id"}
    assert file_columns("browses", ["user_id", "doc_id", "time"], "b.csv", swapped).left_out == []


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ts", "doc_id"], r"b\.csv: .* column `uid`, which --columns names for `user_id`"),
        (["uid", "ts"], r"column `doc_id`\. Got columns uid, ts\. .*browses\.doc_id="),
        (["uid", "ts", "doc_id", "uid"], "column `uid` once"),
        (["uid", "ts", "doc_id", "doc_id"], "column `doc_id` once"),
    ],
)
def test_a_missing_or_repeated_column_is_an_error(names, message):
    with pytest.raises(LogError, match=message):
        file_columns("browses", names, "b.csv", MAPPING)


def test_objects_may_lack_optional_columns_that_come_later():
    mapping = {"dwell_seconds": "dwell"}
    names = ["user_id", "time", "doc_id"]
    with pytest.raises(LogError, match="column `dwell`"):
        file_columns("browses", names, "b.csv", mapping)
    found = file_columns("browses", names, "b.jsonl", mapping, sparse=True)
    assert found.sources["dwell_seconds"] == "dwell"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["requests.user_id"], r"pairs of .*Got 'requests\.user_id'.*Fix: write --columns="),
        (["user_id=uid"], "pairs of"),
        (["requests.user_id="], "pairs of"),
        (["clicks.user_id=uid"], "tables of a log.*documents, requests, browses"),
        (["requests.user=uid"], "canonical columns.*'requests.user=uid'.*request_id, user_id, ti"),
        (["requests.results.doc_id=item"], "canonical columns"),
        (["browses.time=ts", "browses.time=at"], r"`browses\.time` once"),
        (["browses.time=ts", "browses.doc_id=ts"], "the column `ts` of browses once"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_an_error(pairs, message):
    with pytest.raises(ValueError, match=message):
        parse_columns(pairs)


def test_one_source_column_may_serve_two_tables_and_columns_left_out_are_listed():
    columns = ColumnNames(["requests.user_id=uid", "browses.user_id=uid", "browses.time=ts"])
    assert columns.find("browses", "b.csv", NAMES).sources["user_id"] == "uid"
    columns.find("documents", "d.csv", ["doc_id", "title"])
    assert columns.left_out == {"b.csv": ["page"]}
    assert list(columns.find("browses", "c.jsonl", None).sources.values()) == [
        "uid",
        "ts",
        "doc_id",
        "dwell_seconds",
    ]


def test_only_a_known_unit_of_a_time_is_taken_off():
    pairs = ["requests.time=ts:ms", "browses.time=a:b:s", "documents.published=day:us"]
    plain, units = take_units(
        [*pairs, "requests.user_id=u:ms", "browses.doc_id=d", "requests.time"]
    )
    assert plain[:3] == ["requests.time=ts", "browses.time=a:b", "documents.published=day"]
    assert plain[3:] == ["requests.user_id=u:ms", "browses.doc_id=d", "requests.time"]
    assert units == {
        "requests": {"time": "ms"},
        "browses": {"time": "s"},
        "documents": {"published": "us"},
    }
    assert take_units(["requests.time=ts:week"]) == (["requests.time=ts:week"], {})
