"""Blocks of users hold their events, and are numbered as if there were no others."""

import numpy as np
import pyarrow.feather as feather
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events import user_blocks
from data_pipeline.events.event_shards import build_events
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.user_blocks import cut_users, select_users, shift_numbers
from data_pipeline.settings import SequenceSettings
from tests.data_pipeline.preparation.altered_logs import random_log

SHARDS = 3


@pytest.fixture(scope="module")
def built(log_builder, tmp_path_factory):
    """Events of a log of six users, and the folder of their shards of two users."""
    folder = tmp_path_factory.mktemp("log")
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:
        log = random_log(log_builder, seed=3, users=2 * SHARDS).write(folder / "log")
        tables = read_tables(engine, [log], SequenceSettings())
        text = engine.fetch(tables.documents.select("doc", "text"), ["doc"])["text"]
        settings = SequenceSettings()
        return build_events(engine, tables, np.append(0, text), settings, folder, SHARDS), folder


def test_events_of_some_users_are_those_of_a_log_of_these_users(built):
    events, folder = built
    for shard in range(SHARDS):
        own, before = select_users(events, 2 * shard + 1, 2 * shard + 2)
        place = folder / f"{shard:05d}-of-{SHARDS:05d}"
        for table, columns in vars(own).items():
            alone = feather.read_table(place / f"{table}.arrow").to_pydict()
            assert {name: column.tolist() for name, column in columns.items()} == alone
            everything = shift_numbers(columns, before)
            rows = slice(before[table], before[table] + len(next(iter(columns.values()))))
            for name, column in vars(events)[table].items():
                np.testing.assert_array_equal(everything[name], column[rows])


def test_blocks_follow_each_other_and_cut_no_user(monkeypatch):
    monkeypatch.setattr(user_blocks, "ACTIVITIES", 2)
    assert list(cut_users(np.array([1, 1, 1, 4, 5, 5, 7]))) == [(1, 1), (2, 4), (5, 5), (6, 7)]
    assert list(cut_users(np.array([3]))) == [(1, 3)]
    assert list(cut_users(np.zeros(0, np.int64))) == []
