"""The served graph: signatures, every kind of emptiness, routing, and loaders without the package."""

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

from user_tf.serving.request import PADDING_SCORE, Behavior, Request, to_arrays
from user_tf.serving.signatures import UserTable, route, write_users

HISTORY = (
    Behavior(1, "shoe", ("big shoe", "red shoe")),
    Behavior(1, "", ("sun",)),
    Behavior(2, "rain", ()),
    Behavior(3, "", ("small hat",)),
)
SEARCH = Request("alice", "red hat", 3, HISTORY, ("red hat", "sock", "", "zebra", "big sun"))
RECOMMENDATION = Request("bob", "", 3, HISTORY, ("red hat", "sock", "rain"))
DTYPES = {
    "user_id": (tf.string, 1),
    "query": (tf.string, 1),
    "session": (tf.int64, 1),
    "history_session": (tf.int64, 2),
    "history_query": (tf.string, 2),
    "history_titles": (tf.string, 3),
    "candidates": (tf.string, 2),
    "candidate_count": (tf.int64, 1),
}


def replace(request, **changes):
    return Request(**(vars(request) | changes))


def tensors(requests, features=None):
    return {
        name: tf.constant(
            value.tolist(), tf.string if value.dtype == object else value.dtype, value.shape
        )
        for name, value in to_arrays(requests, 3, features).items()
    }


def scores(served, *requests, features=None):
    """Scores of each request alone, and all in one batch, which must agree; the latter."""
    signature = served["rank" if features is None else "rank_with_features"]
    together = signature(**tensors(requests, features))["scores"].numpy()
    for row, request in zip(together, requests, strict=True):
        alone = signature(**tensors([request], features))["scores"].numpy()[0]
        np.testing.assert_allclose(row[: len(alone)], alone, atol=1e-4)
        assert (row[len(alone) :] == PADDING_SCORE).all()
        assert np.isfinite(alone).all() and (alone != PADDING_SCORE).all()
    return [row[: len(request.candidates)] for row, request in zip(together, requests, strict=True)]


def test_signatures_have_the_documented_names_and_dtypes(served):
    assert set(served) == {"rank", "rank_with_features", "serving_default"}
    for name, signature in served.items():
        wide = name == "rank_with_features"
        expected = DTYPES | ({"features": (tf.float32, 3)} if wide else {})
        specs = signature.structured_input_signature[1]
        assert {key: (spec.dtype, spec.shape.rank) for key, spec in specs.items()} == expected
        assert set(signature.structured_outputs) == {"scores"}
        assert signature.structured_outputs["scores"].dtype == tf.float32


def test_a_saved_model_scores_as_the_models_do(served, graph, copies):
    requests = [SEARCH, RECOMMENDATION]
    batch = graph.batch(tensors(requests), tf.fill([2, 5, 2], np.nan))
    found = scores(served, *requests)
    for row, task in enumerate(("search", "recommendation")):
        expected = copies[task](batch).numpy()[row, : len(found[row])]
        np.testing.assert_allclose(found[row], expected, atol=1e-4)


def test_each_task_has_its_own_copy(served, graph, copies):
    found = scores(served, SEARCH)[0]
    other = graph.score(copies["recommendation"], tensors([SEARCH]), tf.fill([1, 5, 2], np.nan))
    assert np.abs(found - other.numpy()[0]).max() > 1e-2


