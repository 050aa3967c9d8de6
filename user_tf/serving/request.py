"""Hold a ranking request, and turn requests into the arrays of the served signatures.

Needs NumPy only, so that a client can use it without TensorFlow; `user_tf.serving.request_json`
reads requests.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

PADDING_SCORE = float(np.finfo(np.float32).min)


class RequestError(ValueError):
    """A request breaks a rule of the format; the message names rule, value and fix."""


@dataclasses.dataclass(frozen=True)
class Behavior:
    """One past behavior: a search (`query` not empty) or a browse of `titles[0]`."""

    session: int
    query: str
    titles: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Request:
    """One validated request; sessions are numbered from 1, `history` is oldest first."""

    user_id: str
    query: str
    session: int
    history: tuple[Behavior, ...]
    candidates: tuple[str, ...]
    features: tuple[tuple[float, ...], ...] | None = None
    request_id: str | None = None

    @property
    def task(self) -> str:
        """Return `search`, or `recommendation` for an empty query."""
        return "search" if self.query else "recommendation"


def to_arrays(
    requests: Sequence[Request], clicked_titles: int, features: int | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the signature `rank`, or of `rank_with_features` where `features` is given.

    Args:
        requests: B requests.
        clicked_titles: W, titles kept of a search, the first ones.
        features: n, the model's number of features; a request without F gets NaN, which counts as
            the mean. Default: leave F out.

    Returns:
        Arrays by argument name. Padding: history_session 0, strings "", features NaN.

    Raises:
        RequestError: A request's rows of F have another number of values.
    """
    slots = max((len(request.history) for request in requests), default=0)
    longest = max((len(request.candidates) for request in requests), default=0)
    shape = (len(requests), slots)
    session = np.zeros(shape, np.int64)
    query = np.full(shape, "", object)
    titles = np.full((*shape, clicked_titles), "", object)
    candidates = np.full((len(requests), longest), "", object)
    values = np.full((len(requests), longest, features or 0), np.nan, np.float32)
    for row, request in enumerate(requests):
        for slot, item in enumerate(request.history):
            session[row, slot], query[row, slot] = item.session, item.query
            for place, title in enumerate(item.titles[:clicked_titles]):
                titles[row, slot, place] = title
        candidates[row, : len(request.candidates)] = request.candidates
        if features is not None and request.features is not None:
            width = len(request.features[0])
            if width != features:
                raise RequestError(
                    f"`features` must hold {features} values a candidate for this model. Got "
                    f"{width!r}. Fix: give them in the order of `features` in the model's manifest."
                )
            values[row, : len(request.candidates)] = request.features
    arrays: dict[str, npt.NDArray[Any]] = {
        "user_id": np.array([request.user_id for request in requests], object),
        "query": np.array([request.query for request in requests], object),
        "session": np.array([request.session for request in requests], np.int64),
        "history_session": session,
        "history_query": query,
        "history_titles": titles,
        "candidates": candidates,
        "candidate_count": np.array([len(request.candidates) for request in requests], np.int64),
    }
    return arrays if features is None else arrays | {"features": values}
