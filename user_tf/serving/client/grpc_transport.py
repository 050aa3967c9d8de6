"""Call a served model through TensorFlow Serving's gRPC API.

Needs `grpcio` and `tensorflow-serving-api`, which brings TensorFlow; a client without them uses
`rest_transport`.
"""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from user_tf.serving.client.retries import PassingFailure, out_of_time
from user_tf.serving.request import RequestError
from user_tf.serving.saved_ranker import sentence_of
from user_tf.serving.server.messages import predict_request

# Larger than gRPC's own 4 MB: 32 requests of 200 candidates and long histories pass it.
_MEGABYTES = 64


class GrpcTransport:
    """Predict calls over gRPC.

    Args:
        address: Such as `localhost:8500`.
        model: Name of the model on the server.
        version: Number of a version. Default: the server's highest, or that of the label.
        label: Label of a version, such as `stable`. Default: none.
        credentials: `grpc.ChannelCredentials`. Default: none, a connection that is not encrypted.
    """

    def __init__(
        self,
        address: str,
        model: str = "user",
        version: int | None = None,
        label: str = "",
        credentials: Any = None,
    ) -> None:
        import grpc
        from tensorflow_serving.apis import model_pb2, prediction_service_pb2_grpc

        size = _MEGABYTES * 2**20
        options = [
            ("grpc.max_send_message_length", size),
            ("grpc.max_receive_message_length", size),
        ]
        self._channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials is not None
            else grpc.insecure_channel(address, options)
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_pb2.ModelSpec(name=model)
        if label:
            self._model.version_label = label
        elif version is not None:
            self._model.version.value = version
        self.address = address

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def predict(
        self, signature: str, arrays: Mapping[str, npt.NDArray[Any]], seconds: float
    ) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs of a signature; see `RestTransport.predict`."""
        import grpc
        import tensorflow as tf

        request = predict_request(self._model.name, signature, arrays)
        request.model_spec.MergeFrom(self._model)
        try:
            answer = self._stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            raise _refusal(error, self.address, seconds) from error
        return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}


def _refusal(error: Any, address: str, seconds: float) -> Exception:
    import grpc

    code, text = error.code(), error.details()
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return RequestError(sentence_of(text))
    if code == grpc.StatusCode.NOT_FOUND:
        return LookupError(
            f"`model` must name a model of the server {address}. Got {text!r}. Fix: compare the name, "
            "version and label with the server's model config."
        )
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        return PassingFailure(
            f"`address` must be that of a running server. Got {address!r}: {code.name}, {text}. Fix: "
            "start the server, or correct the address."
        )
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return out_of_time(address, seconds)
    return RuntimeError(
        f"The server must answer with scores. Got {code.name}: {text}. Fix: see its log."
    )
