"""Ranking a file of requests by a SavedModel whose scores are known."""

import json
import math
import re
import subprocess
import sys

import pytest

from user_tf.serving.request_file import rank_file
from user_tf.serving.saved_ranker import SavedRanker


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
        assert rank_file(model, path, output, batch_size) == (5, 0)
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
        ("{", r"A request must be one JSON object.*Got '\{"),
        ("[" * 100_000, "one JSON object.*nested too deeply"),
        ('{"a": ' * 100_000, "one JSON object.*nested too deeply"),
        ('{"session": ' + "9" * 5000 + "}", "one JSON object.*too many digits"),
        (search(), "`candidates` .* at least 1 title"),
        (search("a", session=10**400), r"`session` must be an integer.*Got 1000.*\.\.\."),
        (search("a", features=[[1, 2, 3]]), "`features` must hold 2 values.*Got 3"),
        (search("a", features=[[1, 10**400]]), "finite numbers of float32.*Got 1000"),
        (search("a", features=[[1, 1e39]]), r"finite numbers of float32.*Got 1e\+39"),
        (search("a", features=[[1, math.nan]]), "finite numbers of float32.*Got nan"),
        ({"query": "q", "time": 10**400, "candidates": ["a"]}, "`time` must be seconds.*Got 1000"),
        ({"query": "q", "time": 1.6e12, "candidates": ["a"]}, "`time` must be seconds"),
        (search("a", query=""), "`query` must fit the model.*trained for search only"),
        (search("bad"), "`candidates` must be good. Fix: improve them.\\Z"),
        (search("nan"), "`scores` of a model must be finite"),
        (b'{"query": "\xff"}', "must be UTF-8.*xff.*byte 12"),
    ],
)
def test_a_line_that_cannot_be_ranked_gets_an_error_and_the_others_answers(
    model, tmp_path, line, message
):
    path = tmp_path / "in.jsonl"
    texts = [
        text if isinstance(text, bytes | str) else json.dumps(text)
        for text in (search("a"), "", line, search("bbb"))
    ]
    path.write_bytes(
        b"\n".join(text if isinstance(text, bytes) else text.encode() for text in texts)
    )
    for batch_size in (1, 8):
        assert rank_file(model, path, tmp_path / "out.jsonl", batch_size) == (2, 1)
        first, refused, last = read(tmp_path / "out.jsonl")
        assert (first["scores"], last["scores"], last["line"]) == ([1.0], [3.0], 4)
        assert (refused["line"], refused["file"]) == (3, str(path))
        assert re.search(message, refused["error"]) and " Fix: " in refused["error"]
        assert not refused.keys() & {"scores", "ranking"}


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


def test_the_command_needs_no_model_code_and_counts_the_lines_refused(model, tmp_path):
    write(tmp_path / "in.jsonl", search("a", "bb"), search())
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
    assert done.returncode == 2, done.stderr[-2000:]
    first, second = read(tmp_path / "out.jsonl")
    assert first["scores"] == [1.0, 2.0] and "`candidates` must" in second["error"]
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("error: `requests` must hold requests only. Got 1 of 2 lines")
    )
