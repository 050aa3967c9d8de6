"""Counts as of a moment, against a loop over all events."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.asof import Measure, as_of
from data_pipeline.duckdb_engine import DuckDBEngine

MEASURES = [
    Measure("by_doc", ("doc",), "one"),
    Measure("by_pair", ("doc", "user"), "weight"),
    Measure("latest", ("user",), "stamp", "max"),
]


@pytest.fixture(scope="module")
def engine():
    with DuckDBEngine(threads=1, memory_gib=1) as engine:
        yield engine


def run(engine, events, probes):
    columns = ("doc", "user", "time", "one", "weight", "stamp")
    rows = pa.table(
        {name: pa.array([event[name] for event in events], pa.int64()) for name in columns}
    )
    asked = pa.table(
        {
            "probe": pa.array(range(len(probes)), pa.int64()),
            **{
                name: pa.array([probe[i] for probe in probes], pa.int64())
                for i, name in enumerate(("doc", "user", "time"))
            },
        }
    )
    table = as_of(engine.table(rows), engine.table(asked), MEASURES)
    return engine.fetch(table, ["probe"])


small = st.integers(0, 3)
events_strategy = st.lists(
    st.fixed_dictionaries(
        {
            "doc": small,
            "user": small,
            "time": small,
            "one": st.just(1),
            "weight": st.one_of(st.none(), st.integers(-2, 5)),
            "stamp": st.one_of(st.none(), st.integers(0, 9)),
        }
    ),
    max_size=12,
)
probes_strategy = st.lists(st.tuples(small, small, st.integers(0, 4)), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(events=events_strategy, probes=probes_strategy)
def test_measures_equal_a_loop_over_all_earlier_events(events, probes):
    with DuckDBEngine(threads=1, memory_gib=1) as engine:
        result = run(engine, events, probes)
    for row, (doc, user, time) in enumerate(probes):
        known = [event for event in events if event["time"] < time]
        assert result["by_doc"][row] == sum(event["doc"] == doc for event in known)
        assert result["by_pair"][row] == sum(
            event["weight"] or 0 for event in known if event["doc"] == doc and event["user"] == user
        )
        stamps = [e["stamp"] for e in known if e["user"] == user and e["stamp"] is not None]
        assert result["latest"][row] == max(stamps, default=-1)


def test_an_event_at_the_probes_own_time_is_not_seen(engine):
    event = {"doc": 1, "user": 1, "time": 5, "one": 1, "weight": 1, "stamp": 5}
    result = run(engine, [event] * 3, [(1, 1, 5), (1, 1, 6)])
    assert result["by_doc"].tolist() == [0, 3]
    assert result["latest"].tolist() == [-1, 5]


def test_probes_keep_their_other_columns_and_their_number(engine):
    result = run(engine, [], [(1, 1, 5), (1, 1, 5)])
    assert result["probe"].tolist() == [0, 1]
    assert result["by_doc"].tolist() == [0, 0]


def test_an_unknown_way_to_measure_is_refused(engine):
    table = engine.table(pa.table({"doc": [1], "time": [1], "one": [1]}))
    with pytest.raises(ValueError, match="`sum` or `max`"):
        as_of(table, table, [Measure("x", ("doc",), "one", "mean")])
