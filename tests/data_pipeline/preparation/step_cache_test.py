"""Steps are done once, whole or not at all, and only for what they depend on."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.preparation.step_cache import Steps


@dataclasses.dataclass(frozen=True)
class Found:
    counts: dict
    table: object
    note: str


@pytest.fixture
def engine():
    with DuckDBEngine(threads=1, memory_gib=1) as engine:
        yield engine


def never():
    raise AssertionError("done before")


def test_a_finished_step_is_read_and_not_done_again(engine, tmp_path):
    def make():
        table = engine.table(pa.table({"n": [2, 1]}))
        return Found({"a": np.arange(3), "none": np.zeros((0, 4))}, table.filter(table.n > 1), "x")

    Steps(tmp_path / "steps", engine, {"seed": 1}).run("find", make)
    with DuckDBEngine(threads=1, memory_gib=1) as later:
        found = Steps(tmp_path / "steps", later, {"seed": 1}).run("find", never)
        assert later.fetch(found.table, ["n"])["n"].tolist() == [2]
    assert found.counts["a"].tolist() == [0, 1, 2] and found.counts["none"].shape == (0, 4)
    assert found.note == "x" and not found.counts["a"].flags.writeable


def test_a_step_that_fails_is_done_again_and_the_ones_before_are_not(engine, tmp_path):
    steps = Steps(tmp_path / "steps", engine, {})
    steps.run("first", lambda: 1)

    def fail():
        (tmp_path / "seen").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        steps.run("second", fail)
    again = Steps(tmp_path / "steps", engine, {})
    assert not again.anew and again.run("first", never) == 1 and again.run("second", lambda: 2) == 2


def test_results_of_other_settings_are_thrown_away(engine, tmp_path):
    Steps(tmp_path / "steps", engine, {"seed": 1}).run("draw", lambda: 1)
    other = Steps(tmp_path / "steps", engine, {"seed": 2})
    assert other.anew and other.run("draw", lambda: 2) == 2


def test_a_mapped_array_is_kept_as_its_file_and_a_view_of_it_as_a_copy(engine, tmp_path):
    path = tmp_path / "made.npy"

    def make():
        np.save(path, np.arange(6.0).reshape(3, 2))
        made = np.load(path, mmap_mode="r+")
        return made, made[1:], made[::-1], made.T

    whole, part, back, turned = Steps(tmp_path / "steps", engine, {}).run("draw", make)
    assert whole.tolist() == [[0, 1], [2, 3], [4, 5]] and part.tolist() == [[2, 3], [4, 5]]
    assert back.tolist() == [[4, 5], [2, 3], [0, 1]] and turned.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert path.stat().st_nlink == 2 and not whole.flags.writeable
