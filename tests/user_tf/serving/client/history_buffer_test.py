"""The buffer of events gives the history that preparation gives, target by target."""

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_pipeline.common.codes import SECOND, BehaviorType
from data_pipeline.events.scenario_events import select_scenario
from data_pipeline.events.visible_history import BehaviorStates, visible_history
from data_pipeline.settings import SequenceSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SessionSettings, SimulateSettings, WorldSettings
from tests.oracles.history_rules import PastBehavior, seen_behaviors
from user_tf.serving.client.history_buffer import HistoryBuffer
from user_tf.serving.graph.history_selection import HistoryLimits
from user_tf.serving.logged_requests import read_events
from user_tf.serving.request import RequestError

SETTINGS = SequenceSettings(session_behaviors=3, past_sessions=4, clicked_titles=2)
SCENARIOS = ("unified", "search", "recommendation")


def write_log(folder, shape):
    """Write a simulated log whose feed is of lists, or of browses."""
    write_simulated_log(
        SimulateSettings(
            output=str(folder),
            users=20,
            shape=shape,
            world=WorldSettings(topics=8, subtopics=3, documents=400),
            session=SessionSettings(sessions=10.0),
        )
    )


def seconds(time):
    """Return seconds since the epoch of a time of the log, which has none smaller."""
    return time.timestamp()


def read_rows(log):
    """Return titles by document, and requests and browses by user."""
    documents = pq.read_table(log / "documents.parquet").to_pylist()
    by_user = {}
    for name in ("requests", "browses"):
        for row in pq.read_table(log / f"{name}.parquet").to_pylist():
            by_user.setdefault(row["user_id"], {"requests": [], "browses": []})[name].append(row)
    return {row["doc_id"]: row["title"] for row in documents}, by_user


def filled(titles, events, scenario):
    """Return a buffer with all events of a user, the later ones too, in a random order."""
    buffer = HistoryBuffer(SETTINGS, scenario)
    calls = []
    for row in events["requests"]:
        buffer.add_request(row["request_id"], seconds(row["time"]), row["query"])
        for result in row["results"]:
            if result["clicked"]:
                doc, time = result["doc_id"], seconds(result["click_time"])
                dwell = result["dwell_seconds"]
                calls.append((buffer.add_click, row["request_id"], time, titles[doc], dwell, doc))
    for row in events["browses"]:
        doc, time = row["doc_id"], seconds(row["time"])
        calls.append((buffer.add_browse, time, titles[doc], row["dwell_seconds"], doc))
    for place in np.random.default_rng(0).permutation(len(calls)):
        call, *arguments = calls[place]
        call(*arguments)
    return buffer


def targets_of(events, columns, scenario):
    """Return (user, time, session) of every request and browse of a scenario."""
    found = []
    for table in (events.requests, events.browses):
        inside = np.ones(len(table["user"]), bool)
        if scenario != "unified":
            searched = table["query"] > 0 if "query" in table else np.zeros_like(inside)
            inside = searched if scenario == "search" else ~searched
        activity = table["activity"][inside]
        found += zip(
            table["user"][inside].tolist(),
            table["time"][inside].tolist(),
            columns.session[activity].tolist(),
            strict=True,
        )
    return found


def prepared(logged, columns, targets):
    """Return the current session and past sessions of targets in strings, as preparation keeps them."""
    states = BehaviorStates(
        columns.behaviors, columns.satisfied_search_clicks, SETTINGS.clicked_titles
    )
    user, time, session = np.array(targets).T
    keys = {"user": user, "time": time, "session": session}
    seen = visible_history(columns.behaviors, states, keys, SETTINGS)
    texts, titles = logged.texts, logged.document_text

    def in_words(content):
        found = []
        for state in (number - 1 for number in content.tolist() if number):
            row = states.behavior[state]
            text = texts[columns.behaviors["text"][row]]
            searched = columns.behaviors["type"][row] == BehaviorType.SEARCH
            clicked = [texts[titles[doc]] for doc in states.clicked[state].tolist() if doc]
            found.append((text if searched else "", clicked if searched else [text]))
        return found

    for current, past in zip(seen.current, seen.past, strict=True):
        yield in_words(current), [in_words(seen.sessions[number - 1]) for number in past if number]


def kept(request, scenario):
    """Return the same of a request's history, by the rules in plain Python."""
    behaviors = [
        PastBehavior(
            (item.query, list(item.titles)),
            item.session,
            "search" if item.query else "recommendation",
            clicks=tuple((rank, title, 0) for rank, title in enumerate(item.titles)),
        )
        for item in request.history
    ]
    limits = HistoryLimits(
        scenario, SETTINGS.session_behaviors, SETTINGS.past_sessions, SETTINGS.clicked_titles
    )
    current, past = seen_behaviors(behaviors, request.session, 1, limits)

    def cut(content):
        return [(name[0], titles if name[0] else name[1]) for name, titles in content]

    return cut(current), [cut(content) for content in past]


