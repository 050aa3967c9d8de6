import numpy as np
import pyarrow as pa
import pytest

from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.log_tables import find_availability, open_lists, read_tables
from data_pipeline.settings import SequenceSettings


@pytest.fixture
def read(tmp_path):
    """`read(builder, shuffle)`: rows of every table in their order."""
    names = ("request", "position", "doc", "satisfied", "click_time", "candidates")
    orders = {
        "users": ["user"],
        "texts": ["text"],
        "documents": ["doc"],
        "requests": ["request"],
    }
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:

        def rows(builder, shuffle=None):
            folder, settings = (
                builder.write(tmp_path / f"log{shuffle}", shuffle),
                SequenceSettings(),
            )
            log = read_tables(engine, [folder], settings)
            shown = open_lists(engine, log, [folder], settings)
            arrays = {
                "clicks": engine.fetch(log.clicks.select(*names), ["request", "position"]),
                "browses": engine.fetch(log.browses, ["user", "time", "doc", "satisfied"]),
                "shown": shown.read_lists(engine, np.arange(1, 99), folder),
            }
            return {
                **{n: engine.collect(getattr(log, n), o).to_pylist() for n, o in orders.items()},
                **{name: pa.table(columns).to_pylist() for name, columns in arrays.items()},
                "empty_requests": log.empty_requests.tolist(),
                "available": find_availability(engine, log, shown).tolist()[1:],
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
    available = read(builder)["available"]
    assert available == [builder.micro(100), builder.micro(4), builder.micro(5), NEVER]


def test_the_order_of_the_rows_does_not_matter(builder, read):
    for doc in "cab":
        builder.document(doc)
    builder.request("r1", "v", 9, "moon", "b", "a").request("r2", "u", 9, "sun", "b", "a")
    builder.browse("u", 4, "b").browse("w", 5, "c")
    assert read(builder, 1) == read(builder, 2)


def test_clicks_are_read_with_the_length_of_their_list_and_empty_lists_are_found(builder, read):
    for doc in "abc":
        builder.document(doc)
    builder.request("r1", "u", 0, "red", "a", ("c", 9, 30.5), ("b", None, 3.0))
    builder.request("r2", "u", 5, "red").request("r3", "u", 6, "", "a")
    log = read(builder)
    assert log["clicks"] == [
        {
            "request": 1,
            "position": 1,
            "doc": 3,
            "satisfied": 1,
            "click_time": builder.micro(9),
            "candidates": 3,
        },
        {
            "request": 1,
            "position": 2,
            "doc": 2,
            "satisfied": 0,
            "click_time": NEVER,
            "candidates": 3,
        },
    ]
    assert log["empty_requests"] == [2]
    clicked = [row["position"] for row in log["shown"] if row["clicked"]]
    assert (clicked, [row["satisfied"] for row in log["shown"]]) == ([1, 2], [0, 1, 0, 0])


@pytest.mark.parametrize("reader", ["read_lists", "occurrences", "first_impressions"])
def test_a_list_that_shows_an_unknown_document_is_refused(builder, tmp_path, reader):
    builder.document("a").request("r1", "u", 0, "red", "a", "lost")
    settings = SequenceSettings()
    arguments = {
        "read_lists": [np.array([1]), tmp_path],
        "occurrences": [NEVER],
        "first_impressions": [],
    }
    folder = builder.write(tmp_path / "log")
    with DuckDBEngine(threads=1, memory_gib=0.5) as engine:
        log = read_tables(engine, [folder], settings)
        shown = open_lists(engine, log, [folder], settings)
        with pytest.raises(
            ValueError, match=r"must name documents of documents\.parquet only\. Got 1 rows"
        ):
            getattr(shown, reader)(engine, *arguments[reader])


@pytest.mark.parametrize("kind", ["clicks", "browses"])
def test_an_unknown_document_that_was_opened_is_refused(builder, read, kind):
    builder.document("a")
    if kind == "clicks":
        builder.request("r1", "u", 0, "red", "a", ("lost", 3, None))
    else:
        builder.browse("u", 3, "lost")
    with pytest.raises(ValueError, match=f"`{kind}` must name documents of documents.parquet only"):
        read(builder)


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
        log = read_tables(engine, folders, SequenceSettings())
        shown = open_lists(engine, log, folders, SequenceSettings())
        available = find_availability(engine, log, shown)
        texts = ["", *engine.collect(log.texts, ["text"])["content"].to_pylist()]
        documents = engine.collect(log.documents, ["doc"]).to_pylist()
        requests = engine.collect(log.requests, ["request"])["request_id"].to_pylist()
    assert log.begins.tolist() == [early.micro(10), early.micro(100)]
    moments = np.array([early.micro(second) for second in (10, 99, 100, 300)])
    assert log.find_log(moments).tolist() == [0, 0, 1, 1]
    assert requests == ["r0", "r1"]
    known = {row["doc_id"]: (texts[row["text"]], row["log_index"]) for row in documents}
    assert known == {
        "a": ("ape", 0),
        "b": ("bee", 0),
        "c": ("title of c", 1),
        "d": ("title of d", 1),
    }
    assert available.tolist() == [
        NEVER,
        early.micro(10),
        NEVER,
        early.micro(100),
        early.micro(200),
    ]
