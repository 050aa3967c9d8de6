"""The content of grid.json, and the grids that may share a folder of runs."""

import dataclasses
import json

import pytest

from user_tf.experiments import grids
from user_tf.run_folder import write_json


@pytest.fixture(name="settings")
def _settings(tmp_path):
    """Settings of a grid of two systems in a folder without runs."""
    write_json(tmp_path / "dataset" / "manifest.json", {"counts": {"groups": 9}})
    (tmp_path / "common.flags").write_text("--model.width=8\n")
    (tmp_path / "plain.flags").write_text("--undefok=label\n--label=Plain\n")
    (tmp_path / "single.flags").write_text("--data.scenario=search\n--train.phases=search\n")
    return grids.GridSettings(
        title="Tiny",
        dataset=str(tmp_path / "dataset"),
        common=str(tmp_path / "common.flags"),
        folder=str(tmp_path),
        systems=("plain:2", "single"),
        runs=str(tmp_path / "runs"),
    )


def describe(settings, **changes):
    settings = dataclasses.replace(settings, **changes)
    return grids.describe(settings, grids.read_systems(settings), "command")


def test_a_grid_tells_its_systems_and_where_their_runs_lie(settings):
    grid = describe(settings)
    assert grid["title"] == "Tiny" and grid["split"] == "test" and grid["truth"] is False
    assert grid["counts"] == {"groups": 9} and grid["common_flags"] == ["--model.width=8"]
    assert {"command", "date", "machine", "versions"} <= grid.keys() and "seed" not in grid
    assert grid["systems"] == [
        {
            "system": "plain",
            "label": "Plain",
            "scenario": "unified",
            "tasks": ["search", "recommendation"],
            "flags": [],
            "runs": ["plain/seed1", "plain/seed2"],
        },
        {
            "system": "single",
            "label": "single",
            "scenario": "search",
            "tasks": ["search"],
            "flags": ["--data.scenario=search", "--train.phases=search"],
            "runs": ["single/seed1"],
        },
    ]


def test_grids_of_a_folder_are_joined(settings, tmp_path):
    write_json(tmp_path / "runs" / grids.GRID, describe(settings))
    (tmp_path / "runs" / "plain").mkdir()
    (tmp_path / "other.flags").write_text("--model.dropout=0.2\n")
    grid = describe(settings, systems=("other", "plain"), title="Both")
    assert grid["title"] == "Both"
    assert {entry["system"]: len(entry["runs"]) for entry in grid["systems"]} == {
        "plain": 2,
        "single": 1,
        "other": 1,
    }


def test_runs_of_other_settings_are_not_mixed(settings, tmp_path):
    write_json(tmp_path / "runs" / grids.GRID, describe(settings))
    write_json(tmp_path / "elsewhere" / "manifest.json", {})
    with pytest.raises(ValueError, match=r"`dataset` must be that of the runs in .*--runs"):
        describe(settings, dataset=str(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match=r"`truth`"):
        describe(settings, truth="truth.parquet")

    (tmp_path / "plain.flags").write_text("--model.dropout=0.2\n")
    assert describe(settings)["systems"][0]["flags"] == ["--model.dropout=0.2"]
    (tmp_path / "runs" / "plain").mkdir()
    with pytest.raises(ValueError, match=r"`plain` must have the flags.*--model\.dropout=0\.2"):
        describe(settings)

    (tmp_path / "common.flags").write_text("--model.width=16\n")
    with pytest.raises(ValueError, match=r"`common_flags`.*'--model\.width=8'.*Got"):
        describe(settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": ""}, "`runs` must name a folder"),
        ({"dataset": "absent"}, "`dataset` must be a prepared dataset.*'absent'"),
        ({"truth": "absent"}, "`truth` must be a Parquet file.*'absent'"),
        ({"parallel": 0}, "`parallel` must be at least 1. Got 0. Fix: set --parallel"),
        ({"systems": ()}, "`systems` must name at least one"),
    ],
)
def test_impossible_settings_are_named(settings, change, message):
    grids.check(settings)
    with pytest.raises(ValueError, match=message):
        grids.check(dataclasses.replace(settings, **change))


@pytest.mark.parametrize("entry", ["", "user:", "user:0", "user:x", ":3", "user:-1"])
def test_an_entry_that_is_no_system_is_named(entry):
    with pytest.raises(ValueError, match=f"NAME:N.*Got {entry!r}"):
        grids.parse_system(entry)


def test_the_grid_is_plain_json(settings):
    grid = describe(settings)
    assert json.loads(json.dumps(grid)) == grid
