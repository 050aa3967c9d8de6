"""Hold a ranking request, and turn requests into the arrays of the served signatures.

Needs NumPy only, so that a client can use it without TensorFlow; `user_tf.serving.request_json`
reads requests.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_pipeline.events.user_histories import SeenHistory

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
class Opening:
    """One document opened, satisfied or not; `query` of its search, or "" without one.

    `session` is 0 where it was some session before the request's. `together`: it became known at the
    same time as the one before.
    """

    session: int
    query: str
    title: str
    together: bool = False


@dataclasses.dataclass(frozen=True)
class Request:
    """One validated request; sessions are numbered from 1, `history` is oldest first.

    `opened` holds everything the user opened, oldest first; empty: what `history` holds.
    """

    user_id: str
    query: str
    session: int
    history: tuple[Behavior, ...]
    candidates: tuple[str, ...]
    features: tuple[tuple[float, ...], ...] | None = None
    request_id: str | None = None
    opened: tuple[Opening, ...] = ()

    @property
    def task(self) -> str:
        """Return `search`, or `recommendation` for an empty query."""
        return "search" if self.query else "recommendation"


def check_task(request: Request, tasks: Sequence[str]) -> None:
    """Refuse a request of a task that a model was not trained for.

    Args:
        request: The request.
        tasks: Tasks of the model.

    Raises:
        RequestError: The model is of the other task.
    """
    if request.task not in tasks:
        raise RequestError(
            f"`query` must fit the model, which was trained for {tasks[0]} only. Got "
            f"{request.query!r}. Fix: use a model of both tasks."
        )


def behaviors_in_words(
    seen: SeenHistory, texts: Sequence[str], document_text: Sequence[int] | npt.NDArray[np.int64]
) -> tuple[Behavior, ...]:
    """Return the behaviors of a history in numbers as strings.

    Args:
        seen: Result of `UserHistories.at`.
        texts: String of each text; the first is the empty one.
        document_text: Text of each document's title.
    """
    return tuple(
        Behavior(item.session, texts[item.query], tuple(texts[document_text[d]] for d in item.docs))
        for item in seen.behaviors
    )


def opens_in_words(
    seen: SeenHistory, texts: Sequence[str], document_text: Sequence[int] | npt.NDArray[np.int64]
) -> tuple[Opening, ...]:
    """Return the documents opened of a history in numbers as strings; see `behaviors_in_words`."""
    return tuple(
        Opening(item.session, texts[item.query], texts[document_text[item.doc]], item.together)
        for item in seen.opens
    )


def to_arrays(
    requests: Sequence[Request], features: int | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the signature `rank`, or of `rank_with_features` where `features` is given.

    Args:
        requests: B requests.
        features: n, the model's number of features; a request without F gets NaN. Default: leave F
            out.

    Returns:
        Arrays by argument name. Padding: 0, "" and NaN; every list has at least one slot, since a
        server that batches requests reads the first value of each array.

    Raises:
        RequestError: A request's rows of F have another number of values.
    """
    histories, opened = ([getattr(r, name) for r in requests] for name in ("history", "opened"))
    candidates = _padded([request.candidates for request in requests], "")
    values = np.full((*candidates.shape, features or 0), np.nan, np.float32)
    for row, request in enumerate(requests):
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
        "history_count": _counts(histories),
        "history_session": _padded([[item.session for item in items] for items in histories], 0),
        "history_query": _padded([[item.query for item in items] for items in histories], ""),
        "history_title_count": _padded(
            [[len(item.titles) for item in items] for items in histories], 0
        ),
        "history_titles": _padded(
            [[title for item in items for title in item.titles] for items in histories], ""
        ),
        "opened_count": _counts(opened),
        "opened_session": _padded([[item.session for item in items] for items in opened], 0),
        "opened_query": _padded([[item.query for item in items] for items in opened], ""),
        "opened_titles": _padded([[item.title for item in items] for items in opened], ""),
        "opened_together": _padded([[item.together for item in items] for items in opened], 0),
        "candidate_count": _counts([request.candidates for request in requests]),
        "candidates": candidates,
    }
    return arrays if features is None else arrays | {"features": values}


def _counts(lists: Sequence[Sequence[Any]]) -> npt.NDArray[np.int64]:
    return np.array([len(items) for items in lists], np.int64)


def _padded(lists: Sequence[Sequence[Any]], padding: Any) -> npt.NDArray[Any]:
    """Return lists as the rows of one array with at least one column."""
    width = max([1, *map(len, lists)])
    result = np.full((len(lists), width), padding, object if padding == "" else np.int64)
    for row, items in enumerate(lists):
        result[row, : len(items)] = items
    return result
