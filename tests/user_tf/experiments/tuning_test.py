"""Trials are the same for all systems, and the best on validation is kept."""

import dataclasses
import pathlib

import pytest

from user_tf.config import Config, ModelConfig, TrainConfig
from user_tf.experiments import tuning
from user_tf.experiments.systems import make_run_config, read_system, resolve
from user_tf.run_folder import DONE, write_json


def finish(config, **maps):
    for phase, value in maps.items():
        write_json(pathlib.Path(config.run) / phase / DONE, {"best_map": value})


def test_every_setting_takes_all_its_values_in_turn():
    trials = tuning.changes(Config(), 7, seed=3)
    assert trials[0] == []
    configs = [resolve(flags)[0] for flags in trials[1:]]
    rates = sorted(config.train.learning_rate for config in configs)
    assert rates == [5e-4, 5e-4, 1e-3, 1e-3, 2e-3, 2e-3]
    assert sorted(config.model.dropout for config in configs) == [0.0, 0.0, 0.1, 0.1, 0.3, 0.3]
    assert sorted(config.model.width for config in configs) == [100] * 3 + [200] * 3
    assert (
        sorted(config.model.init_scheme for config in configs) == ["average"] * 3 + ["glorot"] * 3
    )
    for config in configs:
        assert config.model.key_dim * 2 == config.model.width
        # Nothing else is tried.
        model = ModelConfig(
            width=config.model.width,
            key_dim=config.model.key_dim,
            intermediate_dim=config.model.intermediate_dim,
            dropout=config.model.dropout,
            init_scheme=config.model.init_scheme,
        )
        train = TrainConfig(learning_rate=config.train.learning_rate)
        assert config == Config(model=model, train=train)
    assert tuning.changes(Config(), 7, seed=4) != trials
    with pytest.raises(ValueError, match=r"`trials` must be at least 1\. Got 0\. Fix:"):
        tuning.changes(Config(), 0, seed=1)


def test_validation_map_is_the_mean_of_the_tasks_a_run_is_for(tmp_path):
    both = make_run_config(Config(), "dataset", str(tmp_path / "both"), 1)
    finish(both, pretrain=0.9, search=0.5)
    assert tuning.validation_map(both) is None
    finish(both, recommendation=0.7)
    assert tuning.validation_map(both) == pytest.approx(0.6)
    train = dataclasses.replace(Config().train, phases=("pretrain",))
    joint = make_run_config(
        dataclasses.replace(Config(), train=train), "d", str(tmp_path / "joint"), 1
    )
    finish(joint, pretrain=0.4)
    assert tuning.validation_map(joint) == 0.4


def test_the_best_of_all_trials_is_chosen_and_none_may_be_missing(tmp_path):
    runs = [
        make_run_config(Config(), "dataset", str(tmp_path / str(number)), 1) for number in range(2)
    ]
    finish(runs[0], search=0.5, recommendation=0.5)
    with pytest.raises(ValueError, match=r"`maps` must hold all trials .* Got 1 of 2\. Fix:"):
        tuning.summary("user", [[], ["--model.dropout=0.3"]], runs)
    finish(runs[1], search=0.5, recommendation=0.6)
    summary = tuning.summary("user", [[], ["--model.dropout=0.3"]], runs)
    assert (summary["system"], summary["ranker"], summary["chosen"]) == ("user", "user", 1)
    assert summary["trials"][1] == {
        "flags": ["--model.dropout=0.3"],
        "validation_map": pytest.approx(0.55),
    }


def test_an_ablation_has_the_settings_its_ranker_was_tuned_to(tmp_path):
    (tmp_path / "common.flags").write_text("--model.dropout=0.2\n--model.width=8\n")
    (tmp_path / "part.flags").write_text("--nomodel.knrm\n")
    (tmp_path / "npa.flags").write_text(
        "--model.name=npa\n--data.scenario=recommendation\n--train.phases=recommendation\n"
    )
    tuned = tmp_path / "tuned"
    tuned.mkdir()
    text = tuning.flagfile(["--model.dropout=0.3", "--model.knrm"], [0.5, 0.6], "command")
    (tuned / "user.flags").write_text(text)
    part, npa = (
        read_system(name, tmp_path, str(tmp_path / "common.flags"), str(tuned)).config.model
        for name in ("part", "npa")
    )
    # A system's own settings come last.
    assert (part.dropout, part.width, part.knrm) == (0.3, 8, False)
    assert npa.dropout == 0.2
