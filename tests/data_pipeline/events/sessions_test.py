"""Sessions, behaviors and when each fact is known, on logs made by hand (times in seconds)."""

import numpy as np
import pytest

from data_pipeline.common.codes import Scenario
from data_pipeline.engine.duckdb_engine import DuckDBEngine
from data_pipeline.events import sessions
from data_pipeline.events.as_of import NEVER
from data_pipeline.events.event_shards import build_events
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.scenario_events import select_scenario
from data_pipeline.settings import SequenceSettings

MINUTE = 60


@pytest.fixture
def built(tmp_path):
    """`built(builder, scenario, **settings)`: columns of every table, times in seconds."""
    with DuckDBEngine(threads=1, memory_gib=1.0) as engine:

        def build(builder, scenario="unified", **changes):
            settings = SequenceSettings(**changes)
            folder = tmp_path / f"log{len(list(tmp_path.iterdir()))}"
            log = read_tables(engine, [builder.write(folder)], settings)
            unfinished = folder / "unfinished"
            unfinished.mkdir()
            documents = engine.fetch(log.documents.select("doc", "text"), ["doc"])
            text = np.append(0, documents["text"])
            events = build_events(engine, log, text, settings, unfinished)
            selected = select_scenario(events, scenario, settings)
            opened = events.document_opens
            order = np.lexsort([opened[name] for name in ("doc", "time", "user")])
            tables = {
                "activities": {**events.activities, "session": selected.session},
                "sessions": events.sessions,
                "behaviors": selected.behaviors,
                "satisfied_search_clicks": selected.satisfied_search_clicks,
                "document_opens": {name: column[order] for name, column in opened.items()},
            }
            zero, result = builder.micro(0), {}
            for name, columns in tables.items():
                columns = dict(columns)
                for column, values in columns.items():
                    if column in ("time", "start", "end", "next_start", "click_time") or (
                        column in ("known_at", "visible_at")
                    ):
                        columns[column] = [
                            None if v >= NEVER else (v - zero) / 1e6 for v in values.tolist()
                        ]
                    else:
                        columns[column] = values.tolist()
                result[name] = columns
            return result

        yield build


def test_a_gap_of_thirty_minutes_keeps_a_session_and_a_longer_one_ends_it(builder, built):
    builder.document("d").browse("u", 0, "d").browse("u", 1800, "d").browse("u", 3600.000001, "d")
    found = built(builder)["sessions"]
    assert found["start"] == [0, 3600.000001]
    assert found["end"] == [1800, 3600.000001]
    assert found["next_start"] == [3600.000001, None]


def test_sessions_are_cut_on_requests_browses_and_timed_recommendation_clicks(builder, built):
    builder.document("d").document("e")
    builder.request("r1", "u", 0, "", ("d", 20 * MINUTE, 90.0), "e")
    builder.request("r2", "u", 45 * MINUTE, "red", ("d", 70 * MINUTE, 90.0), "e")
    builder.browse("u", 80 * MINUTE, "e")
    found = built(builder)
    # The recommendation click at 20 min bridges 0 and 45; the search click at 70 min does not
    # bridge 45 and 80.
    assert found["activities"]["time"] == [0, 20 * MINUTE, 45 * MINUTE, 80 * MINUTE]
    assert found["activities"]["session"] == [1, 1, 1, 2]


def test_sessions_are_numbered_by_user_and_start(builder, built):
    builder.document("d")
    builder.browse("b", 0, "d").browse("a", 9000, "d").browse("a", 100, "d")
    found = built(builder)["sessions"]
    assert found["user"] == [1, 1, 2]
    assert found["start"] == [100, 9000, 0]


def test_scenarios_are_cut_again_on_their_own_task(builder, built):
    builder.document("d").document("e")
    builder.request("r1", "u", 0, "red", "d", "e")
    builder.browse("u", 20 * MINUTE, "d")
    builder.request("r2", "u", 40 * MINUTE, "red", "d", "e")
    assert built(builder)["behaviors"]["session"] == [1, 1, 1]
    search = built(builder, "search")["behaviors"]
    assert (search["type"], search["session"]) == ([2, 2], [1, 2])
    recommendation = built(builder, "recommendation")["behaviors"]
    assert (recommendation["type"], recommendation["session"]) == ([1], [1])


