"""Load a served model and score requests by it, without checkpoint, dataset or model code."""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from user_tf.serving import layout
from user_tf.serving.loading import as_tensors, load
from user_tf.serving.request import Request, RequestError, check_task, to_arrays
from user_tf.serving.request_json import SESSION_MINUTES


class SavedRanker:
    """A SavedModel of user_tf.export that scores requests.

    Args:
        model: Folder made by user_tf.export, or one of its versions.

    Attributes:
        manifest: Contents of export.json; {} where the model was copied without it.

    Raises:
        FileNotFoundError: `model` holds no SavedModel.
        ImportError: The model splits texts into wordpieces and TensorFlow Text is not installed.
    """

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.version = layout.find_version(model)
        self.manifest = layout.read_manifest(self.version)
        self._loaded = load(self.version)
        self._plain = self._loaded.signatures["rank"]
        missing = set(to_arrays([])) - set(self._plain.structured_input_signature[1])
        if missing:
            raise ValueError(
                f"`model` must have all arguments of a request. Got {os.fspath(self.version)!r} without "
                f"{', '.join(sorted(missing))}. Fix: export the run again; an earlier version of the "
                "program wrote this model."
            )
        self._wide = self._loaded.signatures.get("rank_with_features")
        self.features = (
            int(self._wide.structured_input_signature[1]["features"].shape[2]) if self._wide else 0
        )

    @property
    def session_minutes(self) -> float:
        """Return the longest gap inside a session, where requests carry times."""
        return float(self.manifest.get("session_minutes", SESSION_MINUTES))

    def signature(self, name: str) -> Any:
        """Return a signature of the model, a callable of tensors; None where the model lacks it."""
        return self._loaded.signatures.get(name)

    def check(self, request: Request) -> None:
        """Refuse a request this model cannot rank.

        Raises:
            RequestError: Names the rule, the value and the fix.
        """
        check_task(request, self.manifest.get("tasks", [request.task]))
        if request.features is not None and len(request.features[0]) != self.features:
            raise RequestError(
                f"`features` must hold {self.features} values a candidate for this model. Got "
                f"{len(request.features[0])!r}. Fix: give them in the order of `features` in "
                f"{layout.EXTRA}/{layout.MANIFEST}, or leave `features` out."
            )

    def scores(self, requests: Sequence[Request]) -> list[list[float]]:
        """Return the scores of each request's candidates, in their order.

        Raises:
            RequestError: The model refuses a request, or gives one no finite scores.
        """
        import tensorflow as tf

        wide = any(request.features is not None for request in requests)
        arrays = to_arrays(requests, self.features if wide else None)
        try:
            found = (self._wide if wide else self._plain)(**as_tensors(arrays))["scores"].numpy()
        except tf.errors.InvalidArgumentError as error:
            raise RequestError(sentence_of(error.message)) from error
        if not np.isfinite(found).all():
            raise RequestError(
                "`scores` of a model must be finite. Got NaN or infinity. Fix: export a run whose "
                "weights are finite."
            )
        return [
            row[: len(request.candidates)].tolist()
            for row, request in zip(found, requests, strict=True)
        ]


def sentence_of(message: str) -> str:
    """Return the rule that an error of the graph quotes, without the names of its nodes.

    Example:
        >>> sentence_of("Graph error: assertion failed: [`a` must be b. Got] [3]\\n [[{{node c}}]]")
        '`a` must be b. Got 3'
    """
    found = re.search(r"assertion failed: \[(.*?)\]\s*(?:\[\[\{\{|\Z)", message, re.DOTALL)
    return found[1].replace("] [", " ") if found else message


def rank(scores: Sequence[float]) -> list[int]:
    """Return the positions of the candidates, best first; ties keep the given order.

    Example:
        >>> rank([0.1, 0.7, 0.7])
        [1, 2, 0]
    """
    return sorted(range(len(scores)), key=lambda position: -scores[position])
