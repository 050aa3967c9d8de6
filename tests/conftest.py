"""Settings of the whole test session."""

import gc

from user_tf.training.records.progress import memory_gib

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
