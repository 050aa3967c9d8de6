"""Read and check a ranking request as JSON. A request is one object:

    {
      "request_id": "r17",                      optional, copied to the answer
      "user_id": "9f86d081...",                 masked id as in the log; "" or absent: unknown
      "query": "running shoes",                 "" or absent: a recommendation
      "session": 3,                             number of the current session, from 1
      "history": [                              past behaviors, oldest first; absent: none
        {"session": 1, "query": "shoes", "clicked": ["Trail shoe X", "Road shoe Y"]},
        {"session": 3, "title": "How to start running"}
      ],
      "opened": [                               optional: all documents opened, oldest first
        {"session": 1, "query": "shoes", "title": "Trail shoe X"},
        {"title": "Sandals"},                   no session: an earlier one; no query: no search
        {"title": "Cap", "together": true}      known at the same time as the one before
      ],
      "candidates": ["Trail shoe X", "Sandals"],
      "features": [[0.5, null, ...], ...]       optional: one row a candidate, raw values of F
    }                                           in the order of the model's manifest, null = the
                                                model computes it

`opened` makes F exact: it also holds what `history` does not, such as documents that did not satisfy.
Without it the titles of `history` count as the documents opened.

A history item with `query` is a search, `clicked` the titles of its satisfied clicks that are
known by now, earliest first; one with `title` is a browse. Instead of session numbers, the request
and all of its history items may carry `time` (seconds since the epoch, or ISO 8601 with an offset
from UTC): sessions are then cut by the 30-minute rule, and an item with nothing but `time` is an
activity that is no behavior (a list shown and not clicked) yet keeps a session alive.

Sessions are cut on the activities of training: of both services, or one for USER-S and USER-R.
"""

import collections
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from user_tf.serving.json_checks import (
    MAX_FLOAT32,
    check_keys,
    check_session,
    check_string,
    check_strings,
    check_time,
    expect,
    is_number,
    short,
)
from user_tf.serving.request import Behavior, Opening, Request, RequestError

SESSION_MINUTES = 30.0

_REQUEST_KEYS = {
    "request_id",
    "user_id",
    "query",
    "session",
    "time",
    "history",
    "opened",
    "candidates",
    "features",
}
_OPENED_KEYS = {"session", "query", "title", "together"}
_ITEM_KEYS = {"session", "time", "query", "clicked", "title"}


def cut_sessions(times: Sequence[float], minutes: float = SESSION_MINUTES) -> list[int]:
    """Return session numbers, from 1, of activities in time order: a gap above `minutes` cuts.

    Args:
        times: Seconds, not decreasing.
        minutes: Longest gap between starts inside a session.

    Raises:
        RequestError: The times decrease.

    Example:
        >>> cut_sessions([0, 600, 2400, 4201])
        [1, 1, 1, 2]
    """
    numbers: list[int] = []
    for index, time in enumerate(times):
        if index == 0:
            numbers.append(1)
            continue
        gap = time - times[index - 1]
        if gap < 0:
            raise RequestError(
                "`time` must not decrease: `history` is oldest first and ends before the request. "
                f"Got activity {index}, which is {-gap:g} s before activity {index - 1} (from 0, "
                "the request last). Fix: sort `history` by time."
            )
        numbers.append(numbers[-1] + (gap > minutes * 60))
    return numbers


def from_json(text: str, minutes: float = SESSION_MINUTES) -> Request:
    """Read and check one request.

    Args:
        text: One JSON object, in the format of this module's docstring.
        minutes: Longest gap, in minutes, inside a session, where times are given.

    Raises:
        RequestError: Names the rule, the value and the fix.

    Example:
        >>> request = from_json('{"query": "hats", "session": 1, "candidates": ["Sun hat", "Cap"]}')
        >>> request.task, request.user_id, len(request.candidates)
        ('search', '', 2)
        >>> from_json('{"session": 1, "candidates": []}')
        Traceback (most recent call last):
        user_tf.serving.request.RequestError: `candidates` must be a list of at least 1 title. ...
    """
    try:
        return _from_body(_parse(text), minutes)
    except RecursionError as error:
        raise _no_object(text, "nested too deeply") from error


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_object(text, f"{error.msg} at column {error.colno}") from error
    except ValueError as error:
        # Python reads no integer of more than 4,300 digits.
        raise _no_object(text, "a number has too many digits") from error


def _no_object(text: str, why: str) -> RequestError:
    return RequestError(
        f"A request must be one JSON object on one line. Got {short(text)} ({why}). Fix: correct the "
        "JSON."
    )


def _from_body(body: Any, minutes: float) -> Request:
    expect(isinstance(body, dict), "A request must be a JSON object", body, "write {...}")
    check_keys(body, _REQUEST_KEYS, "A request")
    candidates = check_strings(body.get("candidates"), "candidates")
    expect(
        len(candidates) > 0,
        "`candidates` must be a list of at least 1 title",
        body.get("candidates"),
        "list the titles to rank",
    )
    session, history = _history(body, minutes)
    request_id = body.get("request_id")
    return Request(
        user_id=check_string(body.get("user_id", ""), "user_id"),
        query=check_string(body.get("query", ""), "query"),
        session=session,
        history=history,
        candidates=candidates,
        features=_features(body.get("features"), len(candidates)),
        request_id=None if request_id is None else check_string(request_id, "request_id"),
        opened=_opened(body.get("opened", [])),
    )


