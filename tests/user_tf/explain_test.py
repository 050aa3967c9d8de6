"""The command `python -m user_tf.explain` on runs with random weights."""

import json
import subprocess
import sys

import pytest

from tests.user_tf.reporting.made_runs import make_run
from tests.user_tf.training import tiny_dataset
from user_tf import explain


def test_the_command_writes_its_files(tmp_path):
    dataset = tiny_dataset.write(tmp_path / "dataset")
    runs = [make_run(tmp_path / name, dataset, name) for name in ("user", "nrms")]
    rows = dataset.targets(["target_id", "split"]).to_pylist()
    target = next(row["target_id"] for row in rows if row["split"] == "test")
    runs_flag = f"--run={','.join(runs)}"
    arguments = [runs_flag, f"--target={target}", f"--output={tmp_path / 'out'}"]
    result = subprocess.run(
        [sys.executable, "-m", "user_tf.explain", *arguments], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2000:]
    content = json.loads((tmp_path / "out" / "attention.json").read_text(encoding="utf-8"))
    assert content["target"]["target_id"] == target and "--target" in content["command"]
    assert "<svg" in (tmp_path / "out" / "attention.html").read_text(encoding="utf-8")


def test_a_missing_output_is_refused():
    with pytest.raises(ValueError, match=r"`output` must name a folder.*--output"):
        explain.write_explanation(explain.ExplainSettings(run=("run",)), "")


def test_flags_are_parsed_before_tensorflow_is_imported():
    code = "import sys; from user_tf import explain; print('tensorflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr
