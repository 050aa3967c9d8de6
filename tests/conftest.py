"""Settings of the whole test session, and what tests of several folders share."""

import gc

import pytest

from data_pipeline.common import command_line, remote_folders
from user_tf.training.records.progress import memory_gib

# As in commands (`command_line.run`), so that results in this process are those of a command.
command_line.turn_onednn_off()

GROWTH = 1.0
"""GiB that a process may grow before its garbage is collected."""

held = {"after": 0.0}


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