def to_json(request: Request) -> str:
    """Return a request as one line of JSON; NaN features become null."""
    body: dict[str, Any] = {
        "user_id": request.user_id,
        "query": request.query,
        "session": request.session,
        "history": [
            {"session": item.session, "query": item.query, "clicked": list(item.titles)}
            if item.query
            else {"session": item.session, "title": item.titles[0]}
            for item in request.history
        ],
        "candidates": list(request.candidates),
    }
    if request.request_id is not None:
        body = {"request_id": request.request_id, **body}
    if request.opened:
        body["opened"] = [_opening_item(item) for item in request.opened]
    if request.features is not None:
        body["features"] = [
            [None if math.isnan(value) else value for value in row] for row in request.features
        ]
    return json.dumps(body, ensure_ascii=False)


def _history(body: Mapping[str, Any], minutes: float) -> tuple[int, tuple[Behavior, ...]]:
    """Return the current session's number and the behaviors; times are cut into sessions."""
    items = body.get("history", [])
    expect(isinstance(items, list), "`history` must be a list", items, "write [...]")
    for index, item in enumerate(items):
        name = f"`history[{index}]`"
        expect(isinstance(item, dict), f"{name} must be a JSON object", item, "write {...}")
        check_keys(item, _ITEM_KEYS, name)
    keys = collections.Counter((("session" in item), ("time" in item)) for item in [*items, body])
    expect(
        len(keys) == 1 and next(iter(keys)) in ((True, False), (False, True)),
        "`session` or `time` must be given by the request and each history item",
        [sorted({"session", "time"} & set(item)) for item in [*items, body]][:5],
        "give session numbers to all of them, or times to all of them",
    )
    if "time" in body:
        times = [
            check_time(item["time"], f"history[{index}].time") for index, item in enumerate(items)
        ]
        numbers = cut_sessions([*times, check_time(body["time"], "time")], minutes)
    else:
        numbers = [
            check_session(item["session"], f"history[{index}].session")
            for index, item in enumerate(items)
        ]
        numbers.append(check_session(body["session"], "session"))
        for before, after in itertools.pairwise(numbers):
            expect(
                before <= after,
                "`session` must not decrease: `history` is oldest first and the request's session "
                "comes last",
                numbers,
                "sort `history` by time and number sessions in that order",
            )
    behaviors = []
    for index, (item, number) in enumerate(zip(items, numbers, strict=False)):
        name = f"history[{index}]"
        if "time" in item and set(item) == {"time"}:
            continue
        expect(
            ("query" in item) != ("title" in item),
            f"`{name}` must have either `query` (a search) or `title` (a browse)",
            item,
            "leave one of them out",
        )
        if "title" in item:
            expect(
                "clicked" not in item,
                f"`{name}.clicked` must belong to a search",
                item,
                "write each document opened from a recommendation as a browse of its own",
            )
            behaviors.append(Behavior(number, "", (check_string(item["title"], f"{name}.title"),)))
            continue
        query = check_string(item["query"], f"{name}.query")
        expect(query != "", f"`{name}.query` must not be empty", query, "write a browse as `title`")
        clicked = check_strings(item.get("clicked", []), f"{name}.clicked")
        behaviors.append(Behavior(number, query, clicked))
    return numbers[-1], tuple(behaviors)


def _opened(value: Any) -> tuple[Opening, ...]:
    expect(isinstance(value, list), "`opened` must be a list", value, "write [...]")
    openings = []
    for index, item in enumerate(value):
        name = f"opened[{index}]"
        expect(isinstance(item, dict), f"`{name}` must be a JSON object", item, "write {...}")
        check_keys(item, _OPENED_KEYS, f"`{name}`")
        session = check_session(item["session"], f"{name}.session") if "session" in item else 0
        query = check_string(item.get("query", ""), f"{name}.query")
        title = check_string(item.get("title"), f"{name}.title")
        together = item.get("together", False)
        expect(
            isinstance(together, bool),
            f"`{name}.together` must be true or false",
            together,
            "leave it out where the document became known later than the one before",
        )
        openings.append(Opening(session, query, title, together))
    return tuple(openings)


def _opening_item(opening: Opening) -> dict[str, Any]:
    item: dict[str, Any] = {"session": opening.session} if opening.session else {}
    if opening.query:
        item["query"] = opening.query
    item["title"] = opening.title
    return item | {"together": True} if opening.together else item


def _features(value: Any, candidates: int) -> tuple[tuple[float, ...], ...] | None:
    if value is None:
        return None
    expect(
        isinstance(value, list)
        and len(value) == candidates
        and all(isinstance(row, list) and len(row) == len(value[0]) for row in value),
        f"`features` must hold one list a candidate ({candidates}), all of one length",
        value,
        "give a row of F for every candidate",
    )
    for row in value:
        for item in row:
            expect(
                item is None or is_number(item, MAX_FLOAT32),
                "`features` must hold finite numbers of float32, null where missing",
                item,
                "write null for an unknown value",
            )
    return tuple(tuple(math.nan if item is None else float(item) for item in row) for row in value)
