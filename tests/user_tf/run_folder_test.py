"""Tests of the run folder."""

import json

import pytest

from user_tf import run_folder
from user_tf.evaluation import metrics_table


def test_json_is_written_completely_and_finite(tmp_path):
    path = tmp_path / "evaluation" / "test.json"
    content = {"map": 0.5} | metrics_table.provenance("command", 3)
    run_folder.write_json(path, content)
    assert json.loads(path.read_text()) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        run_folder.write_json(path, {"map": float("nan")})
    assert json.loads(path.read_text())["map"] == 0.5
    assert [p.name for p in path.parent.iterdir()] == ["test.json"]


def test_json_has_two_spaces_a_level_and_a_newline_at_the_end(tmp_path):
    run_folder.write_json(tmp_path / run_folder.DONE, {"phase": "search", "seconds": [1.5, None]})
    expected = '{\n  "phase": "search",\n  "seconds": [\n    1.5,\n    null\n  ]\n}\n'
    assert (tmp_path / run_folder.DONE).read_bytes() == expected.encode()


def test_json_replaces_the_file_before(tmp_path):
    for steps in (3, 4):
        run_folder.write_json(tmp_path / run_folder.DONE, {"steps": steps})
    assert json.loads((tmp_path / run_folder.DONE).read_text()) == {"steps": 4}
    assert [p.name for p in tmp_path.iterdir()] == [run_folder.DONE]
