"""A served model in this process: plain Python values to ranked candidates."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from user_tf.api.behaviors import Browse, Search
from user_tf.serving import layout
from user_tf.serving.loading import load
from user_tf.serving.request import Request, RequestError, to_arrays
from user_tf.serving.request_json import SESSION_MINUTES, from_json


class RankedCandidate(NamedTuple):
    """A candidate with its score.

    Attributes:
        title: The candidate.
        score: Its score; only differences between scores of one request have a meaning.
        position: Its position in the candidates given, from 0.
    """

    title: str
    score: float
    position: int


class ServedRanker:
    """A SavedModel of `user_tf.export`. It needs no checkpoint, dataset or model code.

    Args:
        model: Folder made by `user_tf.export`, or one of its versions.

    Attributes:
        version: Folder of the version loaded.
        manifest: Content of export.json; {} where the model was copied without it.

    Raises:
        FileNotFoundError: `model` holds no SavedModel.
        ImportError: The model cuts wordpieces and TensorFlow Text is not installed.
    """

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.version = layout.find_version(model)
        self.manifest = layout.read_manifest(self.version)
        self._loaded = load(self.version)
        self._plain = self._loaded.signatures["rank"]
        self._wide = self._loaded.signatures.get("rank_with_features")
        arguments = self._plain.structured_input_signature[1]
        self.clicked_titles = int(arguments["history_titles"].shape[2])
        self.features = (
            int(self._wide.structured_input_signature[1]["features"].shape[2]) if self._wide else 0
        )

    @property
    def session_minutes(self) -> float:
        """Return the longest gap inside a session, for requests with times."""
        return float(self.manifest.get("session_minutes", SESSION_MINUTES))

    def rank(
        self,
        candidates: Sequence[str],
        *,
        user_id: str = "",
        query: str = "",
        history: Sequence[Search | Browse | Mapping[str, Any]] = (),
        session: int | None = None,
        time: float | str | None = None,
        features: Sequence[Sequence[float | None]] | None = None,
    ) -> list[RankedCandidate]:
        """Rank candidates for a user.

        Args:
            candidates: Titles to rank.
            user_id: Masked id of the user as in the log. Default: an unknown user.
            query: Query of a search. Default: none, a recommendation.
            history: Past behaviors, oldest first: `Search`, `Browse`, or mappings as in the JSON of
                `user_tf.serving.request_json`. Either all with `session` or all with `time`.
            session: Number of the current session. Default: that of the last behavior, 1 without
                history. Not with `time`.
            time: Time of the request, for a history with times.
            features: A row of raw relevance features for each candidate, in the order of
                `manifest["features"]`; None: missing. Default: the mean of every feature.

        Returns:
            The candidates, best first; equal scores keep the order given.

        Raises:
            RequestError: A value breaks a rule of the format.
        """
        items = [
            item.to_item() if isinstance(item, Search | Browse) else dict(item) for item in history
        ]
        body: dict[str, Any] = {
            "user_id": user_id,
            "query": query,
            "history": items,
            "candidates": list(candidates),
        }
        if time is not None:
            body["time"] = time
        if session is not None or time is None:
            last = items[-1].get("session", 1) if items else 1
            body["session"] = last if session is None else session
        if features is not None:
            body["features"] = [list(row) for row in features]
        request = from_json(json.dumps(body), self.session_minutes)
        self.check(request)
        [scores] = self.scores([request])
        return [
            RankedCandidate(request.candidates[position], scores[position], position)
            for position in sort_positions(scores)
        ]

    def check(self, request: Request) -> None:
        """Refuse a request this model cannot rank.

        Raises:
            RequestError: Names the rule, the value and the fix.
        """
        tasks = self.manifest.get("tasks", [request.task])
        if request.task not in tasks:
            raise RequestError(
                f"`query` must fit the model, which was trained for {tasks[0]} only. Got "
                f"{request.query!r}. Fix: use a model of both tasks."
            )
        if request.features is not None and len(request.features[0]) != self.features:
            raise RequestError(
                f"`features` must hold {self.features} values for each candidate of this model. "
                f"Got {len(request.features[0])}. Fix: give them in the order of `features` in "
                f"{layout.EXTRA}/{layout.MANIFEST}, or leave `features` out."
            )

    def scores(self, requests: Sequence[Request]) -> list[list[float]]:
        """Return the scores of the candidates of each request, in their order."""
        import tensorflow as tf

        wide = any(request.features is not None for request in requests)
        arrays = to_arrays(requests, self.clicked_titles, self.features if wide else None)
        tensors = {
            name: tf.constant(
                value.tolist(), tf.string if value.dtype == object else value.dtype, value.shape
            )
            for name, value in arrays.items()
        }
        found = (self._wide if wide else self._plain)(**tensors)["scores"].numpy()
        return [
            row[: len(request.candidates)].tolist()
            for row, request in zip(found, requests, strict=True)
        ]


def load_served(model: str | os.PathLike[str]) -> ServedRanker:
    """Load a served model.

    Args:
        model: Folder made by `user_tf.export`, or one of its versions; of several versions the
            highest is loaded.

    Raises:
        As `ServedRanker`.
    """
    return ServedRanker(model)


def sort_positions(scores: Sequence[float]) -> list[int]:
    """Return the positions of the scores, best first; equal scores keep their order.

    Example:
        >>> sort_positions([0.1, 0.7, 0.7])
        [1, 2, 0]
    """
    return sorted(range(len(scores)), key=lambda position: -scores[position])
