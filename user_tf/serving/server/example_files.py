"""Write the example request in every form a server reads, its expected scores, and warm-up requests.

example_rest.json             body of a REST request, for curl
example_grpc.bin              body of a gRPC call, for curl
expected_scores.json          scores of that request, for a canary
tf_serving_warmup_requests    one request of each signature and task, which a server runs as it
                              loads: without them the first requests take seconds
"""

import json
import pathlib
from collections.abc import Iterable, Sequence

from user_tf.serving.server.messages import Arrays, grpc_frame, predict_request, rest_body

REST_BODY = "example_rest.json"
GRPC_BODY = "example_grpc.bin"
EXPECTED = "expected_scores.json"
# TensorFlow Serving looks for this name.
WARM_UP = "tf_serving_warmup_requests"
MODEL_NAME = "user"
TOLERANCE = 1e-3
"""Largest difference of scores between machines: another processor rounds otherwise."""


def write_example(folder: pathlib.Path, arrays: Arrays) -> None:
    """Write the bodies of the example request of signature `rank`.

    Args:
        folder: assets.extra of a version.
        arrays: Arguments of `rank` for one request.
    """
    (folder / REST_BODY).write_bytes(rest_body("rank", arrays) + b"\n")
    message = predict_request(MODEL_NAME, "rank", arrays)
    (folder / GRPC_BODY).write_bytes(grpc_frame(message))


def write_expected(folder: pathlib.Path, scores: Sequence[float]) -> None:
    """Write the scores that `rank` gives the example request."""
    content = {"signature": "rank", "tolerance": TOLERANCE, "scores": [*map(float, scores)]}
    (folder / EXPECTED).write_text(json.dumps(content) + "\n", encoding="utf-8")


def write_warm_up(folder: pathlib.Path, requests: Iterable[tuple[str, Arrays]]) -> None:
    """Write warm-up requests.

    Args:
        folder: assets.extra of a version.
        requests: (signature, its arguments).
    """
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    with tf.io.TFRecordWriter(str(folder / WARM_UP)) as writer:
        for signature, arrays in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(predict_request(MODEL_NAME, signature, arrays))
            writer.write(log.SerializeToString())
