"""Preparation and the served graph keep the same behaviors of a history: those of the rules."""

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.events.visible_history import BehaviorStates, visible_history
from data_pipeline.settings import SequenceSettings
from tests.oracles.history_rules import PastBehavior, seen_behaviors
from user_tf.serving.graph.history_selection import HistoryLimits, select_history
from user_tf.serving.graph.request_batch import first_titles
from user_tf.serving.request import Behavior, Request, to_arrays

TASKS = ("search", "recommendation")
SCENARIOS = ("unified", *TASKS)


def random_log(seed):
    """Return behaviors, clicks and targets of users: late clicks, untimed ones, equal times."""
    draw = np.random.default_rng(seed)
    rows, clicks, session, spans = [], [], 0, []
    for user in range(1, 4):
        begin = 0
        for _ in range(draw.integers(1, 6)):
            session += 1
            length, begin = int(draw.integers(0, 8)), begin + 100
            times = np.sort(begin + draw.integers(0, 12, length))
            spans.append((user, session, begin))
            for time in times.tolist():
                late = draw.random() < 0.2
                rows.append((user, time, begin + 99 if late else time, session))
                for rank in range(draw.integers(0, 4) if not late else 0):
                    known = time + int(draw.choice([1, 3, 30, 150, 2**62]))
                    clicks.append((len(rows), rank, int(draw.integers(1, 50)), known))
    user, time, known_at, session_of = np.array(rows, np.int64).reshape(-1, 4).T
    behaviors = {
        "behavior": np.arange(1, len(rows) + 1),
        "user": user,
        "time": time,
        "known_at": known_at,
        "session": session_of,
    }
    names = ("behavior", "rank", "doc", "known_at")
    found = np.array(clicks, np.int64).reshape(-1, 4).T
    targets = [(u, b + int(draw.integers(0, 14)), s) for u, s, b in spans for _ in range(4)]
    return behaviors, dict(zip(names, found, strict=True)), targets


def of_scenario(behaviors, clicks, tasks, scenario):
    """Return the columns of one scenario's behaviors, numbered from 1 without gaps."""
    kept = np.array([scenario in ("unified", task) for task in tasks], bool)
    number = np.cumsum(kept) * kept
    behaviors = {name: column[kept] for name, column in behaviors.items()}
    click_kept = number[clicks["behavior"] - 1] > 0
    clicks = {name: column[click_kept] for name, column in clicks.items()}
    owner = number[clicks["behavior"] - 1]
    names = np.flatnonzero(kept)
    return (
        behaviors | {"behavior": np.arange(1, kept.sum() + 1)},
        clicks | {"behavior": owner},
        names,
    )


def resolve(pointers, states, names):
    """Return (behavior, clicked documents) of each state + 1 among `pointers`, 0 left out."""
    rows = [number - 1 for number in pointers.tolist() if number]
    clicked = [[int(doc) for doc in states.clicked[row] if doc] for row in rows]
    return [
        (int(names[states.behavior[row]]), titles)
        for row, titles in zip(rows, clicked, strict=True)
    ]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", range(12))
def test_preparation_keeps_what_the_rules_keep(seed, scenario):
    behaviors, clicks, targets = random_log(seed)
    limits = HistoryLimits(scenario, session_behaviors=3, past_sessions=2, clicked_titles=2)
    settings = SequenceSettings(session_behaviors=3, past_sessions=2, clicked_titles=2)
    draw = np.random.default_rng(seed)
    tasks = [TASKS[code] for code in draw.integers(0, 2, len(behaviors["behavior"]))]
    users, known, sessions = (behaviors[name].tolist() for name in ("user", "known_at", "session"))
    clicks_of = [[] for _ in users]
    for owner, *click in zip(*(column.tolist() for column in clicks.values()), strict=True):
        clicks_of[owner - 1].append(tuple(click))
    rows, kept_clicks, names = of_scenario(behaviors, clicks, tasks, scenario)
    states = BehaviorStates(rows, kept_clicks, limits.clicked_titles)
    user, time, session = np.array(targets).T
    columns = {"user": user, "time": time, "session": session}
    seen = visible_history(rows, states, columns, settings)
    for row, (user, session_time, number) in enumerate(targets):
        mine = [
            PastBehavior(
                index, sessions[index], tasks[index], known[index], tuple(clicks_of[index])
            )
            for index in range(len(users))
            if users[index] == user
        ]
        contents = [seen.sessions[content - 1] for content in seen.past[row] if content]
        found = [resolve(content, states, names) for content in contents]
        expected = seen_behaviors(mine, number, session_time, limits)
        assert (resolve(seen.current[row], states, names), found) == expected


