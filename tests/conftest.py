"""Settings of the whole test session, and what tests of several folders share."""

import gc
import os

import pytest
from xdist.scheduler import LoadScopeScheduling

from data_pipeline.common import command_line, remote_folders
from user_tf.training.records.progress import memory_gib

# As in commands (`command_line.run`), so that results in this process are those of a command.
command_line.turn_onednn_off()

# XLA compiles for tests, which run a program once: without LLVM's optimizations that is the faster way.
os.environ["XLA_FLAGS"] = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

ONE_WORKER = ("tests/user_tf/explore", "tests/user_tf/serving")
"""Folders whose files share a model that takes long to make."""

GROWTH = 1.0
"""GiB that a process may grow before its garbage is collected."""

held = {"after": 0.0}


class WorkerOfFile(LoadScopeScheduling):
    """Give every file, and every folder of `ONE_WORKER`, to one worker."""

    def _split_scope(self, nodeid):
        path = nodeid.split("::")[0]
        return next((folder for folder in ONE_WORKER if path.startswith(folder)), path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Return the scheduler of `make test`."""
    return WorkerOfFile(config, log)


def pytest_collection_finish(session):
    """Let the garbage collector run rarely: tracing makes objects by the million, 15 % of the time."""
    gc.set_threshold(200_000, 20, 100)


def pytest_runtest_teardown(item, nextitem):
    """Collect graphs that nothing needs at the end of a file, so that two workers fit 12 GiB."""
    if nextitem is not None and nextitem.path == item.path:
        return
    if memory_gib() > held["after"] + GROWTH:
        gc.collect()
        held["after"] = memory_gib()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return the function that makes this process one of a machine with copies of its own, by name."""

    def be(name):
        monkeypatch.setenv(remote_folders.CACHE, str(tmp_path / name))
        monkeypatch.setattr(remote_folders, "_copies", {})

    be("one")
    return be
