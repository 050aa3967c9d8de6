"""Cases of the visible history by hand; `tests/oracles/history_rules_test.py` has random ones."""

import numpy as np

from data_pipeline.events.visible_history import BehaviorStates, visible_history
from data_pipeline.settings import SequenceSettings

SETTINGS = SequenceSettings(session_behaviors=3, past_sessions=2, clicked_titles=2)


def columns(**values):
    return {name: np.array(value, np.int64) for name, value in values.items()}


def resolved(past, states, row):
    """Return (behavior, clicks) of the current session and of each past session of a target."""

    def state(number):
        clicked = states.clicked[number - 1]
        return int(states.behavior[number - 1]), tuple(int(doc) for doc in clicked if doc)

    current = [state(number) for number in past.current[row] if number]
    sessions = [
        [state(number) for number in past.sessions[content - 1] if number]
        for content in past.past[row]
        if content
    ]
    return current, sessions


def test_the_same_search_with_and_without_its_click_is_two_states():
    behaviors = columns(behavior=[1], user=[1], time=[10], known_at=[10], session=[1])
    satisfied_search_clicks = columns(behavior=[1], rank=[0], doc=[7], known_at=[40])
    states = BehaviorStates(behaviors, satisfied_search_clicks, 3)
    targets = columns(user=[1, 1, 1], time=[10, 40, 41], session=[1, 1, 1])
    past = visible_history(behaviors, states, targets, SequenceSettings())
    found = [resolved(past, states, row)[0] for row in range(3)]
    assert found == [[], [(0, ())], [(0, (7,))]]


def test_the_earliest_clicked_titles_are_kept_even_if_they_become_known_late():
    behaviors = columns(behavior=[1], user=[1], time=[0], known_at=[0], session=[1])
    satisfied_search_clicks = columns(
        behavior=[1, 1, 1], rank=[0, 1, 2], doc=[5, 6, 7], known_at=[90, 20, 30]
    )
    states = BehaviorStates(behaviors, satisfied_search_clicks, 2)
    shown = [
        [int(doc) for doc in states.clicked[states.at(np.array([0]), np.array([time]))[0]] if doc]
        for time in (20, 21, 31, 91)
    ]
    assert shown == [[], [6], [6, 7], [5, 6]]


def test_a_click_beyond_the_kept_ones_makes_no_new_state():
    behaviors = columns(behavior=[1], user=[1], time=[0], known_at=[0], session=[1])
    satisfied_search_clicks = columns(behavior=[1, 1], rank=[0, 1], doc=[5, 6], known_at=[10, 20])
    states = BehaviorStates(behaviors, satisfied_search_clicks, 1)
    row = np.array([0, 0])
    first, second = states.at(row, np.array([15, 25]))
    assert first == second == states.final(np.array([0]))[0]


def test_a_session_without_a_visible_behavior_takes_no_place_among_the_past_ones():
    # Sessions 1, 2, 3 of one user; what session 2 holds is known only after the target.
    behaviors = columns(
        behavior=[1, 2, 3],
        user=[1, 1, 1],
        time=[0, 100, 200],
        known_at=[0, 400, 200],
        session=[1, 2, 3],
    )
    satisfied_search_clicks = columns(behavior=[], rank=[], doc=[], known_at=[])
    states = BehaviorStates(behaviors, satisfied_search_clicks, 1)
    past = visible_history(behaviors, states, columns(user=[1], time=[300], session=[4]), SETTINGS)
    assert resolved(past, states, 0) == ([], [[(0, ())], [(2, ())]])


def test_users_without_behaviors_see_nothing():
    none = columns(behavior=[], user=[], time=[], known_at=[], session=[])
    states = BehaviorStates(none, columns(behavior=[], rank=[], doc=[], known_at=[]), 3)
    past = visible_history(
        none, states, columns(user=[1], time=[5], session=[1]), SequenceSettings()
    )
    assert not past.current.any() and not past.past.any()
    assert past.current.shape == (1, 5) and past.past.shape == (1, 20)
