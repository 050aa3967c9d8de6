import numpy as np

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events.event_shards import build_events
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.prepared_log import open_prepared_log
from data_pipeline.settings import SequenceSettings
from data_pipeline.text.corpus import count_occurrences


def test_texts_count_as_often_as_they_are_met_before_a_time(builder, tmp_path):
    builder.document("a", "ape").document("b", "bear").document("c", "crow")
    builder.request("r1", "u", 0, "moon", "a", "b").request("r2", "u", 10, "", "a")
    builder.browse("u", 20, "a").request("r3", "u", 30, "moon", "c").browse("u", 40, "b")
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:
        folders, settings = [builder.write(tmp_path / "log")], SequenceSettings()
        tables = read_tables(engine, folders, settings)
        log = open_prepared_log(engine, tables, folders, settings)
        events = build_events(engine, tables, log.document_text, settings, tmp_path)
        texts = log.read_texts().to_pylist()
        assert texts == ["", "ape", "bear", "crow", "moon"]
        found = count_occurrences(log, events, builder.micro(30), len(texts))
    assert np.array_equal(found, [0, 3, 1, 0, 1])
