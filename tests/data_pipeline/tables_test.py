import numpy as np
import pytest

from data_pipeline.duckdb_engine import DuckDBEngine
from data_pipeline.settings import SequenceSettings
from data_pipeline.tables import NEVER, read_tables


@pytest.fixture
def read(tmp_path):
    """`read(builder, shuffle)`: rows of every table in their order."""
    orders = {
        "users": ["user"],
        "texts": ["text"],
        "documents": ["doc"],
        "requests": ["request"],
        "shown": ["request", "position"],
        "browses": ["user", "time", "doc"],
    }
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:

        def rows(builder, shuffle=None):
            folder = builder.write(tmp_path / f"log{shuffle}", shuffle)
            log = read_tables(engine, folder, SequenceSettings())
            return {
                name: engine.collect(getattr(log, name), order).to_pylist()
                for name, order in orders.items()
            }

        yield rows


def test_everything_is_numbered_in_the_order_of_its_string(builder, read):
    builder.document("b", "zoo").document("a", "ape").document("c", "", published=7)
    builder.request("r2", "v", 0, "moon", "b", "a").request("r1", "u", 5, "", "a")
    builder.browse("w", 3, "b", 31.0)
    log = read(builder)
    assert [(row["user"], row["user_id"]) for row in log["users"]] == [(1, "u"), (2, "v"), (3, "w")]
    assert [row["content"] for row in log["texts"]] == ["ape", "moon", "zoo"]
    assert [(row["doc"], row["doc_id"], row["text"]) for row in log["documents"]] == [
        (1, "a", 1),
        (2, "b", 3),
        (3, "c", 0),
    ]
    assert [row["request_id"] for row in log["requests"]] == ["r1", "r2"]
    assert [row["query"] for row in log["requests"]] == [0, 2]
    shown = [(row["request"], row["position"], row["doc"]) for row in log["shown"]]
    assert shown == [(1, 0, 1), (2, 0, 2), (2, 1, 1)]
    assert log["browses"] == [{"user": 3, "doc": 2, "time": builder.micro(3), "satisfied": 1}]


def test_a_document_is_available_from_its_publication_or_else_its_first_sight(builder, read):
    for doc, published in (("a", 100), ("b", None), ("c", None), ("d", None)):
        builder.document(doc, published=published)
    builder.request("r1", "u", 9, "moon", "b", "a").browse("u", 4, "b").browse("u", 5, "c")
    available = [row["available"] for row in read(builder)["documents"]]
    assert available == [builder.micro(100), builder.micro(4), builder.micro(5), NEVER]


def test_the_order_of_the_rows_does_not_matter(builder, read):
    for doc in "cab":
        builder.document(doc)
    builder.request("r1", "v", 9, "moon", "b", "a").request("r2", "u", 9, "sun", "b", "a")
    builder.browse("u", 4, "b").browse("w", 5, "c")
    assert read(builder, 1) == read(builder, 2)


def test_equal_titles_and_queries_are_one_text(builder, read):
    builder.document("a", "moon").document("b", "moon").request("r1", "u", 0, "moon", "a", "b")
    log = read(builder)
    assert len(log["texts"]) == 1
    assert [row["text"] for row in log["documents"]] == [1, 1]
    assert log["requests"][0]["query"] == 1


def test_a_later_log_changes_nothing_of_what_was_before_it(log_builder, tmp_path):
    early = log_builder().document("a", "ape").document("b", "bee")
    early.request("r1", "v", 10, "moon", "a").browse("w", 20, "a")
    late = log_builder().document("a", "altered").document("c", published=5).document("d")
    late.request("r0", "u", 100, "", "c", "a").browse("u", 200, "d")
    folders = [builder.write(tmp_path / name) for builder, name in ((early, "e"), (late, "l"))]
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:
        log = read_tables(engine, folders[1], SequenceSettings(), folders[:1])
        texts = ["", *engine.collect(log.texts, ["text"])["content"].to_pylist()]
        documents = engine.collect(log.documents, ["doc"]).to_pylist()
        requests = engine.collect(log.requests, ["request"])["request_id"].to_pylist()
    assert log.begins.tolist() == [early.micro(10), early.micro(100)]
    moments = np.array([early.micro(second) for second in (10, 99, 100, 300)])
    assert log.part(moments).tolist() == [0, 0, 1, 1]
    assert requests == ["r0", "r1"]
    known = {row["doc_id"]: (texts[row["text"]], row["part"]) for row in documents}
    assert known == {
        "a": ("ape", 0),
        "b": ("bee", 0),
        "c": ("title of c", 1),
        "d": ("title of d", 1),
    }
    assert [row["available"] for row in documents] == [
        early.micro(10),
        NEVER,
        early.micro(100),
        early.micro(200),
    ]
