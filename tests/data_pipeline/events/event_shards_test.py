"""Events built in shards: the same columns whatever the number of shards."""

import dataclasses

import numpy as np
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events import event_shards
from data_pipeline.events.event_shards import build_events
from data_pipeline.events.log_tables import read_tables
from data_pipeline.settings import SequenceSettings
from tests.data_pipeline.preparation.altered_logs import random_log


@pytest.fixture
def build(tmp_path):
    """`build(builder, shards)`: events of a log, columns by table and name."""
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:

        def columns(builder, shards):
            folder, settings = tmp_path / f"log-{shards}", SequenceSettings()
            log = read_tables(engine, [builder.write(folder)], settings)
            text = engine.fetch(log.documents.select("doc", "text"), ["doc"])["text"]
            events = build_events(engine, log, np.append(0, text), settings, folder, shards)
            return {
                (field.name, name): column
                for field in dataclasses.fields(events)
                for name, column in getattr(events, field.name).items()
            }

        yield columns


def test_shards_change_no_event(log_builder, build):
    log = random_log(log_builder, seed=3)
    one, several = build(log, 1), build(log, 3)
    assert one.keys() == several.keys()
    for name, column in one.items():
        np.testing.assert_array_equal(several[name], column, err_msg=str(name))
    assert all(len(column) for column in one.values())


def test_a_log_without_rows_has_events_without_rows_in_any_number_of_shards(builder, build):
    for shards in (1, 2):
        found = build(builder.document("a"), shards)
        assert not any(len(column) for column in found.values())


def test_the_number_of_shards_grows_with_the_log(builder, build, monkeypatch, tmp_path):
    monkeypatch.setattr(event_shards, "ROWS_PER_SHARD", 2)
    builder.document("a").document("b").browse("u", 9, "a")
    for number in range(4):
        builder.request(f"r{number}", f"v{number}", 5, "red", "a", ("b", 6, None))
    build(builder, 0)
    found = [path.name for path in (tmp_path / "log-0").glob("*-of-*")]
    assert sorted(found) == [f"0000{shard}-of-00003" for shard in range(3)]
