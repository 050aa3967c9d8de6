"""Rank by a server: mask user ids, pad, call within a deadline, read the answer."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from data_pipeline.log.user_ids import key_fingerprint, mask_user
from user_tf.serving.client.retries import call_within
from user_tf.serving.layout import EXTRA, MANIFEST
from user_tf.serving.request import Request, RequestError, check_task, to_arrays
from user_tf.serving.saved_ranker import rank


class Transport(Protocol):
    """Calls signatures of a server: `RestTransport`, `GrpcTransport`."""

    def predict(
        self, signature: str, arrays: Mapping[str, npt.NDArray[Any]], seconds: float
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs of a signature."""


class Answer(NamedTuple):
    """Scores of one request, and what to watch.

    Attributes:
        ranking: Positions of the candidates, best first.
        scores: Scores in the order of the candidates.
        known_user: The model was trained on this user.
        history_kept: Behaviors of the history that the model sees.
        unknown_words: Share of the words outside the vocabulary.
    """

    ranking: list[int]
    scores: list[float]
    known_user: bool
    history_kept: int
    unknown_words: float


class ModelClient:
    """Ranks requests by a server.

    Args:
        transport: Calls the server.
        manifest: Content of the served model's export.json; a copy of the file is enough.
        key: Masking key of the model's log: `user_id` of a request is then a raw id, which leaves
            this process masked. Default: ids are masked already, or the log's are not.
        deadline_seconds: Time for an answer, attempts together. Default: 0.2.
        attempts: Calls at most, after passing failures. Default: 3.

    Raises:
        ValueError: `key` is not the key of the model's log.
    """

    def __init__(
        self,
        transport: Transport,
        manifest: Mapping[str, Any],
        key: bytes | None = None,
        deadline_seconds: float = 0.2,
        attempts: int = 3,
    ) -> None:
        check_key(manifest, key)
        self._transport, self._key = transport, key
        self._tasks = manifest["tasks"]
        self._features = len(manifest["features"])
        self._deadline, self._attempts = deadline_seconds, attempts

    def rank(self, requests: Sequence[Request]) -> list[Answer]:
        """Return the answer of each request; requests with F go to `rank_with_features`.

        Args:
            requests: One or more; they travel together, padded.

        Raises:
            RequestError: The model refuses a request.
            LookupError: The server has no such model.
            TimeoutError, ConnectionError: No answer in time, or no server.
        """
        for request in requests:
            check_task(request, self._tasks)
        sent = [self._mask(request) for request in requests]
        wide = any(request.features is not None for request in sent)
        arrays = to_arrays(sent, self._features if wide else None)
        signature = "rank_with_features" if wide else "rank"
        found = call_within(
            lambda seconds: self._transport.predict(signature, arrays, seconds),
            self._deadline,
            self._attempts,
        )
        return [
            _answer(found, row, len(request.candidates)) for row, request in enumerate(requests)
        ]

    def _mask(self, request: Request) -> Request:
        if self._key is None or not request.user_id:
            return request
        return dataclasses.replace(request, user_id=mask_user(self._key, request.user_id))


def check_key(manifest: Mapping[str, Any], key: bytes | None) -> None:
    """Refuse a key that is not the one of a model's log: every user would be unknown.

    Args:
        manifest: Content of export.json.
        key: Masking key of the client; None: the client does not mask.

    Raises:
        ValueError: Another key.

    Example:
        >>> check_key({"key_fingerprint": key_fingerprint(b"test")}, b"test")
        >>> check_key({"key_fingerprint": key_fingerprint(b"test")}, b"other")
        Traceback (most recent call last):
        ValueError: `key` must be the masking key of the model's log, fingerprint 14cce1747682e9ca. ...
    """
    if key is None:
        return
    expected = manifest.get("key_fingerprint")
    if expected is None:
        raise ValueError(
            "`key` must be None for a model whose log is not masked. Got a key. Fix: leave `key` out; if "
            "the log is masked, import it again, since older logs do not name their key."
        )
    if key_fingerprint(key) != expected:
        raise ValueError(
            f"`key` must be the masking key of the model's log, fingerprint {expected}. Got a key with "
            f"fingerprint {key_fingerprint(key)}. Fix: give the client that key, or serve a model of a "
            "log masked with this one."
        )


def read_model_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the content of export.json.

    Args:
        path: The file, or the folder of a version.
    """
    file = pathlib.Path(path)
    if file.is_dir():
        file = file / EXTRA / MANIFEST
    return json.loads(file.read_text(encoding="utf-8"))


def _answer(found: Mapping[str, npt.NDArray[Any]], row: int, candidates: int) -> Answer:
    scores = found["scores"][row, :candidates]
    if not np.isfinite(scores).all():
        raise RequestError(
            "`scores` of a model must be finite. Got NaN or infinity. Fix: roll back to the version "
            "before."
        )
    values = scores.tolist()
    return Answer(
        ranking=rank(values),
        scores=values,
        known_user=bool(found["known_user"][row]),
        history_kept=int(found["history_kept"][row]),
        unknown_words=float(found["unknown_words"][row]),
    )
