import pathlib

import pytest

from data_pipeline.importers import sources
from data_pipeline.log.schema import LogError


@pytest.mark.parametrize("name", sources.SOURCES)
def test_every_source_has_an_importer(name, tmp_path):
    with pytest.raises(LogError):
        sources.read_source(name, tmp_path / "none")


def test_every_importer_is_a_source():
    room = pathlib.Path(sources.__file__).parent
    modules = {path.stem for path in room.glob("*.py") if "def read(" in path.read_text("utf-8")}
    assert modules == set(sources.SOURCES)


def test_an_unknown_source_is_an_error():
    with pytest.raises(ValueError, match=r"`source` must be one of .*Got 'x'. Fix: set --source"):
        sources.read_source("x", pathlib.Path())
