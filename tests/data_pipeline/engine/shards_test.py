"""Shards: every row once, in order, whatever the workers; killed runs redo unfinished shards only."""

import hashlib
import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events import event_shards
from data_pipeline.features import shared_counts

SHARDS = 8
ORDER = {"opens": ["user", "time"], "users": ["user"]}


def list_opens(tables, factor, marks=""):
    """Return the rows of a shard as they came, times multiplied; leave a mark of each call."""
    opens, users = tables["opens"], tables["users"]
    if marks:
        pathlib.Path(marks, f"called-{time.monotonic_ns()}").touch()
    times = pa.array(opens["time"].to_numpy() * factor)
    return {"opens": opens.set_column(1, "time", times), "users": users}


def die_once(tables, marks):
    """Kill the own process at the shard of user 3, the first time."""
    mark = pathlib.Path(marks, "died")
    if 3 in tables["users"]["user"].to_pylist() and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return list_opens(tables, 1, marks)


def fail(tables):
    """Refuse any rows."""
    raise ValueError(f"`opens` must be empty. Got {len(tables['opens'])}. Fix: none.")


def sleep(tables):
    """Take longer than any test."""
    time.sleep(600)
    return {}


def list_modules(tables, module):
    """Return the modules of a process that has loaded the module of a function."""
    importlib.import_module(module)
    return {"modules": pa.table({"name": sorted(sys.modules)})}


def made_rows(size=40, shuffle=None):
    """Opens of users 0 ... 19, most without any, and the users; some shards have no row."""
    draw = np.random.default_rng(5)
    user, names = draw.integers(0, 5, size) * 4, np.array([0, 3, 4, 8, 12, 16])
    named = pa.array([f"é{number}" for number in user], pa.string())
    opens = pa.table({"user": user, "time": np.arange(size), "name": named})
    users = pa.table({"user": names})
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(size)
        opens, users = opens.take(order), users.take([5, 2, 0, 1, 4, 3])
    return {"opens": opens, "users": users}


def mapped(engine, rows, folder, function=list_opens, shards=SHARDS, workers=1, **parameters):
    """Map rows of users; {path of each result below the folder: its SHA-256}."""
    folder.mkdir(exist_ok=True)
    tables = {}
    for name, table in rows.items():
        given = engine.table(table)
        tables[name] = given.mutate(shard=given.user * shards // 20)
    results = engine.map_shards(tables, ORDER, shards, function, parameters, folder, workers)
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for shard in results
        for file in sorted(shard.iterdir())
    }


def read_results(folder, name, shards=SHARDS):
    """Return the results of all shards, one after the other."""
    shards = [f"{shard:05d}-of-{shards:05d}" for shard in range(shards)]
    return pa.concat_tables(
        feather.read_table(folder / shard / f"{name}.arrow") for shard in shards
    )


@pytest.fixture(scope="module")
def engine():
    with DuckDBEngine(threads=2, memory_gib=0.5) as engine:
        yield engine


@pytest.mark.parametrize("shards", [1, SHARDS])
def test_a_function_gets_every_row_once_and_in_order(engine, tmp_path, shards):
    rows = made_rows(shuffle=1)
    mapped(engine, rows, tmp_path, shards=shards, factor=2)
    found = read_results(tmp_path, "opens", shards)
    expected = rows["opens"].sort_by([("user", "ascending"), ("time", "ascending")]).to_pydict()
    assert found.to_pydict() == {**expected, "time": [2 * time for time in expected["time"]]}
    assert found.schema.types == [pa.int64(), pa.int64(), pa.string()]
    assert read_results(tmp_path, "users", shards)["user"].to_pylist() == [0, 3, 4, 8, 12, 16]


def test_order_of_rows_and_workers_change_no_byte(engine, tmp_path):
    expected = mapped(engine, made_rows(), tmp_path / "one", factor=1)
    assert len(expected) == 2 * SHARDS
    assert mapped(engine, made_rows(shuffle=1), tmp_path / "two", workers=2, factor=1) == expected


@pytest.mark.parametrize("module", [event_shards.__name__, shared_counts.__name__])
def test_workers_of_a_preparation_do_not_load_tensorflow(engine, tmp_path, module):
    mapped(engine, made_rows(), tmp_path, list_modules, module=module, workers=2)
    loaded = read_results(tmp_path, "modules")["name"].to_pylist()
    assert module in loaded and "tensorflow" not in loaded


def test_an_empty_table_gives_each_shard_no_rows_of_the_same_types(engine, tmp_path):
    mapped(engine, made_rows(size=0), tmp_path, shards=2, factor=1)
    found = read_results(tmp_path, "opens", 2)
    assert (len(found), found.schema.types) == (0, [pa.int64(), pa.int64(), pa.string()])


@pytest.mark.parametrize(("user", "told"), [(None, "DEFAULT"), (-4, "shard=-2"), (20, "shard=8")])
def test_a_key_that_is_null_or_out_of_range_is_refused_by_name(engine, tmp_path, user, told):
    rows = made_rows() | {"users": pa.table({"user": pa.array([1, user], pa.int64())})}
    with pytest.raises(ValueError, match=f"`shard` must be .* row of `users`. Got .*{told}"):
        mapped(engine, rows, tmp_path, factor=1)


def test_after_a_killed_worker_unfinished_shards_only_are_done(engine, tmp_path):
    expected = mapped(engine, made_rows(), tmp_path / "expected", factor=1)
    folder, marks = tmp_path / "killed", tmp_path / "marks"
    marks.mkdir()
    with pytest.raises(ChildProcessError, match=r"ended with -9.*rerun the same command"):
        mapped(engine, made_rows(), folder, die_once, workers=2, marks=str(marks))
    finished = {path.name for path in folder.glob("?????-of-?????")}
    before = len(list(marks.glob("called*")))
    assert 0 < len(finished) == before < SHARDS
    # Rows are not written again: nothing reads other ones.
    again = {name: rows.slice(0, 0) for name, rows in made_rows().items()}
    assert mapped(engine, again, folder, die_once, workers=2, marks=str(marks)) == expected
    assert len(list(marks.glob("called*"))) == SHARDS
    assert not list(folder.glob("rows*"))


def test_an_error_of_a_function_is_told(engine, tmp_path):
    with pytest.raises(ChildProcessError, match=r"shards_test:fail.*`opens` must be empty. Got"):
        mapped(engine, made_rows(), tmp_path, fail)


def test_a_worker_ends_with_the_process_that_started_it(engine, tmp_path):
    with pytest.raises(ChildProcessError):
        mapped(engine, made_rows(), tmp_path, fail)
    job = {
        **{"folder": str(tmp_path), "shards": SHARDS, "function": f"{__name__}:sleep"},
        **{"parameters": {}, "order_by": ORDER},
    }
    command = [sys.executable, "-m", "data_pipeline.engine.shards"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=environment) as worker:
        worker.stdin.write(json.dumps({"job": job, "shards": [0]}) + "\n")
        worker.stdin.close()
        assert worker.wait(timeout=60) == 1
