"""A server is compared with a version by its example request; the commands of the docs reach it."""

import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tests.user_tf.serving.client.stand_in_server import StandInServer, listening
from tests.user_tf.serving.served_requests import SEARCH
from user_tf.serving.client import check_server
from user_tf.serving.client.check_server import check_canary
from user_tf.serving.client.grpc_transport import GrpcTransport
from user_tf.serving.client.rest_transport import RestTransport
from user_tf.serving.example_requests import write_server_files
from user_tf.serving.loading import as_tensors
from user_tf.serving.request_json import to_json

DOCS = pathlib.Path(__file__).parents[4] / "docs" / "serving.md"


@pytest.fixture(scope="module")
def version(tmp_path_factory, served):
    """Return the folder of a version that has no more than the files beside the model."""
    folder = tmp_path_factory.mktemp("model") / "1"
    extra = folder / "assets.extra"
    extra.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    manifest = {"tasks": ["search"], "signatures": ["rank"], "features": []}
    write_server_files(
        extra, SEARCH, manifest, lambda name, arrays: served[name](**as_tensors(arrays))
    )
    (extra / "example_request.jsonl").write_text(to_json(SEARCH) + "\n", encoding="utf-8")
    (extra / "export.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def addresses(served):
    with listening(StandInServer({1: served}, {"stable": 1})) as found:
        yield found


def run(*flags):
    """Run the command in this process, where TensorFlow is loaded already."""
    settings = check_server.CheckServerSettings(**dict(flags))
    return check_server.compare(settings)


def test_a_server_with_the_version_gives_the_expected_scores(version, addresses, capsys):
    rest, rpc = addresses
    run(("model", str(version.parent)), ("rest", rest), ("grpc", rpc), ("label", "stable"))
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in printed] == [rest, rpc]
    assert all("5 scores as expected" in line for line in printed)


def test_a_server_with_another_version_is_refused(version, addresses, tmp_path):
    shutil.copytree(version, tmp_path / "1")
    file = tmp_path / "1" / "assets.extra" / "expected_scores.json"
    expected = json.loads(file.read_text())
    expected["scores"][1] += 2 * expected["tolerance"]
    file.write_text(json.dumps(expected))
    for transport in (RestTransport(addresses[0]), GrpcTransport(addresses[1])):
        with pytest.raises(ValueError, match=r"`model` must be the version that the server has"):
            check_canary(transport, tmp_path, 60.0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"model": ""}, "`model` must name a folder"),
        ({"rest": ""}, "`rest` or `grpc` must name a server"),
        ({"rest": "http://127.0.0.1:9"}, "`address` must be that of a running server"),
        ({"label": "nightly"}, "must name a model of the server"),
    ],
)
def test_mistakes_are_refused_with_a_fix(version, addresses, flags, message):
    settings = {"model": str(version), "rest": addresses[0], **flags}
    with pytest.raises((ValueError, OSError), match=rf"{message}.* Fix: "):
        run(*settings.items())


def commands_of_docs(address, rest, rpc, version):
    """Return the curl commands of the docs that call an address, with that of the test in its place."""
    text = DOCS.read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in re.findall(r"^curl .*$", text, re.MULTILINE) if address in line]
    return [
        line.replace("localhost:8501", rest.removeprefix("http://"))
        .replace("localhost:8500", rpc)
        .replace("work/model/1", str(version))
        for line in lines
    ]


def test_the_curl_commands_of_the_docs_get_the_expected_scores(version, addresses, tmp_path):
    expected = json.loads((version / "assets.extra" / "expected_scores.json").read_text())["scores"]
    (rest,) = commands_of_docs("localhost:8501", *addresses, version)
    answer = subprocess.run(rest, shell=True, capture_output=True, check=True, timeout=60).stdout
    np.testing.assert_allclose(json.loads(answer)["outputs"]["scores"][0], expected, atol=1e-4)
    (rpc,) = commands_of_docs("localhost:8500", *addresses, version)
    subprocess.run(rpc, shell=True, check=True, cwd=tmp_path, timeout=60)
    framed = (tmp_path / "answer.bin").read_bytes()
    outputs = predict_pb2.PredictResponse.FromString(framed[5:]).outputs
    np.testing.assert_allclose(tf.make_ndarray(outputs["scores"])[0], expected, atol=1e-4)
