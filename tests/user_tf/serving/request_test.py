"""The JSON format of requests, its errors, and the arrays made from it."""

import json
import math

import numpy as np
import pytest

from user_tf.serving.request import Behavior, Opening, Request, RequestError, to_arrays
from user_tf.serving.request_json import cut_sessions, from_json, to_json

FULL = {
    "request_id": "r1",
    "user_id": "u",
    "query": "running shoes",
    "session": 3,
    "history": [
        {"session": 1, "query": "shoes", "clicked": ["Trail shoe", "Road shoe"]},
        {"session": 1, "query": "socks"},
        {"session": 3, "title": "How to run"},
    ],
    "opened": [{"session": 1, "query": "shoes", "title": "Trail shoe"}, {"title": "Sandals"}],
    "candidates": ["Trail shoe", ""],
    "features": [[0.5, None], [1, -2]],
}


def read(**changes):
    body = {name: value for name, value in (FULL | changes).items() if value is not ...}
    return from_json(json.dumps(body))


def test_a_full_request_is_read():
    request = read()
    assert request.task == "search" and request.session == 3 and request.request_id == "r1"
    assert request.history == (
        Behavior(1, "shoes", ("Trail shoe", "Road shoe")),
        Behavior(1, "socks", ()),
        Behavior(3, "", ("How to run",)),
    )
    assert request.opened == (Opening(1, "shoes", "Trail shoe"), Opening(0, "", "Sandals"))
    together = read(opened=[{"title": "Cap"}, {"title": "Hat", "together": True}])
    assert together.opened == (Opening(0, "", "Cap"), Opening(0, "", "Hat", True))
    assert from_json(to_json(together)) == together
    with pytest.raises(RequestError, match=r"`opened\[0\].together` must be true or false. Got 1"):
        read(opened=[{"title": "Cap", "together": 1}])
    assert request.features is not None
    assert request.features[1] == (1.0, -2.0) and math.isnan(request.features[0][1])


def test_writing_and_reading_a_request_changes_nothing():
    request = read(features=[[0.5, 1.0], [1.0, -2.0]])
    assert from_json(to_json(request)) == request
    assert to_json(read()) == to_json(from_json(to_json(read())))


def test_an_absent_query_is_a_recommendation_of_an_unknown_user():
    request = from_json('{"session": 1, "candidates": ["a"]}')
    assert request == Request("", "", 1, (), ("a",))
    assert request.task == "recommendation"


def test_times_are_cut_into_sessions_and_activities_alone_continue_one():
    def sessions(*history):
        body = {"time": 7200, "history": history, "candidates": ["a"]}
        request = from_json(json.dumps(body))
        return [item.session for item in request.history], request.session

    first, second = {"time": 0, "title": "x"}, {"time": 5500, "query": "y"}
    assert sessions(first, second) == ([1, 2], 2)
    alive = [{"time": time} for time in (1800, 3600, 5400)]
    assert sessions(first, *alive, second) == ([1, 1], 1)
    iso = {"time": "1970-01-01T02:31:40+01:00", "query": "y"}
    assert sessions(first, iso) == ([1, 2], 2)


def test_a_gap_of_just_30_minutes_does_not_cut():
    assert cut_sessions([0, 1800, 3600.1]) == [1, 1, 2]
    assert cut_sessions([0, 600], minutes=5) == [1, 2]
    assert cut_sessions([]) == []


