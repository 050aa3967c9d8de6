"""Requests made of one user's events are those made of the complete log."""

import dataclasses
import json
import shutil

import pytest

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.explore.user_log import Click, Event, UserLog, check_masked
from user_tf.explore.user_sequence import UserSequence
from user_tf.serving.logged_requests import read_dataset_events, target_requests


@pytest.mark.parametrize("scenario", ["unified", "recommendation"])
def test_a_request_holds_what_its_target_saw(exploration, folder, scenario):
    dataset, log = exploration.dataset, exploration.log
    logged = read_dataset_events(dataset, folder / "log")
    expected = dict(target_requests(dataset, logged, scenario, "test"))
    assert len(expected) > 20
    for target_id, request in expected.items():
        target = exploration.catalogue.find(target_id)
        if scenario != "unified" and target.task != scenario:
            continue
        sequence = UserSequence(log.events(target.user_id), log.settings)
        found = sequence.request(target, scenario, log.titles(target.candidates))
        assert found == dataclasses.replace(request, features=None, request_id=None)


def test_a_click_without_a_time_is_known_from_the_next_session_on(exploration):
    minute = 60_000_000
    click = Click("d", "Sun hat", None, None, True)
    events = [
        Event("search", 0, "hat", "r1", ("Sun hat", "Cap"), (click,)),
        Event("search", minute, "cap", "r2", (), ()),
        Event("search", 100 * minute, "shoe", "r3", (), ()),
    ]
    sequence = UserSequence(events, exploration.log.settings)
    target = exploration.catalogue.find(0)
    known = {}
    for time in (minute, 100 * minute):
        asked = dataclasses.replace(target, time=time, candidates=("d",), query="x")
        request = sequence.request(asked, "unified", {"d": "Sun hat"})
        known[time] = [behavior.titles for behavior in request.history]
    assert known == {minute: [()], 100 * minute: [("Sun hat",), ()]}
    sessions = sequence.sessions(101 * minute)
    assert [len(session.events) for session in sessions] == [2, 1]
    assert [session.number for session in sessions] == [1, 2]
    with pytest.raises(ValueError, match=r"`log` must hold the target.*Fix:"):
        sequence.request(dataclasses.replace(target, time=5), "unified", {})


def test_the_log_of_another_dataset_is_refused(exploration, folder, tmp_path):
    shutil.copytree(folder / "log", tmp_path / "log")
    path = tmp_path / "log" / "log.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["requests.parquet"]["sha256"] = "0"
    path.write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"`log` must be the log the dataset.*Fix: set --log"):
        UserLog([tmp_path / "log"], exploration.dataset)


def test_users_who_are_not_masked_are_refused_unless_they_are_simulated(exploration):
    check_masked(exploration.dataset)
    logs = [{"masked": False, "source": {"name": "mind"}}]
    raw = Dataset(exploration.dataset.path, {"logs": logs})
    with pytest.raises(ValueError, match=r"`dataset` must be of a log with masked users.*mind"):
        check_masked(raw)