def test_every_kind_of_behavior_is_known_at_the_right_time(builder, built):
    for doc in "abcde":
        builder.document(doc)
    builder.request("r1", "u", 0, "red", ("a", 10, 90.0), ("b", None, 90.0), ("c", 20, 30.0), "d")
    builder.request("r2", "u", 60, "", ("a", 70, 5.0), ("b", None, 90.0), "d")
    builder.browse("u", 100, "e", 5.0)
    builder.browse("u", 9000, "e", 90.0)
    found = built(builder)
    behaviors = found["behaviors"]
    # Search, untimed recommendation click (at its request), timed one, browse, browse.
    assert behaviors["time"] == [0, 60, 70, 100, 9000]
    assert behaviors["type"] == [2, 1, 1, 1, 1]
    assert behaviors["doc"] == [0, 2, 1, 5, 5]
    assert behaviors["known_at"] == [0, 9000 - 1e-6, 70, 100, 9000]
    # A click of exactly 30 s is not satisfied; the timed one comes first.
    assert found["satisfied_search_clicks"] == {
        "behavior": [1, 1],
        "doc": [1, 2],
        "known_at": [40, 9000 - 1e-6],
        "rank": [0, 1],
    }


def test_document_opens_count_after_their_delay_and_are_visible_at_once(builder, built):
    for doc in "abc":
        builder.document(doc)
    builder.request("r1", "u", 0, "red", ("a", 10, 5.0), "b")
    builder.request("r2", "u", 60, "", ("b", 70, 90.0), ("c", None, None), "a")
    builder.browse("u", 100, "c", 5.0)
    found = built(builder)["document_opens"]
    assert found["doc"] == [1, 3, 2, 3]
    assert found["time"] == [10, 60, 70, 100]
    assert found["known_at"] == [40, None, 100, 130]
    assert found["visible_at"] == [40, None, 70, 100]
    assert found["satisfied"] == [0, 1, 1, 0]
    assert found["query"] == [found["query"][0], 0, 0, 0] and found["query"][0] > 0


def test_with_relevance_click_every_click_counts_and_is_known_at_once(builder, built):
    builder.document("a").document("b")
    builder.request("r1", "u", 0, "red", ("a", 10, 5.0), ("b", None, None))
    found = built(builder, relevance="click")["document_opens"]
    assert found["satisfied"] == [1, 1]
    assert found["known_at"] == [None, 10]


def test_a_click_before_its_request_counts_at_the_request(builder, built):
    builder.document("a").document("b").request("r1", "u", 50, "", ("a", 10, 90.0), "b")
    found = built(builder)
    assert found["behaviors"]["time"] == [50]
    assert found["behaviors"]["known_at"] == [50]


def test_a_fact_is_known_at_the_same_time_in_every_scenario(builder, built):
    builder.document("a").document("b")
    builder.request("r1", "u", 0, "red", ("a", None, 90.0), "b")
    builder.browse("u", 20 * MINUTE, "a")
    builder.request("r2", "u", 40 * MINUTE, "red", "a", "b")
    builder.request("r3", "u", 90 * MINUTE, "red", "a", "b")
    builder.request("r4", "u", 95 * MINUTE, "", ("b", None, 90.0), "a")
    builder.request("r5", "u", 200 * MINUTE, "red", "a", "b")
    for scenario in (Scenario.UNIFIED, Scenario.SEARCH):
        assert built(builder, scenario)["satisfied_search_clicks"]["known_at"] == [
            90 * MINUTE - 1e-6
        ]
    for scenario in (Scenario.UNIFIED, Scenario.RECOMMENDATION):
        assert 200 * MINUTE - 1e-6 in built(builder, scenario)["behaviors"]["known_at"]


def test_the_filter_keeps_sessions_with_both_kinds_and_their_neighbors(builder, built, monkeypatch):
    monkeypatch.setattr(sessions, "FILTER_NEIGHBORS", 1)
    builder.document("a").document("b")
    for number in range(7):
        builder.browse("u", number * 10_000, "a")
    builder.request("r1", "u", 20_060, "red", "a", "b")
    builder.browse("v", 0, "a")
    plain = built(builder)
    assert plain["sessions"]["has_both"] == [0, 0, 1, 0, 0, 0, 0, 0]
    assert plain["sessions"]["kept"] == [1] * 8
    found = built(builder, filter_sessions=True)
    assert found["sessions"]["kept"] == [0, 1, 1, 1, 0, 0, 0, 0]
    assert found["behaviors"]["time"] == [10_000, 20_000, 20_060, 30_000]
    assert found["behaviors"]["behavior"] == [1, 2, 3, 4]
    # What features count is never filtered.
    assert len(found["document_opens"]["doc"]) == 8


def test_clicks_of_a_search_keep_the_order_of_clicking(builder, built):
    for doc in "abcd":
        builder.document(doc)
    builder.request(
        "r1", "u", 0, "red", ("a", None, None), ("b", 30, None), ("c", 10, None), ("d", 30, None)
    )
    assert built(builder)["satisfied_search_clicks"]["doc"] == [3, 2, 4, 1]