TIMED = {"time": 10, "session": ..., "history": [{"time": 20, "title": "x"}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": []}, r"`candidates` .* at least 1 title.*Got \[\]"),
        ({"candidates": "shoe"}, "`candidates` must be a list of strings.*Got 'shoe'"),
        ({"candidates": ["a", 3]}, r"`candidates\[1\]` must be a string.*Got 3"),
        ({"querry": "a"}, r"no other keys than candidates.*Got \['querry'\]"),
        ({"user_id": 7}, "`user_id` must be a string.*Got 7"),
        ({"query": "\ud800"}, "`query` must be Unicode text"),
        ({"session": 0}, "`session` must be an integer of at least 1.*Got 0"),
        ({"session": 2}, r"must not decrease.*Got \[1, 1, 3, 2\]"),
        ({"session": ...}, "`session` or `time` must be given by the request and each"),
        ({"time": 5}, "`session` or `time` must be given by the request and each"),
        (TIMED, "`time` must not decrease.*activity 1, which is 10 s before activity 0"),
        (TIMED | {"time": "2020-01-01"}, "`time` .*offset from UTC.*Got '2020-01-01'"),
        (TIMED | {"time": "noon"}, "`time` .*offset from UTC.*Got 'noon'"),
        (TIMED | {"time": True}, "`time` .*offset from UTC.*Got True"),
        ({"history": {}}, "`history` must be a list"),
        ({"history": [3]}, r"`history\[0\]` must be a JSON object"),
        ({"history": [{"session": 1}]}, r"`history\[0\]` must have either"),
        (
            {"history": [{"session": 1, "query": "a", "title": "b"}]},
            r"`history\[0\]` must have either",
        ),
        ({"history": [{"session": 1, "query": ""}]}, r"`history\[0\].query` must not be empty"),
        (
            {"history": [{"session": 1, "title": "b", "clicked": []}]},
            r"`history\[0\].clicked` must belong to a search",
        ),
        (
            {"history": [{"session": "1", "title": "b"}]},
            r"`history\[0\].session` .* integer of at least 1",
        ),
        ({"opened": {}}, "`opened` must be a list"),
        ({"opened": [{"session": 1}]}, r"`opened\[0\].title` must be a string.*Got None"),
        ({"opened": [{"title": "a", "time": 1}]}, r"`opened\[0\]` must have no other keys"),
        ({"features": [[1]]}, r"`features` must hold one list a candidate \(2\)"),
        ({"features": [[1], [1, 2]]}, "`features` must hold one list a candidate"),
        ({"features": [["1"], [2]]}, "`features` must hold finite numbers.*Got '1'"),
        ({"features": [[math.inf], [2]]}, "`features` must hold finite numbers.*Got inf"),
    ],
)
def test_a_malformed_request_is_refused_with_rule_and_value(changes, message):
    with pytest.raises(RequestError, match=message):
        read(**changes)


@pytest.mark.parametrize("text", ["{", "[1]", "null", ""])
def test_text_that_is_no_object_is_refused(text):
    with pytest.raises(RequestError, match=r"must be (one|a) JSON object"):
        from_json(text)


def test_arrays_are_padded_to_the_longest_request():
    arrays = to_arrays([from_json('{"session": 1, "candidates": ["a"]}'), read()], 2)
    assert arrays["history_count"].tolist() == [0, 3]
    assert arrays["history_session"].tolist() == [[0, 0, 0], [1, 1, 3]]
    assert arrays["history_query"].tolist() == [["", "", ""], ["shoes", "socks", ""]]
    assert arrays["history_title_count"].tolist() == [[0, 0, 0], [2, 0, 1]]
    assert arrays["history_titles"][1].tolist() == ["Trail shoe", "Road shoe", "How to run"]
    assert arrays["candidates"].tolist() == [["a", ""], ["Trail shoe", ""]]
    assert arrays["candidate_count"].tolist() == [1, 2]
    np.testing.assert_array_equal(arrays["features"][1], [[0.5, np.nan], [1, -2]])
    assert np.isnan(arrays["features"][0]).all()
    assert "features" not in to_arrays([read()])
    empty = to_arrays([from_json('{"session": 1, "candidates": ["a"]}')])
    assert all(array.size for array in empty.values())


def test_rows_of_f_of_another_width_are_refused():
    with pytest.raises(RequestError, match=r"must hold 3 values .*Got 2"):
        to_arrays([read()], 3)
