"""Steps are done once, completely or not at all, and only for what they depend on."""

import dataclasses
import json
import pickle

import numpy as np
import pyarrow as pa
import pytest

from data_pipeline.common.codes import Task
from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.log.log_summary import TableReport
from data_pipeline.preparation.step_cache import Steps


@pytest.fixture
def engine():
    with DuckDBEngine(threads=1, memory_gib=1) as engine:
        yield engine


def never():
    raise AssertionError("done before")


def test_a_finished_step_is_read_and_not_done_again(engine, tmp_path):
    def make():
        table = engine.table(pa.table({"n": [2, 1]}))
        counts = {"a": np.arange(3), "none": np.zeros((0, 4))}
        return counts, [table.filter(table.n > 1)], TableReport(3, 2, 1, {"x": 1})

    Steps(tmp_path / "steps", engine, {"seed": 1}).run("find", make)
    with DuckDBEngine(threads=1, memory_gib=1) as later:
        counts, tables, report = Steps(tmp_path / "steps", later, {"seed": 1}).run("find", never)
        assert later.fetch(tables[0], ["n"])["n"].tolist() == [2]
    assert counts["a"].tolist() == [0, 1, 2] and counts["none"].shape == (0, 4)
    assert report == TableReport(3, 2, 1, {"x": 1}) and not counts["a"].flags.writeable


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


def test_plain_values_come_back_equal_and_of_the_same_type(engine, tmp_path):
    plain = [None, True, 3, 0.1, float("inf"), "é", (1, (2, [])), {"array": 1}, {1: {2: 3.5}}, {}]
    assert Steps(tmp_path / "steps", engine, {}).run("values", lambda: plain) == plain
    again = Steps(tmp_path / "steps", engine, {}).run("values", never)
    assert again == plain and [type(value) for value in again] == [type(value) for value in plain]


def test_a_step_has_files_of_arrays_tables_and_json_alone(engine, tmp_path):
    table = engine.table(pa.table({"n": [2, 1]}))
    Steps(tmp_path / "steps", engine, {}).run("find", lambda: (np.arange(3), table))
    names = sorted(path.name for path in (tmp_path / "steps" / "find").iterdir())
    assert names == ["0.npy", "1.parquet", "result.json"]


@dataclasses.dataclass
class Foreign:
    value: int


@pytest.mark.parametrize("value", [{1, 2}, Task.SEARCH, Foreign(1), np.int64(3)])
def test_a_result_of_another_type_is_refused(engine, tmp_path, value):
    with pytest.raises(TypeError, match=r"`make` must return .* Got a value of .* Fix: convert"):
        Steps(tmp_path / "steps", engine, {}).run("find", lambda: [value])


def test_an_array_of_objects_is_neither_written_nor_read(engine, tmp_path):
    steps = Steps(tmp_path / "steps", engine, {})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        steps.run("find", lambda: np.array([{}], object))
    steps.run("find", lambda: np.arange(3))
    np.save(tmp_path / "steps" / "find" / "0.npy", np.array([{}], object))
    with pytest.raises(ValueError, match="Python objects"):
        steps.run("find", never)


def test_a_file_put_in_the_place_of_a_result_runs_no_code(engine, tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path / "harm").touch, ()

    steps = Steps(tmp_path / "steps", engine, {})
    steps.run("find", lambda: np.arange(3))
    for name in ("0.npy", "result.json"):
        (tmp_path / "steps" / "find" / name).write_bytes(pickle.dumps(Harm()))
        with pytest.raises(ValueError):
            steps.run("find", never)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["subprocess:Popen", "data_pipeline.common.codes:Task", "x"])
def test_only_dataclasses_of_the_package_are_made_of_a_result(engine, tmp_path, name):
    steps = Steps(tmp_path / "steps", engine, {})
    steps.run("find", lambda: 1)
    harmful = {"dataclass": name, "fields": {"args": ["true"]}}
    (tmp_path / "steps" / "find" / "result.json").write_text(json.dumps(harmful))
    with pytest.raises(ValueError, match=r"must name a dataclass of data_pipeline.*Got .* Fix:"):
        steps.run("find", never)
