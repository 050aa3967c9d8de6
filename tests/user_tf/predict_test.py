"""Ranking a file of requests by a SavedModel whose scores are known."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from user_tf.serving.request_file import rank_file
from user_tf.serving.saved_ranker import SavedRanker

SPECS = {
    "user_id": ([None], tf.string),
    "query": ([None], tf.string),
    "session": ([None], tf.int64),
    "history_count": ([None], tf.int64),
    "history_session": ([None, None], tf.int64),
    "history_query": ([None, None], tf.string),
    "history_title_count": ([None, None], tf.int64),
    "history_titles": ([None, None], tf.string),
    "opened_count": ([None], tf.int64),
    "opened_session": ([None, None], tf.int64),
    "opened_query": ([None, None], tf.string),
    "opened_titles": ([None, None], tf.string),
    "candidate_count": ([None], tf.int64),
    "candidates": ([None, None], tf.string),
}


class LengthRanker(tf.Module):
    """Scores a title by its length, 100 for each session number above the first, and F."""

    @tf.function(autograph=False)
    def rank(self, **request):
        length = tf.cast(tf.strings.length(request["candidates"]), tf.float32)
        sessions = tf.cast(request["session"] - 1, tf.float32)
        extra = tf.reduce_sum(tf.where(tf.math.is_nan(f := request["features"]), 0.0, f), -1)
        return {"scores": length + 100 * sessions[:, None] + extra}

    @tf.function(autograph=False)
    def rank_without(self, **request):
        shape = tf.concat([tf.shape(request["candidates"]), [2]], 0)
        return self.rank(**request, features=tf.zeros(shape))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    module = LengthRanker()
    specs = {name: tf.TensorSpec(shape, kind, name) for name, (shape, kind) in SPECS.items()}
    wide = specs | {"features": tf.TensorSpec([None, None, 2], tf.float32, "features")}
    signatures = {
        "rank": module.rank_without.get_concrete_function(**specs),
        "rank_with_features": module.rank.get_concrete_function(**wide),
    }
    for version in ("2", "10"):
        tf.saved_model.save(module, str(folder / version), signatures)
    (folder / "10" / "assets.extra").mkdir()
    manifest = {"tasks": ["search"], "session_minutes": 10}
    (folder / "10" / "assets.extra" / "export.json").write_text(json.dumps(manifest))
    return folder


def write(path, *requests):
    lines = [line if isinstance(line, str) else json.dumps(line) for line in requests]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def search(*candidates, **more):
    return {"query": "q", "session": 1, "candidates": list(candidates)} | more


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_come_in_order_for_every_batch_size(model, tmp_path):
    requests = [search("a" * (n + 1), "b" * 3, request_id=f"r{n}") for n in range(5)]
    path = write(tmp_path / "in.jsonl", *requests[:3], "", *requests[3:])
    for batch_size in (1, 2, 64):
        output = tmp_path / f"{batch_size}.jsonl"
        assert rank_file(model, path, output, batch_size) == 5
        found = read(output)
        assert [line["line"] for line in found] == [1, 2, 3, 5, 6]
        assert [line["request_id"] for line in found] == ["r0", "r1", "r2", "r3", "r4"]
        assert [line["scores"] for line in found] == [[n + 1.0, 3.0] for n in range(5)]
        # Equal scores keep the order given.
        assert [line["ranking"] for line in found] == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]


def test_features_may_be_given_to_some_requests_of_a_batch(model, tmp_path):
    path = write(
        tmp_path / "in.jsonl", search("a", "bb", features=[[5, None], [1, 1]]), search("ccc")
    )
    rank_file(str(model), path, str(tmp_path / "out.jsonl"))
    assert [line["scores"] for line in read(tmp_path / "out.jsonl")] == [[6.0, 4.0], [3.0]]


def test_sessions_are_cut_by_the_gap_the_model_was_trained_with(model, tmp_path):
    request = search("a", time=900, history=[{"time": 0, "title": "x"}])
    del request["session"]
    path = write(tmp_path / "in.jsonl", request)
    rank_file(str(model), path, str(tmp_path / "out.jsonl"))
    assert read(tmp_path / "out.jsonl")[0]["scores"] == [101.0]


def test_the_highest_version_is_taken_and_a_version_may_be_named(model):
    assert SavedRanker(model).version == model / "10"
    assert SavedRanker(model / "2").manifest == {}


def test_a_single_request_is_printed_as_a_ranking(model, tmp_path, capsys):
    path = write(tmp_path / "in.jsonl", search("Cap", "Sun hat"))
    rank_file(str(model), path)
    printed = capsys.readouterr().out
    assert "search 'q' by an unnamed user, 0 past behaviors" in printed
    assert printed.index("Sun hat") < printed.index("Cap\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"in.jsonl, line 3: A request must be one JSON object.*Got '\{"),
        (search(), r"in.jsonl, line 3: `candidates` .* at least 1 title"),
        (search("a", features=[[1, 2, 3]]), "line 3: `features` must hold 2 values.*Got 3"),
        (search("a", query=""), "line 3: `query` must fit the model.*trained for search only"),
    ],
)
def test_a_malformed_line_stops_without_output(model, tmp_path, line, message):
    path = write(tmp_path / "in.jsonl", search("a"), "", line)
    with pytest.raises(ValueError, match=message):
        rank_file(str(model), path, str(tmp_path / "out.jsonl"), 1)
    assert [item.name for item in tmp_path.iterdir()] == ["in.jsonl"]


def test_bytes_that_are_not_utf8_are_refused(model, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b'{"query": "\xff"}\n')
    with pytest.raises(ValueError, match=r"line 1: a line must be UTF-8.*xff.*byte 12"):
        rank_file(str(model), str(tmp_path / "in.jsonl"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ""}, "`model` must name"),
        ({"requests": "absent"}, "`requests` must be a JSON Lines file.*'absent'"),
        ({"model": "."}, "holds no saved_model.pb"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(model, tmp_path, changes, message):
    path = write(tmp_path / "in.jsonl", search("a"))
    settings = {"model": str(model), "requests": path} | changes
    if changes.get("model") == ".":
        settings["model"] = str(tmp_path)
    with pytest.raises((ValueError, OSError), match=message):
        rank_file(**settings)


def test_the_command_needs_no_model_code(model, tmp_path):
    write(tmp_path / "in.jsonl", search("a", "bb"))
    forbidden = [
        "user_tf.models",
        "user_tf.layers",
        "user_tf.training",
        "data_pipeline.batching.batches",
    ]
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({forbidden}))\n"
        "from user_tf import predict\n"
        "predict.run()\n"
    )
    flags = [f"--model={model}", "--requests=in.jsonl", "--output=out.jsonl"]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, *flags],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_array_equal(read(tmp_path / "out.jsonl")[0]["scores"], [1.0, 2.0])
