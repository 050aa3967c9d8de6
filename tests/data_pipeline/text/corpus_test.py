import numpy as np

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events.log_tables import open_lists, read_tables
from data_pipeline.events.user_events import build_events
from data_pipeline.settings import SequenceSettings
from data_pipeline.text.corpus import occurrences, read_texts


def test_texts_count_as_often_as_they_are_met_before_a_time(builder, tmp_path):
    builder.document("a", "ape").document("b", "bear").document("c", "crow")
    builder.request("r1", "u", 0, "moon", "a", "b").request("r2", "u", 10, "", "a")
    builder.browse("u", 20, "a").request("r3", "u", 30, "moon", "c").browse("u", 40, "b")
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:
        folder, settings = builder.write(tmp_path / "log"), SequenceSettings()
        log = read_tables(engine, folder, settings)
        documents = engine.fetch(log.documents.select("doc", "text"), ["doc"])
        titles = np.append(0, documents["text"])
        sequence = build_events(engine, log, titles, settings)
        shown = open_lists(engine, log, [folder], settings)
        texts = read_texts(engine, log)
        assert texts == ["", "ape", "bear", "crow", "moon"]
        found = occurrences(engine, shown, sequence, titles, builder.micro(30), len(texts))
    assert np.array_equal(found, [0, 3, 1, 0, 1])
