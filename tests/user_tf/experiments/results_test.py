"""Means and spread over seeds, from evaluations written by hand."""

import pytest

from user_tf.experiments import results
from user_tf.run_folder import write_json


def finish(run, value, split="test", gain=None, **phases):
    """Writes the files of a finished run whose MAP is `value`."""
    rankings = {
        "original order": {"metrics": {"map": 0.25}},
        "plain": {"metrics": {"map": value}, "fraction_of_oracle_gain": {"map": gain}},
    }
    search = {"queries": 5, "users": 2, "rankings": rankings}
    report = {"model": "plain", "tasks": {"search": search}}
    write_json(run / "evaluation" / f"{split}.json", report)
    (run / "evaluation" / f"{split}-queries.parquet").touch()
    for phase, steps in phases.items():
        write_json(run / phase / "done.json", {"steps": steps})
    write_json(run / "cost.json", {"user_tf.train": {"seconds": 9.0, "peak_gib": 1.5}})


def test_a_system_is_the_mean_and_spread_of_its_seeds(tmp_path):
    finish(tmp_path / "seed1", 0.5, gain=0.25)
    finish(tmp_path / "seed2", 0.7, gain=None)
    tasks = results.collect_tasks([tmp_path / "seed1", tmp_path / "seed2"], "test")
    assert tasks.keys() == {"search"}
    search = tasks["search"]
    assert (search["queries"], search["users"], search["model"]) == (5, 2, "plain")
    plain = search["rankings"]["plain"]["map"]
    assert plain["mean"] == 0.6 and plain["values"] == [0.5, 0.7]
    # The standard deviation of a sample: sqrt((0.1^2 + 0.1^2) / 1).
    assert plain["std"] == pytest.approx(0.02**0.5, abs=1e-6)
    assert search["rankings"]["original order"]["map"]["std"] == 0
    assert search["fraction_of_oracle_gain"]["map"] == {
        "mean": None,
        "std": None,
        "values": [0.25, None],
    }


def test_runs_that_are_not_finished_are_left_out(tmp_path):
    finish(tmp_path / "plain" / "seed2", 0.5, pretrain=4, search=2)
    finish(tmp_path / "plain" / "seed3", 0.7)
    (tmp_path / "plain" / "seed3" / "evaluation" / "test-queries.parquet").unlink()
    finish(tmp_path / "other" / "seed1", 0.5, split="validation")
    systems = [
        {"system": "plain", "runs": ["plain/seed1", "plain/seed2", "plain/seed3"]},
        {"system": "other", "runs": ["other/seed1"]},
    ]
    content = results.collect({"split": "test", "systems": systems}, tmp_path)
    plain, other = content["systems"]
    assert plain["finished"] == ["plain/seed2"]
    assert plain["results"]["search"]["rankings"]["plain"]["map"]["values"] == [0.5]
    assert plain["phases"] == [{"pretrain": {"steps": 4}, "search": {"steps": 2}}]
    assert plain["cost"] == [{"user_tf.train": {"seconds": 9.0, "peak_gib": 1.5}}]
    assert other["finished"] == [] and other["results"] == {}
