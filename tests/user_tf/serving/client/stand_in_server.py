"""A stand-in for TensorFlow Serving: its public protos and REST form over a SavedModel in this process.

Transcribed from its documentation and code: requests that wait together are laid together and padded
(`server_batching`), answers are cut by rows; REST takes the shape of an array from its first elements
and refuses what does not fit it; errors have its codes. No real server was run.
"""

import concurrent.futures
import contextlib
import http.server
import json
import queue
import re
import threading
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.user_tf.serving.server_batching import lay_together

_HTTP = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class ServerError(Exception):
    """An answer that is no result: a gRPC status code and a message."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class StandInServer:
    """A model "user" with numbered versions and labels.

    Args:
        versions: Signatures of each version: functions of tensors, as a loaded SavedModel has them.
        labels: Version of each label.
        batch_size: Requests laid together at most.
        batch_seconds: Time to wait for them; 0: each request alone.

    Attributes:
        batches: Number of requests of each batch that was run.
        failures: Errors to give instead of the next answers.
        delay: Seconds to wait before an answer.
    """

    def __init__(self, versions, labels=None, batch_size=8, batch_seconds=0.0):
        self.versions, self.labels = versions, labels or {}
        self.batches, self.failures, self.delay = [], [], 0.0
        self._size, self._seconds = batch_size, batch_seconds
        self._waiting = queue.Queue()
        threading.Thread(target=self._run_batches, daemon=True).start()

    def predict(self, model, version, label, signature, arrays):
        """Return the outputs of a call, by name; `arrays` hold strings as objects."""
        time.sleep(self.delay)
        if self.failures:
            raise self.failures.pop(0)
        number = self._find(model, version, label)
        found = self.versions[number].get(signature or "serving_default")
        if found is None:
            raise ServerError(grpc.StatusCode.INVALID_ARGUMENT, f"no signature {signature}")
        specs = found.structured_input_signature[1]
        if set(specs) != set(arrays):
            missing, extra = sorted(set(specs) - set(arrays)), sorted(set(arrays) - set(specs))
            message = f"input does not match signature; missing {missing}, extra {extra}"
            raise ServerError(grpc.StatusCode.INVALID_ARGUMENT, message)
        future = concurrent.futures.Future()
        self._waiting.put((found, arrays, future))
        return future.result()

    def _find(self, model, version, label):
        number = self.labels.get(label) if label else version or max(self.versions)
        if model != "user" or number not in self.versions:
            where = label or version or model
            raise ServerError(grpc.StatusCode.NOT_FOUND, f"Servable not found: {model} {where}")
        return number

    def _run_batches(self):
        kept = None
        while True:
            first = kept or self._waiting.get()
            batch, kept, end = [first], None, time.monotonic() + self._seconds
            while len(batch) < self._size and time.monotonic() < end:
                with contextlib.suppress(queue.Empty):
                    item = self._waiting.get(timeout=max(0.0, end - time.monotonic()))
                    if item[0] is not first[0]:
                        kept = item
                        break
                    batch.append(item)
            self.batches.append(len(batch))
            futures = [future for _, _, future in batch]
            try:
                outputs = self._run(first[0], [arrays for _, arrays, _ in batch])
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                message = getattr(error, "message", str(error))
                for future in futures:
                    future.set_exception(ServerError(grpc.StatusCode.INVALID_ARGUMENT, message))
                continue
            for future, output in zip(futures, outputs, strict=True):
                future.set_result(output)

    @staticmethod
    def _run(signature, requests):
        specs = signature.structured_input_signature[1]
        together = lay_together(requests)
        found = signature(
            **{
                name: tf.constant(value.tolist(), specs[name].dtype, value.shape)
                for name, value in together.items()
            }
        )
        ends = np.cumsum([len(next(iter(arrays.values()))) for arrays in requests])
        parts = {name: np.split(value.numpy(), ends[:-1]) for name, value in found.items()}
        return [{name: part[row] for name, part in parts.items()} for row in range(len(requests))]


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server):
        self._server = server

    def Predict(self, request, context):
        arrays = {
            name: tf.make_ndarray(value).reshape([dim.size for dim in value.tensor_shape.dim])
            for name, value in request.inputs.items()
        }
        spec = request.model_spec
        try:
            outputs = self._server.predict(
                spec.name, spec.version.value, spec.version_label, spec.signature_name, arrays
            )
        except ServerError as error:
            context.abort(error.code, str(error))
        answer = predict_pb2.PredictResponse()
        answer.model_spec.CopyFrom(spec)
        for name, value in outputs.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return answer


def tensor_of(value, dtype, name):
    """Return a JSON value as an array: the first elements give the shape, all others must fit it."""
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat = []

    def fill(item, level):
        if isinstance(item, list):
            if level >= len(shape) or len(item) != shape[level]:
                raise ValueError(f"{name}: encountered list at unexpected size at level {level}")
            for part in item:
                fill(part, level + 1)
            return
        if level != len(shape):
            raise ValueError(f"{name}: value at level {level}, expected at level {len(shape)}")
        whole = isinstance(item, int) and not isinstance(item, bool)
        fits = {
            tf.string: isinstance(item, str),
            tf.int64: whole and -(2**63) <= item < 2**63,
            tf.float32: whole or isinstance(item, float),
        }[dtype]
        if not fits:
            raise ValueError(f"{name}: {item!r} is not of expected type {dtype.name}")
        flat.append(item.encode() if isinstance(item, str) else item)

    fill(value, 0)
    kind = object if dtype == tf.string else dtype.as_numpy_dtype
    return np.array(flat, kind).reshape(shape)


def arrays_of(body, specs):
    """Return the arguments of a REST body, `instances` (rows) or `inputs` (columns)."""
    if "inputs" in body:
        return {
            name: tensor_of(value, specs[name].dtype, name)
            for name, value in body["inputs"].items()
            if name in specs
        }
    rows = [
        {name: tensor_of(value, specs[name].dtype, name) for name, value in row.items()}
        for row in body["instances"]
    ]
    arrays = {}
    for name in rows[0]:
        if len({row[name].shape for row in rows}) > 1:
            raise ValueError(f"{name}: instances must have one shape")
        arrays[name] = np.stack([row[name] for row in rows])
    return arrays


def _rest_handler(server):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            """Print nothing."""

        def do_POST(self):
            path = re.fullmatch(
                r"/v1/models/(\w+)(?:/versions/(\d+)|/labels/(\w+))?:predict", self.path
            )
            content = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, body = 200, self._answer(path, json.loads(content))
            except ServerError as error:
                status, body = _HTTP[error.code], {"error": str(error)}
            except (ValueError, KeyError, TypeError) as error:
                status, body = 400, {"error": str(error)}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            # A client that waits no longer is gone.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(text)

        def _answer(self, path, body):
            model, version, label = path[1], int(path[2] or 0), path[3] or ""
            signature = body.get("signature_name", "")
            number = server._find(model, version, label)
            found = server.versions[number][signature or "serving_default"]
            arrays = arrays_of(body, found.structured_input_signature[1])
            outputs = server.predict(model, version, label, signature, arrays)
            columns = {name: value.tolist() for name, value in outputs.items()}
            if "inputs" in body:
                return {"outputs": columns}
            rows = zip(*columns.values(), strict=True)
            return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}

    return Handler


@contextlib.contextmanager
def listening(server):
    """Yield the addresses of a server: (REST, gRPC)."""
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _rest_handler(server))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    rpc = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(server), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    try:
        yield f"http://127.0.0.1:{rest.server_address[1]}", f"127.0.0.1:{port}"
    finally:
        rest.shutdown()
        rest.server_close()
        rpc.stop(None)
