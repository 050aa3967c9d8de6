"""Tests of the command lines of the simulator and of its truth."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def _command(name, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"data_pipeline.{name}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_write_a_log_and_the_truth_of_its_targets(tmp_path):
    log, output = tmp_path / "log", tmp_path / "truth.parquet"
    done = _command("simulate", f"--output={log}", "--users=5", "--seed=3", "--shape=browses")
    assert done.returncode == 0, done.stderr
    row = pq.read_table(log / "browses.parquet").slice(0, 1)
    targets = pa.table(
        {
            "target_id": [7],
            "user_id": row["user_id"],
            "time": row["time"].cast(pa.int64()),
            "task": pa.array([1], pa.int8()),
            "candidates": [["d0000001", "d0000002", "d0000003"]],
            "pseudo": [True],
        }
    )
    pq.write_table(targets, tmp_path / "targets.parquet")
    done = _command("truth", f"--log={log}", f"--dataset={tmp_path}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    (written,) = pq.read_table(output).to_pylist()
    assert written["target_id"] == 7 and len(written["probability"]) == 3


def test_unknown_flags_and_impossible_settings_stop_before_anything_is_written(tmp_path):
    log = tmp_path / "log"
    unknown = _command("simulate", f"--output={log}", "--strenght.shared_interests=1")
    assert unknown.returncode != 0 and "Unknown command line flag" in unknown.stderr
    wrong = _command("simulate", f"--output={log}", "--world.senses=5")
    assert wrong.returncode != 0 and "`world.senses` must divide" in wrong.stderr
    missing = _command("truth", f"--log={log}")
    assert (
        missing.returncode != 0 and "`dataset` must name a path" in missing.stderr + missing.stdout
    )
    assert not list(tmp_path.iterdir())
