"""The SavedModel loads where the package is absent: in Python, saved_model_cli and a C program."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.user_tf.serving.served_requests import DTYPES, RECOMMENDATION, SEARCH, tensors
from user_tf.serving.request import to_arrays

ALONE = """
import json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("user_tf", "data_pipeline"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import numpy, tensorflow as tf
with numpy.load(sys.argv[2]) as arrays:
    feeds = {name: tf.constant(arrays[name]) for name in arrays.files}
rank = tf.saved_model.load(sys.argv[1]).signatures["rank"]
print("SCORES", json.dumps(rank(**feeds)["scores"].numpy().tolist()), flush=True)

# The command saved_model_cli runs this.
from tensorflow.python.tools import saved_model_cli
sys.argv = ["saved_model_cli", *sys.argv[3:]]
saved_model_cli.main()
"""


def run(command, folder):
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def feeds(tmp_path_factory):
    """Write arrays of two requests to a file that needs no pickle."""
    path = tmp_path_factory.mktemp("feeds") / "inputs.npz"
    arrays = to_arrays([SEARCH, RECOMMENDATION])
    np.savez(
        path,
        **{
            name: value.astype(np.bytes_) if value.dtype == object else value
            for name, value in arrays.items()
        },
    )
    return path


@pytest.fixture(scope="module")
def wanted(served):
    return served["rank"](**tensors([SEARCH, RECOMMENDATION]))["scores"].numpy()


def test_it_loads_and_saved_model_cli_runs_it_where_the_package_is_absent(
    saved_model, feeds, wanted, tmp_path
):
    inputs = ";".join(f"{name}={feeds}[{name}]" for name in DTYPES)
    command = ["run", "--dir", str(saved_model), "--tag_set", "serve", "--signature_def", "rank"]
    command += ["--inputs", inputs, "--outdir", str(tmp_path)]
    output = run(
        [sys.executable, "-I", "-c", ALONE, str(saved_model), str(feeds), *command], tmp_path
    )
    line = next(line for line in output.splitlines() if line.startswith("SCORES "))
    np.testing.assert_allclose(json.loads(line.removeprefix("SCORES ")), wanted, atol=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), wanted, atol=1e-4)


def signature_tensors(folder):
    """Return (operation, index) of every input of `rank` and of its output, as a server does."""
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    rank = proto.meta_graphs[0].signature_def["rank"]

    def place(info):
        operation, index = info.name.split(":")
        return operation, int(index)

    return {name: place(info) for name, info in rank.inputs.items()}, place(rank.outputs["scores"])


def write_feeds(path, arrays, places):
    """Write the text format of load_saved_model.c."""
    lines = []
    for name, value in arrays.items():
        kind = {"O": "string", "i": "int64", "f": "float"}[value.dtype.kind]
        shape = " ".join(map(str, value.shape))
        lines.append(f"{places[name][0]} {places[name][1]} {kind} {value.ndim} {shape}")
        lines += [str(item) for item in value.ravel().tolist()]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def test_a_c_program_loads_it_as_tensorflow_serving_does(saved_model, wanted, tmp_path):
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("This test needs a C compiler; install gcc to check that servers can load it.")
    package = pathlib.Path(os.path.dirname(tf.__file__))
    libraries = [package / "libtensorflow_cc.so.2", package / "libtensorflow_framework.so.2"]
    if not all(library.exists() for library in libraries):
        pytest.skip(f"This test needs {libraries[0].name} of the Linux wheel of TensorFlow.")
    program = tmp_path / "load_saved_model"
    source = pathlib.Path(__file__).with_name("load_saved_model.c")
    # The older linker takes a fourth of the time on a library of this size.
    linker = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []
    run(
        [
            *[compiler, *linker, "-Wall", "-Wextra", "-Werror", str(source), "-o", str(program)],
            *[f"-I{package / 'include'}", *map(str, libraries), f"-Wl,-rpath,{package}"],
        ],
        tmp_path,
    )
    places, (operation, index) = signature_tensors(saved_model)
    write_feeds(tmp_path / "feeds.txt", to_arrays([SEARCH, RECOMMENDATION]), places)
    output = run(
        [str(program), str(saved_model), str(tmp_path / "feeds.txt"), operation, str(index)],
        tmp_path,
    )
    found = np.array([float(line) for line in output.split()], np.float32).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
