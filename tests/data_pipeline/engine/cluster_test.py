"""Spark with two executors, which are killed now and then, gives the bytes of DuckDB.

One file, so that one Java serves all of it.
"""

import hashlib
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

from data_pipeline.engine.java import java
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import PrepareSettings, TextSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SimulateSettings

ROOT = pathlib.Path(__file__).parents[3]
SHARDS = 8
# What is first of relational work, of shards of users, and of shards of documents.
MOMENTS = (
    "spark.spill/*/*.parquet/_SUCCESS",
    "spark.steps/sessions.unfinished/?????-of-?????",
    "spark.steps/features.unfinished/doc/?????-of-?????",
)


@pytest.fixture
def cluster(quick_spark, monkeypatch):
    """Settings of Spark with two executors of one core; executors need Java and this package."""
    with open(pathlib.Path(os.environ["SPARK_CONF_DIR"], "spark-defaults.conf"), "a") as file:
        file.write(
            f"spark.executorEnv.PYTHONPATH {ROOT}\n"
            "spark.executor.memory 512m\n"
            "spark.driver.memory 512m\n"
            "spark.driver.host 127.0.0.1\n"
            "spark.driver.bindAddress 127.0.0.1\n"
            "spark.sql.shuffle.partitions 4\n"
            "spark.ui.enabled false\n"
            "spark.log.level OFF\n"
        )
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    with java():
        yield {"engine": "spark", "spark_master": "local-cluster[2,1,512]"}


def list_executors():
    """Return the process ids of executors below this process."""
    parents, executors = {}, []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")")[1].split()[1])
            if b"CoarseGrainedExecutorBackend" in (folder / "cmdline").read_bytes():
                executors.append(int(folder.name))
        except OSError:
            continue

    def is_mine(process):
        while process in parents and process != os.getpid():
            process = parents[process]
        return process == os.getpid()

    return sorted(filter(is_mine, executors))


def kill_executors(folder, killed):
    """Kill an executor at each of some moments: as soon as a file is there."""
    for moment in MOMENTS:
        while not any(folder.glob(moment)):
            time.sleep(0.01)
        executor = list_executors()[0]
        os.kill(executor, signal.SIGKILL)
        killed.append(executor)


def contents(folder):
    """SHA-256 of every file by its name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_executors_that_are_killed_change_no_byte(cluster, tmp_path):
    log = tmp_path / "log"
    write_simulated_log(SimulateSettings(users=150, output=str(log)))

    def prepared(name, **engine):
        text = TextSettings(width=8, oov_buckets=4, minimum_count=1, word2vec_epochs=0)
        output = str(tmp_path / name)
        prepare(PrepareSettings(log=(str(log),), output=output, text=text, shards=SHARDS, **engine))
        return contents(tmp_path / name)

    expected, killed = prepared("duckdb"), []
    threading.Thread(target=kill_executors, args=[tmp_path, killed], daemon=True).start()
    assert prepared("spark", **cluster) == expected
    assert len(set(killed)) == len(MOMENTS)
