"""Run TensorFlow Serving itself over an exported model, where it is installed or docker runs.

    python -m tests.user_tf.serving.server.real_server MODEL

It must give the expected scores of the example request over REST and gRPC, with batching and
warm-up. Without a server the script says so and ends well.
"""

import contextlib
import pathlib
import shutil
import subprocess
import sys
import time

from user_tf.serving.client.check_server import check_canary
from user_tf.serving.client.grpc_transport import GrpcTransport
from user_tf.serving.client.rest_transport import RestTransport

CONFIGS = pathlib.Path(__file__).parents[4] / "configs" / "serving"
BINARY, IMAGE = "tensorflow_model_server", "tensorflow/serving:2.21.0"
ABSENT = (
    f"No real server was run: there is no {BINARY} in PATH and no docker engine. The tests use a "
    "stand-in on the same protos."
)


def server_command(model, which=shutil.which, run=subprocess.run):
    """Return the command that starts a server of a model; None where there is none."""
    flags = ["--enable_batching", "--monitoring_config_file={}/monitoring.config"]
    flags.append("--batching_parameters_file={}/batching.config")
    if which(BINARY):
        base = [BINARY, "--port=8500", "--rest_api_port=8501", "--model_name=user"]
        base.append(f"--model_base_path={model}")
        return [*base, *(flag.format(CONFIGS) for flag in flags)]
    if which("docker") and run(["docker", "info"], capture_output=True).returncode == 0:
        mounts = ["-v", f"{model}:/models/user:ro", "-v", f"{CONFIGS}:/config:ro"]
        ports = ["-p", "127.0.0.1:8500:8500", "-p", "127.0.0.1:8501:8501"]
        base = ["docker", "run", "--rm", "--init", *ports, *mounts, "-e", "MODEL_NAME=user", IMAGE]
        return [*base, *(flag.format("/config") for flag in flags)]
    return None


def main(model):
    """Start a server, wait until it answers, compare its scores."""
    command = server_command(pathlib.Path(model).resolve())
    if command is None:
        print(ABSENT)
        return
    with subprocess.Popen(command) as process:
        try:
            end = time.monotonic() + 300
            for transport in (
                RestTransport("http://localhost:8501"),
                GrpcTransport("localhost:8500"),
            ):
                found = None
                while found is None and time.monotonic() < end and process.poll() is None:
                    with contextlib.suppress(OSError, LookupError):
                        found = check_canary(transport, model)
                    time.sleep(1)
                if found is None:
                    raise SystemExit(f"The server gave no answer to {type(transport).__name__}.")
                print(f"{transport.address}: {found}")
        finally:
            process.terminate()


if __name__ == "__main__":
    main(sys.argv[1])