def test_requests_of_both_tasks_may_come_in_any_order(served):
    first = scores(served, SEARCH, RECOMMENDATION, replace(SEARCH, query="sock"))
    second = scores(served, RECOMMENDATION, replace(SEARCH, query="sock"), SEARCH)
    for one, other in zip(first, [second[2], second[0], second[1]], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_every_kind_of_emptiness_gives_finite_scores(served):
    scores(
        served,
        replace(SEARCH, history=()),
        replace(RECOMMENDATION, history=()),
        replace(SEARCH, candidates=("", "")),
        replace(SEARCH, query="?!", history=(Behavior(3, "...", ("",)), Behavior(3, "", ("",)))),
        replace(SEARCH, query="zebra quagga", candidates=("okapi",)),
        Request("", "", 1, (), ("",)),
    )


def test_an_unknown_user_is_scored_as_no_user(served):
    unknown, nobody, known = scores(
        served,
        replace(RECOMMENDATION, user_id="carol"),
        replace(RECOMMENDATION, user_id=""),
        RECOMMENDATION,
    )
    np.testing.assert_allclose(unknown, nobody, atol=1e-6)
    assert np.abs(unknown - known).max() > 1e-4


def test_an_unknown_word_still_matches_itself(served):
    same, other = scores(served, replace(SEARCH, query="zebra", candidates=("zebra", "quagga")))[0]
    assert abs(same - other) > 1e-4


def test_history_and_clicked_titles_reach_the_scores(served):
    changed = replace(SEARCH, history=(Behavior(1, "shoe", ("rain", "red shoe")), *HISTORY[1:]))
    plain, reclicked, shorter = scores(
        served, SEARCH, changed, replace(SEARCH, history=HISTORY[1:])
    )
    assert np.abs(plain - reclicked).max() > 1e-5
    assert np.abs(plain - shorter).max() > 1e-5


def test_a_missing_feature_counts_as_the_mean(served, graph):
    mean = tuple(map(float, graph.tables.feature_mean))
    rows = (mean,) * 5
    without = scores(served, SEARCH)[0]
    given, missing, changed = scores(
        served,
        replace(SEARCH, features=rows),
        SEARCH,
        replace(SEARCH, features=((3.0, -2.0), *rows[1:])),
        features=2,
    )
    np.testing.assert_allclose(given, without, atol=1e-5)
    np.testing.assert_allclose(missing, without, atol=1e-5)
    assert abs(changed[0] - without[0]) > 1e-3
    np.testing.assert_allclose(changed[1:], without[1:], atol=1e-5)


def test_features_leave_recommendations_alone(served):
    rows = ((9.0, 9.0),) * 3
    np.testing.assert_allclose(
        scores(served, replace(RECOMMENDATION, features=rows), features=2)[0],
        scores(served, RECOMMENDATION)[0],
        atol=1e-5,
    )


def test_zero_padding_of_the_server_changes_nothing(served):
    """TensorFlow Serving pads requests of one batch with zeros and empty strings."""
    plain = tensors([SEARCH])
    padded = {
        name: tf.pad(value, [[0, 0], [0, 2]] + [[0, 0]] * (value.shape.rank - 2), constant_values=0)
        if value.shape.rank > 1 and value.dtype != tf.string
        else value
        for name, value in plain.items()
    }
    for name in ("history_query", "candidates"):
        padded[name] = tf.concat([plain[name], [["", ""]]], axis=1)
    padded["history_titles"] = tf.concat([plain["history_titles"], tf.fill([1, 2, 3], "")], axis=1)
    found = served["rank"](**padded)["scores"].numpy()
    np.testing.assert_allclose(found[:, :5], served["rank"](**plain)["scores"], atol=1e-5)
    assert (found[:, 5:] == PADDING_SCORE).all()


def calling(calls, task):
    """A ranker that notes its calls at run time and scores everything 1 or 2."""

    def ranker(batch, training):
        assert not training
        tf.py_function(lambda: calls.append(task), [], [])
        value = 1.0 if task == "search" else 2.0
        return tf.fill(tf.shape(batch["candidate_mask"]), value)

    return ranker


def test_a_batch_of_one_task_runs_one_copy_only(graph):
    calls = []
    copies = {task: calling(calls, task) for task in ("search", "recommendation")}
    served = tf.function(lambda request, features: route(graph, copies, request, features))
    for requests, ran in (
        ([SEARCH, SEARCH], ["search"]),
        ([RECOMMENDATION], ["recommendation"]),
        ([RECOMMENDATION, SEARCH], ["recommendation", "search"]),
    ):
        calls.clear()
        found = served(
            tensors(requests), tf.zeros([len(requests), 5 if SEARCH in requests else 3, 2])
        )
        assert sorted(calls) == ran
        expected = [1.0 if request.query else 2.0 for request in requests]
        assert found[:, 0].numpy().tolist() == expected


def test_a_model_of_one_task_refuses_the_other(graph):
    copies = {"search": calling([], "search")}
    served = tf.function(lambda request, features: route(graph, copies, request, features))
    assert served(tensors([SEARCH]), tf.zeros([1, 5, 2])).numpy().tolist() == [[1.0] * 5]
    with pytest.raises(tf.errors.InvalidArgumentError, match="trained for search only"):
        served(tensors([SEARCH, RECOMMENDATION]), tf.zeros([2, 5, 2]))


def test_a_user_table_may_be_empty(tmp_path):
    write_users(tmp_path / "users.txt", [""])
    assert UserTable(tmp_path / "users.txt").find(tf.constant(["", "alice"])).numpy().tolist() == [
        0,
        0,
    ]


def test_users_keep_their_rows(tmp_path):
    write_users(tmp_path / "users.txt", ["", "b", "ä c"])
    found = UserTable(tmp_path / "users.txt").find(tf.constant(["ä c", "x", "b"]))
    assert found.numpy().tolist() == [2, 0, 1]


@pytest.mark.parametrize("ids", [["", "a\nb"], ["", "a", ""], ["a"]])
def test_user_ids_that_fit_no_line_are_refused(tmp_path, ids):
    with pytest.raises(ValueError, match="`user_ids` should be non-empty and without line breaks"):
        write_users(tmp_path / "users.txt", ids)


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

# What the command saved_model_cli runs.
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
    """Arrays of two requests, in a file that needs no pickle."""
    path = tmp_path_factory.mktemp("feeds") / "inputs.npz"
    arrays = to_arrays([SEARCH, RECOMMENDATION], 3)
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
    """(operation, index) of every input of `rank`, and of its output, as a server reads them."""
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    rank = proto.meta_graphs[0].signature_def["rank"]

    def place(info):
        operation, index = info.name.split(":")
        return operation, int(index)

    return {name: place(info) for name, info in rank.inputs.items()}, place(rank.outputs["scores"])


def write_feeds(path, arrays, places):
    """The text format of load_saved_model.c."""
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
    write_feeds(tmp_path / "feeds.txt", to_arrays([SEARCH, RECOMMENDATION], 3), places)
    output = run(
        [str(program), str(saved_model), str(tmp_path / "feeds.txt"), operation, str(index)],
        tmp_path,
    )
    found = np.array([float(line) for line in output.split()], np.float32).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
