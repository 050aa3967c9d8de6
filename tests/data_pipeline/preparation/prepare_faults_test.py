"""Preparations that are killed, run out of disk or meet another one: nothing half-made, same bytes."""

import errno
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data_pipeline.common.output_folder import FolderInUse
from data_pipeline.dataset.dataset_writer import DatasetWriter
from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.preparation.prepare_folder import prepare
from tests.data_pipeline.preparation.altered_logs import random_log

ROOT = pathlib.Path(__file__).parents[3]
# `make faults` kills at 20 points.
KILLS = int(os.environ.get("USER_TF_KILLS", "2"))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "log"
    command = ["data_pipeline.simulate", "--users=60", f"--output={folder}"]
    subprocess.run([sys.executable, "-m", *command], check=True, cwd=ROOT, capture_output=True)
    return folder


def command(log, output):
    return [
        *(sys.executable, "-m", "data_pipeline.prepare", f"--log={log}", f"--output={output}"),
        *("--text.width=8", "--text.word2vec_epochs=1", "--shards=3"),
    ]


def contents(folder):
    """SHA-256 of every file by its name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_killed_preparation_resumes_to_the_same_bytes(log, tmp_path):
    whole = tmp_path / "whole"
    began = time.monotonic()
    subprocess.run(command(log, whole), check=True, cwd=ROOT, capture_output=True)
    longest = time.monotonic() - began
    expected = contents(whole)
    for point in range(KILLS):
        output = tmp_path / f"killed-{point}"
        first = subprocess.Popen(
            command(log, output), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        time.sleep(random.Random(point).uniform(0.4, 1.0) * longest)
        first.send_signal(signal.SIGKILL)
        told = first.communicate()[0].decode()
        if output.exists():
            # Killed, if at all, when its work was done: it must be whole.
            assert contents(output) == expected
            continue
        done = [line.split("  ")[1] for line in told.splitlines() if line.endswith("GiB at most")]
        again = subprocess.run(command(log, output), check=True, cwd=ROOT, capture_output=True)
        repeated = [name for name in done if f"  {name}  " in again.stdout.decode()]
        assert not repeated, "a finished step was done again"
        assert contents(output) == expected
        assert sorted(path.name for path in tmp_path.glob(f"{output.name}*")) == [output.name]


@pytest.mark.parametrize("function", ["connect_shard", "dict", "count_documents", "count_queries"])
def test_after_a_killed_worker_unfinished_shards_only_are_done(
    log_builder, small_settings, tmp_path, monkeypatch, function
):
    log = random_log(log_builder, seed=8).write(tmp_path / "log")
    prepare(small_settings(log, tmp_path / "whole"))
    settings, done = small_settings(log, tmp_path / "dataset", shards=4), []

    def run_shards(engine, job, shards, workers):
        mine = job.function.endswith(f":{function}")
        for shard in shards:
            if mine and len(done) == 2:
                raise ChildProcessError("killed")
            job.run(shard)
            done.extend([shard] * mine)

    monkeypatch.setattr(DuckDBEngine, "_run_shards", run_shards)
    with pytest.raises(ChildProcessError, match="killed") as error:
        prepare(settings)
    assert "rerun the same command" in error.value.__notes__[0]
    done.append("resumed")
    prepare(settings)
    assert done == [0, 1, "resumed", 2, 3]
    assert contents(tmp_path / "dataset") == contents(tmp_path / "whole")


def test_a_full_disk_keeps_finished_steps_and_says_so(
    builder, small_settings, tmp_path, monkeypatch
):
    builder.document("a").document("b")
    for number in range(12):
        at = number * 10_000
        builder.request(f"r{number:02d}", "u", at, "red", ("a", at + 5, None), "b")
    settings = small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset")
    prepare(small_settings(tmp_path / "log", tmp_path / "whole"))

    save, calls = np.save, []

    def full(path, values, **options):
        calls.append(path)
        if "word_vectors" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(path, values, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left") as error:
        prepare(settings)
    assert "dataset.steps" in error.value.__notes__[0]
    assert not (tmp_path / "dataset").exists() and (tmp_path / "dataset.steps").is_dir()

    monkeypatch.setattr(np, "save", save)
    monkeypatch.setattr(
        "data_pipeline.preparation.pipeline.read_tables", lambda *_: pytest.fail("done")
    )
    prepare(settings)
    assert contents(tmp_path / "dataset") == contents(tmp_path / "whole")
    assert not (tmp_path / "dataset.steps").exists()


def test_files_left_under_other_settings_are_not_reused(builder, small_settings, tmp_path):
    builder.document("a").document("b")
    for number in range(12):
        at = number * 10_000
        builder.request(f"r{number:02d}", "u", at, "red", ("a", at + 5, None), "b")
    log = builder.write(tmp_path / "log")
    (tmp_path / "dataset.tmp").mkdir()
    (tmp_path / "dataset.tmp" / "stale").touch()
    prepare(small_settings(log, tmp_path / "dataset"))
    assert "stale" not in contents(tmp_path / "dataset")


def test_steps_without_the_files_they_wrote_are_done_again(
    builder, small_settings, tmp_path, monkeypatch
):
    builder.document("a").document("b")
    builder.request("r", "u", 0, "red", ("a", 5, None), "b")
    training = {"validation_parts": 0, "test_parts": 0}
    settings = small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset", split=training)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("data_pipeline.preparation.pipeline.write_windows", interrupt)
        prepare(settings)
    shutil.rmtree(tmp_path / "dataset.tmp")
    prepare(settings)
    prepare(small_settings(tmp_path / "log", tmp_path / "whole", split=training))
    assert contents(tmp_path / "dataset") == contents(tmp_path / "whole")


def test_a_second_preparation_of_the_same_output_is_refused(builder, small_settings, tmp_path):
    builder.document("a").document("b")
    builder.request("r", "u", 0, "red", ("a", 5, None), "b")
    settings = small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset")
    with DatasetWriter(tmp_path / "dataset"), pytest.raises(FolderInUse, match="another run"):
        prepare(settings)


def test_an_error_of_the_input_leaves_nothing_behind(builder, small_settings, tmp_path):
    builder.document("a")
    builder.request("r", "u", 0, "red", "a")
    settings = small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset")
    with pytest.raises(ValueError, match="at least one"):
        prepare(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
