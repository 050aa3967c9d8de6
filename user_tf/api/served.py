"""A served model in this process: plain Python values to ranked candidates."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from user_tf.api.behaviors import Browse, Search
from user_tf.serving import saved_ranker
from user_tf.serving.request_json import from_json


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


class ServedRanker(saved_ranker.SavedRanker):
    """A SavedModel of `user_tf.export`; it needs no checkpoint, dataset or model code.

    Args:
        model: Folder made by `user_tf.export`, or one of its versions.

    Attributes:
        version: Folder of the version loaded.
        manifest: Content of export.json; {} where the model was copied without it.

    Raises:
        FileNotFoundError: `model` holds no SavedModel.
        ImportError: The model cuts wordpieces and TensorFlow Text is not installed.
    """

    def rank(
        self,
        candidates: Sequence[str],
        *,
        user_id: str = "",
        query: str = "",
        history: Sequence[Search | Browse | Mapping[str, Any]] = (),
        opened: Sequence[Mapping[str, Any]] = (),
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
            opened: All documents the user opened, oldest first, as in that JSON. Default: the titles
                of `history`.
            session: Number of the current session. Default: that of the last behavior, 1 without
                history. Not with `time`.
            time: Time of the request, for a history with times.
            features: A row of raw relevance features for each candidate, in the order of
                `manifest["features"]`; None: the model computes it. Default: it computes all.

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
            "opened": [dict(item) for item in opened],
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
            for position in saved_ranker.rank(scores)
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
