"""Call a server again after a passing failure, within one deadline."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class PassingFailure(ConnectionError):
    """The server cannot answer now and may answer soon: it restarts, or its queue is full."""


def call_within(
    call: Callable[[float], Result],
    deadline_seconds: float,
    attempts: int = 3,
    pause_seconds: float = 0.01,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Return what `call` returns; call again after a `PassingFailure`.

    Args:
        call: Takes the seconds left and returns the answer.
        deadline_seconds: Time for all attempts together.
        attempts: Calls at most. Default: 3.
        pause_seconds: Upper bound of the first pause; it doubles each time. Pauses are random, so
            that clients of a server that comes back do not call at once. Default: 0.01.
        clock, sleep: For tests.

    Raises:
        TimeoutError: No answer within the deadline.
        PassingFailure: The last attempt failed.

    Example:
        >>> def answer_the_second_time(seconds, calls=[]):
        ...     calls.append(seconds)
        ...     if len(calls) == 1:
        ...         raise PassingFailure("busy")
        ...     return len(calls)
        >>> call_within(answer_the_second_time, 1.0)
        2
    """
    begin = clock()
    for attempt in range(1, attempts + 1):
        left = deadline_seconds - (clock() - begin)
        if left <= 0:
            break
        try:
            return call(left)
        except PassingFailure:
            if attempt == attempts:
                raise
            # Jitter of pauses needs no secrecy.
            sleep(min(left, random.uniform(0, pause_seconds * 2 ** (attempt - 1))))
    raise out_of_time("The server", deadline_seconds)


def out_of_time(address: str, seconds: float) -> TimeoutError:
    """Return the error of a server that gave no answer in time."""
    return TimeoutError(
        f"`deadline_seconds` must leave the server time to answer. Got no answer from {address} within "
        f"{seconds:.3f} s. Fix: raise it, or add servers."
    )
