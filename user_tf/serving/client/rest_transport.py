"""Call a served model through TensorFlow Serving's REST API; needs the standard library and NumPy."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from user_tf.serving.client.retries import PassingFailure, out_of_time
from user_tf.serving.request import RequestError
from user_tf.serving.saved_ranker import sentence_of
from user_tf.serving.server.messages import rest_body

_PASSING = {429, 502, 503, 504}


class RestTransport:
    """Predict calls over HTTP.

    Requests have the columnar form: one array for each argument, padded by the client.

    Args:
        address: Such as `http://localhost:8501`.
        model: Name of the model on the server.
        version: Number of a version. Default: the server's highest, or that of the label.
        label: Label of a version, such as `stable`. Default: none.
    """

    def __init__(
        self, address: str, model: str = "user", version: int | None = None, label: str = ""
    ) -> None:
        path = f"{address.rstrip('/')}/v1/models/{model}"
        if label:
            path += f"/labels/{label}"
        elif version is not None:
            path += f"/versions/{version}"
        self.address = f"{path}:predict"

    def predict(
        self, signature: str, arrays: Mapping[str, npt.NDArray[Any]], seconds: float
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs of a signature.

        Args:
            signature: Such as `rank`.
            arrays: Arguments by name.
            seconds: Time to wait.

        Raises:
            RequestError: The model refuses the arguments.
            LookupError: The server has no such model, version or label.
            PassingFailure: The server cannot answer now.
            TimeoutError: No answer in time.
        """
        call = urllib.request.Request(
            self.address, rest_body(signature, arrays), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(call, timeout=seconds) as answer:
                outputs = json.load(answer)["outputs"]
        except urllib.error.HTTPError as error:
            raise _refusal(error.code, _error_text(error.read()), self.address) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(getattr(error, "reason", error), TimeoutError):
                raise out_of_time(self.address, seconds) from error
            raise PassingFailure(
                f"`address` must be that of a running server. Got {self.address!r}: {error}. Fix: start "
                "the server, or correct the address."
            ) from error
        return {name: np.asarray(value) for name, value in outputs.items()}


def _error_text(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")


def _refusal(code: int, text: str, address: str) -> Exception:
    if code == 400:
        return RequestError(sentence_of(text))
    if code == 404:
        return LookupError(
            f"`address` must name a model of the server. Got {address!r}: {text}. Fix: compare the "
            "name, version and label with the server's model config."
        )
    if code in _PASSING:
        return PassingFailure(f"{address}: HTTP {code}, {text}")
    return RuntimeError(
        f"The server must answer with scores. Got HTTP {code}: {text}. Fix: see its log."
    )
