"""Results read from their folder."""

import json

import pytest

from tests.user_tf.reporting import made_grid
from user_tf.reporting.grid_folder import cost, evaluations, read_grid


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    return made_grid.write(tmp_path_factory.mktemp("runs"), queries=40)


def test_runs_that_are_not_finished_are_named_and_left_out(folder):
    grid = read_grid(folder)
    assert grid.unfinished == ("user/seed3",)
    assert {system.name: len(system.runs) for system in grid.systems} == {
        "hrnn": 1,
        "user_s": 2,
        "nrms": 1,
        "user": 2,
        "user_no_session": 1,
    }
    assert all(path.exists() for paths in grid.files.values() for path in paths)
    assert [system.model for system in grid.systems] == ["hrnn", "user", "nrms", "user", "user"]


def test_cost_is_counted_from_what_the_runs_left(folder):
    user = read_grid(folder).systems[3]
    assert cost(user) == {
        "parameters": made_grid.PARAMETERS,
        "groups": 3000,
        "seconds": 60,
        "groups_per_second": pytest.approx(100),
        "peak_gib": 1.5,
    }
    assert [line["step"] for line in evaluations(user.runs[0], "search")] == [10, 20]


def test_a_system_that_is_not_trained_in_phases_has_no_such_cost(tmp_path):
    made_grid.write(tmp_path, queries=40)
    run = tmp_path / "hrnn" / "seed1"
    for path in (run / "search").iterdir():
        path.unlink()
    (run / "cost.json").unlink()
    assert set(cost(read_grid(tmp_path).systems[0]).values()) == {None}


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"user_tf.experiment.*no grid\.json"):
        read_grid(tmp_path)
    made_grid.write(tmp_path, queries=40)
    grid = json.loads((tmp_path / "grid.json").read_text())
    grid["systems"] = [{**grid["systems"][0], "runs": ["hrnn/seed7"]}]
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    with pytest.raises(ValueError, match="none of 1 is"):
        read_grid(tmp_path)
