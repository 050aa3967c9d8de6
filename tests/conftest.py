"""Settings of the whole test session."""

import gc


def pytest_collection_finish(session):
    """Let the garbage collector run rarely: tracing makes objects by the million, 15 % of the time."""
    gc.set_threshold(200_000, 20, 100)
