import datetime

import pyarrow as pa
import pytest

from data_pipeline.engine import Engine, microseconds


@pytest.fixture(scope="module")
def engine():
    with Engine(threads=1, memory_gib=0.5) as engine:
        yield engine


def test_times_become_microseconds_since_the_epoch_and_null_stays_null(engine):
    time = datetime.datetime(2024, 2, 29, 23, 59, 59, 123457, tzinfo=datetime.UTC)
    table = engine.table(pa.table({"time": pa.array([time, None], pa.timestamp("us", tz="UTC"))}))
    found = engine.collect(table.select(time=microseconds(table.time)), ["time"])
    assert found["time"].to_pylist() == [1_709_251_199_123_457, None]


def test_rows_come_in_the_order_asked_for(engine):
    table = engine.table(pa.table({"a": [2, 1, 2, 1], "b": [4, 3, 2, 1]}))
    assert engine.fetch(table, ["a", "b"])["b"].tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize("column", [pa.array([1.5]), pa.array([None], pa.int64())])
def test_floats_and_nulls_do_not_leave_the_engine_as_integers(engine, column):
    with pytest.raises(TypeError, match=r"`a` should hold integers without nulls"):
        engine.fetch(engine.table(pa.table({"a": column})), ["a"])


def test_a_missing_table_is_named(engine, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"browses.parquet"):
        engine.parquet(tmp_path / "browses.parquet")


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"memory_gib": 0}])
def test_impossible_limits_are_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be.*--"):
        Engine(**wrong)
