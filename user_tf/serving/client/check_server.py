"""Compare a running server with a version of a served model, by its example request: a canary.

    python -m user_tf.serving.client.check_server --model=DIR/2 --rest=http://localhost:8501 --label=canary

The server must give the scores in assets.extra/expected_scores.json; otherwise the command ends with
the exit code 2. With --grpc it is asked over gRPC, too.
"""

import dataclasses
import json
import os
from typing import NamedTuple

import numpy as np

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from user_tf.serving import layout
from user_tf.serving.client.grpc_transport import GrpcTransport
from user_tf.serving.client.model_client import ModelClient, Transport, read_model_manifest
from user_tf.serving.client.rest_transport import RestTransport
from user_tf.serving.request_json import from_json
from user_tf.serving.server.example_files import EXPECTED


class CanaryResult(NamedTuple):
    """Hold the comparison of a server with a version.

    Attributes:
        candidates: Scores compared.
        difference: Largest absolute difference.
        tolerance: Largest difference that is accepted.
    """

    candidates: int
    difference: float
    tolerance: float


def check_canary(
    transport: Transport, model: str | os.PathLike[str], deadline_seconds: float = 10.0
) -> CanaryResult:
    """Return how far a server's scores are from the expected ones.

    Args:
        transport: Calls the server.
        model: Folder of the served model, or of one of its versions: the one that the server should
            have.
        deadline_seconds: Time for the answer. Default: 10, enough for a server without warm-up.

    Raises:
        ValueError: The scores differ by more than the tolerance: the server has another version.
        As `ModelClient.rank`.
    """
    version = layout.find_version(model)
    extra = version / layout.EXTRA
    expected = json.loads((extra / EXPECTED).read_text(encoding="utf-8"))
    request = from_json((extra / layout.EXAMPLE).read_text(encoding="utf-8"))
    client = ModelClient(transport, read_model_manifest(version), deadline_seconds=deadline_seconds)
    [answer] = client.rank([dataclasses.replace(request, features=None)])
    difference = float(np.abs(np.subtract(answer.scores, expected["scores"])).max())
    tolerance = expected["tolerance"]
    if difference > tolerance:
        raise ValueError(
            f"`model` must be the version that the server has. Got scores that differ from those of "
            f"{os.fspath(version)!r} by {difference:.4g}, more than {tolerance:g}. Fix: wait until the "
            "server has loaded the version, or compare its model config."
        )
    return CanaryResult(len(answer.scores), difference, tolerance)


@dataclasses.dataclass(frozen=True)
class CheckServerSettings:
    """Settings of `python -m user_tf.serving.client.check_server`."""

    model: str = setting("", "Folder made by user_tf.export, or one of its versions.", path=True)
    rest: str = setting("", "Address of the REST API, such as http://localhost:8501.")
    grpc: str = setting("", "Address of the gRPC API, such as localhost:8500.")
    name: str = setting("user", "Name of the model on the server.")
    label: str = setting("", "Label of the version on the server; empty: its highest version.")
    deadline_seconds: float = setting(10.0, "Time for an answer.")


def main(arguments: list[str]) -> None:
    """Run the command line."""
    compare(flagtree.read(CheckServerSettings))


def compare(settings: CheckServerSettings) -> None:
    """Compare a server with a version, and print the result.

    Raises:
        ValueError: A setting is impossible, or the server has another version.
        OSError: No server answers.
    """
    if not settings.model:
        raise ValueError("`model` must name a folder. Got ''. Fix: set --model.")
    asked: list[tuple[str, type[RestTransport] | type[GrpcTransport]]] = [
        (settings.rest, RestTransport),
        (settings.grpc, GrpcTransport),
    ]
    if not settings.rest and not settings.grpc:
        raise ValueError(
            "`rest` or `grpc` must name a server. Got neither. Fix: set --rest or --grpc."
        )
    for address, kind in asked:
        if not address:
            continue
        transport: Transport = kind(address, model=settings.name, label=settings.label)
        try:
            found = check_canary(transport, settings.model, settings.deadline_seconds)
        except LookupError as error:
            raise ValueError(*error.args) from error
        print(
            f"{address}: {found.candidates} scores as expected, largest difference "
            f"{found.difference:.1e} of {found.tolerance:.0e} accepted",
            flush=True,
        )


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    flagtree.define(CheckServerSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
