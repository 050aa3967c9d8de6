"""A folder of hand-made canonical files."""

import pytest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"
