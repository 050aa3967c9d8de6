"""Requests in the two forms that TensorFlow Serving reads: JSON for REST, a proto for gRPC."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]


def rest_body(signature: str, arrays: Arrays) -> bytes:
    """Return the body of a REST request in the columnar form: one array for each argument.

    Args:
        signature: Such as `rank`.
        arrays: Arguments by name; strings are of dtype object, or UTF-8 bytes.

    Example:
        >>> import numpy as np
        >>> rest_body("rank", {"session": np.array([2]), "query": np.array(["hat"], object)})
        b'{"signature_name": "rank", "inputs": {"session": [2], "query": ["hat"]}}'
    """
    inputs = {name: value.tolist() for name, value in arrays.items()}
    # NaN, a missing feature, is no JSON, but the server reads it.
    body = {"signature_name": signature, "inputs": inputs}
    return json.dumps(body, ensure_ascii=False).encode("utf-8")


def predict_request(model: str, signature: str, arrays: Arrays) -> Any:
    """Return a `tensorflow.serving.PredictRequest`.

    Args:
        model: Name of the model on the server.
        signature, arrays: As for `rest_body`.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in arrays.items():
        dtype = tf.string if value.dtype == object else None
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype, value.shape))
    return request


def grpc_frame(message: Any) -> bytes:
    """Return a message as the body of one gRPC call over HTTP/2, for curl.

    Example:
        >>> grpc_frame(type("Empty", (), {"SerializeToString": lambda self: b"ab"})())
        b'\\x00\\x00\\x00\\x00\\x02ab'
    """
    content = message.SerializeToString()
    return struct.pack(">BI", 0, len(content)) + content