def opened_before(titles, events, time):
    """Return (query, title) of everything opened 30 s and more before a time, by the raw rows."""
    found = []
    for row in events["requests"]:
        for result in row["results"]:
            if result["clicked"]:
                found.append((seconds(result["click_time"]) + 30, row["query"], result["doc_id"]))
    found += [(seconds(row["time"]) + 30, "", row["doc_id"]) for row in events["browses"]]
    return sorted((query, titles[doc]) for known, query, doc in found if known * SECOND < time)


def compare(log, scenario, step):
    """Return the number of targets of a log for which buffer and preparation agree."""
    titles, by_user = read_rows(log)
    logged = read_events(log, SETTINGS)
    columns = select_scenario(logged.events, scenario, SETTINGS)
    targets = targets_of(logged.events, columns, scenario)[::step]
    buffers = {user: filled(titles, events, scenario) for user, events in by_user.items()}
    query = "a" if scenario == "search" else ""
    for (user, time, _), expected in zip(targets, prepared(logged, columns, targets), strict=True):
        user_id = logged.user_ids[user]
        request = buffers[user_id].request(time / SECOND, ["a"], query)
        assert kept(request, scenario) == expected
        opened = sorted((item.query, item.title) for item in request.opened)
        assert opened == opened_before(titles, by_user[user_id], time)
    return len(targets)


def test_a_buffer_gives_what_preparation_gives(tmp_path):
    compared = 0
    for shape in ("lists", "browses"):
        write_log(tmp_path / shape, shape)
        compared += compare(tmp_path / shape, "unified", 1)
        # The models of one task have sessions of their own; the rest is the same.
        assert compare(tmp_path / shape, "search", 4) > 20
        assert compare(tmp_path / shape, "recommendation", 4) > 20
    assert compared > 1000, compared


def test_a_click_counts_once_known_and_a_later_report_replaces_it():
    buffer = HistoryBuffer()
    buffer.add_request("r", 0, "shoes")
    buffer.add_click("r", 10, "Boot")
    buffer.add_click("r", 20, "Clog", dwell_seconds=30)
    at = {time: buffer.request(time, ["a"]) for time in (40, 40.1, 50.1)}
    assert [at[time].history[0].titles for time in at] == [(), ("Boot",), ("Boot",)]
    assert [[item.title for item in at[time].opened] for time in at] == [
        [],
        ["Boot"],
        ["Boot", "Clog"],
    ]
    buffer.add_click("r", 20, "Clog", dwell_seconds=31)
    assert buffer.request(50.1, ["a"]).history[0].titles == ("Boot", "Clog")


def test_a_list_that_was_only_shown_keeps_a_session_alive():
    buffer = HistoryBuffer()
    buffer.add_browse(0, "Boot")
    assert buffer.request(3000, ["a"]).session == 2
    buffer.add_request("r", 1500)
    assert buffer.request(3000, ["a"]).session == 1


def test_a_request_carries_the_newest_within_the_limit():
    buffer = HistoryBuffer(limit=2)
    for number in range(9):
        buffer.add_request(f"r{number}", number * 60, f"q{number}")
        buffer.add_browse(number * 60 + 1, f"t{number}")
    request = buffer.request(1000, ["a"])
    assert [item.query or item.titles[0] for item in request.history] == ["q8", "t8"]
    assert [item.title for item in request.opened] == ["t7", "t8"]
    buffer.add_click("r8", 500, "Boot")
    buffer.add_click("r8", 501, "Clog")
    assert [item.titles for item in buffer.request(1000, ["a"]).history] == [("t8",)]
    with pytest.raises(RequestError, match=r"`request_id` must be one of the lists added.*'r0'"):
        buffer.add_click("r0", 5, "Boot")
    with pytest.raises(ValueError, match="`limit` must be at least 1"):
        HistoryBuffer(limit=0)


def test_a_buffer_takes_its_rules_from_the_manifest_of_a_model():
    sequence = vars(SequenceSettings(session_minutes=5, relevance="click", filter_sessions=True))
    manifest = {"sequence": sequence, "scenario": "unified", "limits": {"max_history": 1}}
    buffer = HistoryBuffer.for_model(manifest)
    buffer.add_request("r", 0, "shoes")
    buffer.add_click("r", 10, "Boot", dwell_seconds=1)
    request = buffer.request("1970-01-01T00:06:40Z", ["a"])
    assert (request.session, request.history[0].titles) == (2, ("Boot",))
    buffer.add_browse(20, "Clog")
    assert len(buffer.request(30, ["a"]).history) == 1


def test_a_client_over_rest_needs_neither_tensorflow_nor_an_engine():
    script = (
        "import sys\n"
        "absent = ('tensorflow', 'keras', 'grpc', 'ibis', 'duckdb', 'pandas')\n"
        "sys.modules.update(dict.fromkeys(absent))\n"
        "from user_tf.serving.client import check_server, history_buffer, rest_transport\n"
        "sys.argv = ['check_server', '--model=absent', '--rest=http://127.0.0.1:9']\n"
        "check_server.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2 and done.stderr.startswith("error: `model` must be a folder")
