"""A question to a served model: a form of history, query and candidates, and the model's answer.

The form is plain text, as a person edits it. It becomes a request as JSON, which is checked and
ranked by the signature `rank` of the SavedModel, as a server would; `explain`, where a model has it,
gives the reasons.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from user_tf.api.served import ServedRanker
from user_tf.serving.loading import as_tensors
from user_tf.serving.request import Request, to_arrays
from user_tf.serving.request_json import from_json
from user_tf.serving.saved_ranker import rank

LEFT_OUT = 20
"""Newest behaviors that are left out one at a time, where a model cannot explain."""
WITHOUT_EXPLAIN = (
    "This model has no signature `explain`. The bars of a candidate are what its score loses when one "
    f"behavior is left out, of the newest {LEFT_OUT}; the effect of several together may be another."
)


@dataclasses.dataclass(frozen=True)
class PastBehavior:
    """A row of the form.

    Attributes:
        kind: `search` or `browse`.
        session: Number of its session, as typed.
        text: The query, or the title read.
        clicked: Titles clicked in a search, one a line.
    """

    kind: str
    session: str
    text: str
    clicked: str = ""

    def to_item(self) -> dict[str, Any]:
        """Return the item of `history` in a request as JSON.

        Example:
            >>> PastBehavior("search", "2", "hat", "Sun hat").to_item()
            {'session': 2, 'query': 'hat', 'clicked': ['Sun hat']}
        """
        item: dict[str, Any] = {"session": _number(self.session)}
        if self.kind == "browse":
            return item | {"title": self.text}
        return item | {"query": self.text, "clicked": _lines(self.clicked)}


@dataclasses.dataclass(frozen=True)
class Question:
    """The form.

    Attributes:
        user_id: Masked id; "" is an unknown user.
        query: "" asks for a recommendation.
        session: Number of the current session, as typed.
        history: Oldest first.
        candidates: Titles, one a line.
    """

    user_id: str = ""
    query: str = ""
    session: str = "1"
    history: tuple[PastBehavior, ...] = ()
    candidates: str = ""

    def without(self, place: int) -> "Question":
        """Return the question without a behavior."""
        kept = [item for number, item in enumerate(self.history) if number != place]
        return dataclasses.replace(self, history=tuple(kept))

    def with_new(self, kind: str) -> "Question":
        """Return the question with an empty behavior of the current session at its end."""
        new = PastBehavior(kind, self.session, "")
        return dataclasses.replace(self, history=(*self.history, new))

    def to_request(self, minutes: float) -> Request:
        """Return the checked request; behaviors without words are left out, as not yet written.

        Args:
            minutes: Longest gap inside a session; not used where sessions are numbered.

        Raises:
            RequestError: A value breaks a rule of the format.
        """
        written = [item for item in self.history if item.text.strip()]
        body = {
            "user_id": self.user_id,
            "query": self.query,
            "session": _number(self.session),
            "history": [item.to_item() for item in written],
            "candidates": _lines(self.candidates),
        }
        return from_json(json.dumps(body), minutes)

    @property
    def places(self) -> list[int]:
        """Return the places in `history` of the behaviors that a request holds."""
        return [place for place, item in enumerate(self.history) if item.text.strip()]


@dataclasses.dataclass(frozen=True)
class Answer:
    """The ranking of a question.

    Attributes:
        candidates: Titles, in the order given.
        scores: Of each.
        order: Positions, best first.
        signals, contributions: Parts of the scores, by candidate; without `explain` the effect of
            each of the newest behaviors.
        attention: Weight of each behavior of the form; empty without `explain`.
        notes: Sentences about the answer.
    """

    candidates: tuple[str, ...]
    scores: tuple[float, ...]
    order: tuple[int, ...]
    signals: tuple[str, ...] = ()
    contributions: tuple[tuple[float, ...], ...] = ()
    attention: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


def from_form(form: Mapping[str, str]) -> Question:
    """Read a question from the fields of the form.

    Args:
        form: `user_id`, `query`, `session`, `candidates`, and for behavior N from 0 on `kind-N`,
            `session-N`, `text-N`, `clicked-N`.

    Example:
        >>> from_form({"query": "hat", "kind-0": "browse", "text-0": "Cap"}).history[0].text
        'Cap'
    """
    history: list[PastBehavior] = []
    while f"kind-{len(history)}" in form:
        number = len(history)
        kind, session, text, clicked = (
            form.get(f"{name}-{number}", "") for name in ("kind", "session", "text", "clicked")
        )
        history.append(PastBehavior(kind, session, text, clicked))
    names = ("user_id", "query", "session", "candidates")
    values = {name: form[name] for name in names if name in form}
    return Question(**values, history=tuple(history))


def from_request(request: Request) -> Question:
    """Return the form of a request."""
    return Question(
        user_id=request.user_id,
        query=request.query,
        session=str(request.session),
        history=tuple(
            PastBehavior("search", str(item.session), item.query, "\n".join(item.titles))
            if item.query
            else PastBehavior("browse", str(item.session), item.titles[0])
            for item in request.history
        ),
        candidates="\n".join(title for title in request.candidates if title),
    )


def answer(model: ServedRanker, question: Question) -> Answer:
    """Rank the candidates of a question by a served model.

    Raises:
        RequestError: The question breaks a rule, or the model does not serve its task.
    """
    request = question.to_request(model.session_minutes)
    model.check(request)
    [scores] = model.scores([request])
    found = Answer(request.candidates, tuple(scores), tuple(rank(scores)))
    explain = model.signature("explain")
    if explain is None:
        return dataclasses.replace(
            found,
            signals=name_behaviors(request),
            contributions=leave_one_out(model, request, scores),
            notes=(WITHOUT_EXPLAIN,),
        )
    outputs = explain(**as_tensors(to_arrays([request])))
    parts = np.asarray(outputs["contributions"], np.float64)[0, : len(scores)]
    weights = np.zeros(len(question.history))
    weights[question.places] = np.asarray(outputs["attention"])[0, : len(request.history)]
    return dataclasses.replace(
        found,
        signals=tuple(model.manifest["contributions"]),
        contributions=tuple(map(tuple, parts.tolist())),
        attention=tuple(weights.tolist()),
    )


def name_behaviors(request: Request) -> tuple[str, ...]:
    """Return the names of the newest behaviors of a request: their places and words."""
    named = [
        f"{place}. {item.query or item.titles[0]}"
        for place, item in enumerate(request.history, start=1)
    ]
    return tuple(named[-LEFT_OUT:])


def leave_one_out(
    model: ServedRanker, request: Request, scores: Sequence[float]
) -> tuple[tuple[float, ...], ...]:
    """Return by candidate what its score loses without each of the newest behaviors, oldest first.

    Args:
        model: Served model; it ranks all changed requests at once.
        request: A checked request.
        scores: Its scores.

    Raises:
        RequestError: The model refuses a request.
    """
    history = request.history
    others = [
        dataclasses.replace(request, history=(*history[:place], *history[place + 1 :]))
        for place in range(max(0, len(history) - LEFT_OUT), len(history))
    ]
    if not others:
        return ()
    lost = np.asarray(scores) - np.asarray(model.scores(others))
    return tuple(map(tuple, lost.T.tolist()))


def warm_up(model: ServedRanker) -> None:
    """Ask once for each task: the first request of a signature builds its kernels, which takes long."""
    history = (PastBehavior("search", "1", "word", "word"), PastBehavior("browse", "1", "word"))
    for task in model.manifest.get("tasks", ["search"]):
        query = "word" if task == "search" else ""
        answer(model, Question(query=query, history=history, candidates="word\nwords"))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _number(text: str) -> Any:
    """Return a whole number, or the text as it was typed, which a check then refuses."""
    return int(text) if text.strip().isascii() and text.strip().isdigit() else text


def changes(before: Sequence[str], now: Sequence[str]) -> dict[int, int | None]:
    """Return by place in `now` the place of the same title in `before`, from 1; None if it is new.

    Example:
        >>> changes(["a", "b"], ["b", "a", "c"])
        {1: 2, 2: 1, 3: None}
    """
    places: dict[str, list[int]] = {}
    for place, title in enumerate(before, start=1):
        places.setdefault(title, []).append(place)
    return {
        place: places[title].pop(0) if places.get(title) else None
        for place, title in enumerate(now, start=1)
    }
