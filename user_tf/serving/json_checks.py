"""Check the values of a request as JSON; every error names the rule, the value and the fix."""

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np

from user_tf.serving.request import RequestError

MAX_FLOAT32 = float(np.finfo(np.float32).max)
_LAST_SECOND = 253_402_300_799  # of the year 9999; milliseconds since 1978 are later than that


def is_number(value: Any, limit: float) -> bool:
    """Return whether a value is a number from `-limit` to `limit`, and no bool.

    Example:
        >>> is_number(10**400, MAX_FLOAT32), is_number(float("nan"), MAX_FLOAT32), is_number(True, 1)
        (False, False, False)
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) <= limit


def check_session(value: Any, name: str) -> int:
    """Return a value as the number of a session, from 1."""
    expect(
        isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**63,
        f"`{name}` must be an integer of at least 1",
        value,
        "number the user's sessions from 1, oldest first",
    )
    return int(value)


def check_time(value: Any, name: str) -> float:
    """Return a value as seconds since the epoch."""
    rule = f"`{name}` must be seconds since the epoch or ISO 8601 with an offset from UTC"
    fix = "write for example 1606800000 or 2020-12-01T05:20:00+00:00"
    if is_number(value, _LAST_SECOND):
        return float(value)
    expect(isinstance(value, str), rule, value, fix)
    try:
        parsed = datetime.datetime.fromisoformat(value)
    except ValueError as error:
        raise RequestError(f"{rule}. Got {short(value)}. Fix: {fix}.") from error
    expect(parsed.tzinfo is not None, rule, value, fix)
    return parsed.timestamp()


def check_string(value: Any, name: str) -> str:
    """Return a value as a string of Unicode text."""
    expect(isinstance(value, str), f"`{name}` must be a string", value, "put it in quotes")
    expect(
        not any("\ud800" <= letter <= "\udfff" for letter in value),
        f"`{name}` must be Unicode text",
        value,
        "write characters above U+FFFF as a pair of escapes, or as themselves",
    )
    return str(value)


def check_strings(value: Any, name: str) -> tuple[str, ...]:
    """Return a value as a tuple of strings."""
    expect(isinstance(value, list), f"`{name}` must be a list of strings", value, "write [...]")
    return tuple(check_string(item, f"{name}[{index}]") for index, item in enumerate(value))


def check_keys(body: Mapping[str, Any], known: set[str], name: str) -> None:
    """Refuse keys that are not among `known`."""
    expect(
        set(body) <= known,
        f"{name} must have no other keys than {', '.join(sorted(known))}",
        sorted(set(body) - known),
        "remove them or correct their spelling",
    )


def expect(holds: bool, rule: str, value: Any, fix: str) -> None:
    """Raise the error of a rule unless it holds."""
    if not holds:
        raise RequestError(f"{rule}. Got {short(value)}. Fix: {fix}.")


def short(value: Any) -> str:
    """Return a value as text of at most 120 characters."""
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