def random_request(draw, sessions, length):
    """Return a request and its history as `PastBehavior`s; some are of later sessions."""
    numbers = np.sort(draw.integers(1, sessions, length)).tolist()
    history, rules = [], []
    for name, number in enumerate(numbers):
        task = TASKS[draw.integers(0, 2)]
        titles = tuple(f"t{title}" for title in draw.integers(0, 99, draw.integers(0, 5)).tolist())
        if task == "search":
            history.append(Behavior(number, f"q{name}", titles))
        else:
            history.append(Behavior(number, "", (f"b{name}",)))
            titles = (f"b{name}",)
        clicks = tuple((rank, title, 0) for rank, title in enumerate(titles))
        rules.append(PastBehavior(name, number, task, clicks=clicks))
    session = int(draw.integers(1, sessions))
    return Request("", "", session, tuple(history), ("c",)), rules


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("seed", range(4))
def test_the_served_graph_keeps_what_the_rules_keep(seed, scenario):
    draw = np.random.default_rng(seed)
    limits = HistoryLimits(scenario, session_behaviors=3, past_sessions=4, clicked_titles=2)
    # Histories of no behavior, few sessions, many sessions, long sessions.
    pairs = [
        random_request(draw, sessions, length)
        for sessions, length in ((4, 0), (4, 6), (14, 40), (9, 40), (3, 40), (30, 25))
    ]
    arrays = to_arrays([request for request, _ in pairs])
    counts = {"history_titles": arrays["history_title_count"].sum(axis=1)}
    for name in ("history_session", "history_query", "history_title_count", "history_titles"):
        # The server pads each array with a first value: here that of a request with a history.
        first = arrays[name][1, 0]
        arrays[name] = np.pad(arrays[name], [(0, 0), (0, 5)])
        count = counts.get(name, arrays["history_count"])
        beyond = np.arange(arrays[name].shape[1]) >= count[:, np.newaxis]
        arrays[name][beyond] = first
    request = {
        name: tf.constant(value.tolist(), tf.string if value.dtype == object else tf.int64)
        for name, value in arrays.items()
    }
    names = ("session", "history_count", "history_session", "history_query")
    kept = select_history(*(request[name] for name in names), limits)
    shown = first_titles(request, kept["rows"], limits.clicked_titles).numpy()
    kept = {name: value.numpy() for name, value in kept.items()}

    def resolve_rows(pointers):
        rows = [pointer - 1 for pointer in pointers if pointer]
        titles = [[title.decode() for title in shown[row] if title] for row in rows]
        places = [int(kept["rows"][row, 1]) for row in rows]
        return list(zip(places, titles, strict=True))

    for row, (request, rules) in enumerate(pairs):
        members = [kept["session_behaviors"][n] for n in kept["past_sessions"][row] if n]
        found = resolve_rows(kept["current_behaviors"][row]), [resolve_rows(m) for m in members]
        assert found == seen_behaviors(rules, request.session, 1, limits)
        for filled in (kept["current_behaviors"][row], kept["past_sessions"][row], *members):
            count = np.count_nonzero(filled)
            assert filled[:count].all(), "slots are filled from the left"
    # Every row that is kept has a target or session that points at it.
    pointed = set(kept["session_behaviors"].ravel()) | set(kept["current_behaviors"].ravel())
    assert pointed - {0} == set(range(1, len(kept["rows"]) + 1))
