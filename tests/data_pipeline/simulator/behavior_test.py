"""Tests of the sessions: exchange between the services, times, positions."""

import dataclasses

import numpy as np
import pytest

from data_pipeline.common.codes import Task
from data_pipeline.simulator import behavior, people
from data_pipeline.simulator.click_model import ClickModel
from data_pipeline.simulator.world import build_world
from data_pipeline.simulator.world_settings import (
    SessionSettings,
    SimulateSettings,
    StrengthSettings,
)

USERS = 800


def _simulate(strength, users=USERS, newcomers=0.0, **changes):
    settings = SimulateSettings(
        output="log",
        users=users,
        session=SessionSettings(newcomers=newcomers),
        strength=StrengthSettings(**dict.fromkeys(_names(), strength) | changes),
    )
    world = build_world(settings.world, 30.0, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    return world, behavior.simulate_users(world, settings, ClickModel(), users, rng)


def _names():
    return [field.name for field in dataclasses.fields(StrengthSettings)]


@pytest.fixture(scope="module")
def default():
    return _simulate(0.8)


def _switches(requests, task):
    """Rows of requests of `task` right after one of the other task in the same session."""
    after = np.arange(1, len(requests.users))
    same = requests.users[after] == requests.users[after - 1]
    near = requests.times[after] - requests.times[after - 1] < 30 * 60 * behavior.SECOND
    turn = (requests.tasks[after] == task) & (requests.tasks[after - 1] != task)
    return after[same & near & turn]


def _agreement(requests, task):
    rows = _switches(requests, task)
    return (requests.intents[rows] == requests.intents[rows - 1]).mean()


def _chance(world, requests, task):
    """Agreement of the same requests with a stranger's, which share the world's popularity."""
    rows = _switches(requests, task)
    return (requests.intents[rows] == np.roll(requests.intents[rows - 1], 97)).mean()


@pytest.mark.parametrize("task", Task)
def test_agreement_of_the_services_rises_with_the_strength_and_is_chance_at_0(task):
    found = []
    for strength in (0.0, 0.5, 1.0):
        world, requests = _simulate(strength)
        found.append(_agreement(requests, task))
        if strength == 0.0:
            assert abs(found[0] - _chance(world, requests, task)) < 0.01
    assert found[0] < 0.03 and 0.4 < found[1] < 0.8 and found[2] > 0.9


def test_each_direction_has_its_own_strength():
    _, requests = _simulate(0.0, browse_to_search=1.0)
    assert _agreement(requests, 2) > 0.8
    # What searches took up from browsing is still alive when browsing follows, so browsing agrees
    # more than by chance, but far less than where searches shape it.
    assert _agreement(requests, 1) < 0.75 * _agreement(requests, 2)


def test_lasting_interests_of_the_services_are_independent_without_strength():
    for sharing, low, high in ((0.0, 0.0, 0.05), (0.6, 0.5, 0.7), (1.0, 1.0, 1.0)):
        settings = SimulateSettings(strength=StrengthSettings(shared_interests=sharing))
        world = build_world(settings.world, 30.0, np.random.default_rng(1))
        drawn = people.draw_people(world, settings, 3000, np.random.default_rng(3))
        same = (drawn.favorites[0] == drawn.favorites[1]).mean()
        assert low <= same <= high
        tastes = (drawn.tastes[0] == drawn.tastes[1]).all(axis=1).mean()
        assert low <= tastes + 1e-9 and tastes <= high + 0.05


def test_without_strength_searches_reveal_nothing_of_browses():
    _, requests = _simulate(0.0)
    wanted = np.zeros((2, USERS, 144))
    np.add.at(wanted, (requests.tasks - 1, requests.users, requests.intents), 1)
    own = (wanted[0] * wanted[1]).sum()
    others = np.mean([(wanted[0] * np.roll(wanted[1], n, axis=0)).sum() for n in range(1, 60)])
    deviation = np.std([(wanted[0] * np.roll(wanted[1], n, axis=0)).sum() for n in range(1, 60)])
    assert abs(own - others) < 4 * deviation


def test_the_number_of_requests_does_not_depend_on_the_strengths(default):
    _, weak = _simulate(0.0)
    assert abs(len(weak.users) / len(default[1].users) - 1) < 0.05


def test_no_two_events_of_a_user_share_a_time_and_clicks_follow_their_request(default):
    requests = default[1]
    rows, places = np.nonzero(requests.clicked)
    clicks = requests.click_times[rows, places]
    assert (clicks > requests.times[rows]).all()
    users = np.concatenate([requests.users, requests.users[rows]])
    times = np.concatenate([requests.times, clicks])
    assert len(np.unique(np.stack([users, times]), axis=1).T) == len(users)


def test_a_request_comes_after_the_articles_of_the_one_before_were_read(default):
    requests = default[1]
    ends = requests.click_times + np.ceil(requests.dwell * behavior.SECOND)
    last = np.where(requests.clicked, ends, 0).max(axis=1)
    same = requests.users[1:] == requests.users[:-1]
    assert (requests.times[1:] >= last[:-1])[same].all()


def test_no_list_shows_a_document_twice_or_before_it_is_published(default):
    world, requests = default
    ordered = np.sort(requests.results, axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()
    assert (world.published[requests.results] < requests.times[:, None]).all()


def test_lower_positions_get_fewer_clicks_at_the_same_relevance(default):
    world, requests = default
    model = ClickModel()
    affinity = model.affinity(requests.states, world.document_vectors[requests.results])
    alike = (affinity > 1.5) & (affinity < 1.7)
    first = requests.clicked[:, 0][alike[:, 0]].mean()
    late = requests.clicked[:, 7:][alike[:, 7:]].mean()
    assert late < 0.6 * first


def test_sessions_hold_both_services_and_users_about_ten_targets(default):
    requests = default[1]
    satisfied = (requests.clicked & (requests.dwell > 30)).any(axis=1)
    searches = satisfied[requests.tasks == 2].sum() / USERS
    browses = satisfied[requests.tasks == 1].sum() / USERS
    assert 8 < searches + browses < 13 and 0.4 < searches / (searches + browses) < 0.6


def test_searches_for_known_articles_repeat_their_query(default):
    requests = default[1]
    rows = np.nonzero(requests.tasks == 2)[0]
    keys = [
        (int(requests.users[row]), tuple(requests.queries[row].tolist())) for row in rows.tolist()
    ]
    assert 0.03 < 1 - len(set(keys)) / len(keys) < 0.5


def test_newcomers_come_in_the_last_tenth_of_the_log_and_nobody_else_comes_later(default):
    _, before = default
    _, after = _simulate(0.8, newcomers=0.25)
    span = 30 * 24 * 3600 * behavior.SECOND
    new = after.users < USERS // 4
    assert after.times[new].min() >= 0.9 * span
    first = np.minimum.reduceat(after.times, np.unique(after.users, return_index=True)[1])
    assert (first[USERS // 4 :] < 0.5 * span).mean() > 0.9
    # The number of their sessions stays.
    assert len(after.users) == pytest.approx(len(before.users), rel=0.02)
