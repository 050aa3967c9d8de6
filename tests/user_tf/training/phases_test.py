"""Tests of the plan of phases."""

import dataclasses
import subprocess
import sys

import pytest

from user_tf import run_folder
from user_tf.config import Config, DataConfig, RuntimeConfig, TrainConfig
from user_tf.training import phases
from user_tf.training.run_checks import check


def with_phases(*phases):
    return Config(run="r", data=DataConfig(dataset="d"), train=TrainConfig(phases=phases))


def test_fine_tuning_starts_from_the_pre_trained_model_with_its_own_rate_and_epochs():
    phase = phases.plan(with_phases("pretrain", "search"), "search")
    assert (phase.start, phase.learning_rate, phase.epochs) == ("pretrain", 1e-4, 5)
    assert phase.tasks == ("search",)


def test_phase_without_pre_training_is_trained_from_scratch():
    phase = phases.plan(with_phases("search"), "search")
    assert (phase.start, phase.learning_rate) == ("", 1e-3)


@pytest.mark.parametrize(
    ("trained", "epochs"),
    [
        (("pretrain",), {"pretrain": 3}),
        (("pretrain", "search"), {"pretrain": 3, "search": 40}),
        (("search",), {"search": 43}),
        (("search", "recommendation"), {"search": 43, "recommendation": 43}),
    ],
)
def test_epochs_of_a_phase_with_and_without_pre_training(trained, epochs):
    train = TrainConfig(phases=trained, pretrain_epochs=3, finetune_epochs=40)
    config = Config(train=train)
    assert {name: phases.plan(config, name).epochs for name in trained} == epochs


def test_pre_training_is_on_both_tasks():
    assert phases.plan(Config(), "pretrain").tasks == ("search", "recommendation")


def test_one_tasks_data_has_one_phase():
    config = with_phases("search")
    check(dataclasses.replace(config, data=DataConfig(dataset="d", scenario="search")))
    with pytest.raises(ValueError, match=r"Fix: set --train.phases=recommendation"):
        check(dataclasses.replace(config, data=DataConfig(dataset="d", scenario="recommendation")))


def test_seeds_of_all_phases_of_neighboring_runs_differ():
    seeds = {
        phases.plan(Config(runtime=RuntimeConfig(seed=seed)), name).seed
        for seed in range(4)
        for name in phases.PHASES
    }
    assert len(seeds) == 12


def test_a_task_is_served_by_its_own_phase_or_by_the_pre_trained_model():
    config = with_phases("pretrain", "search")
    assert phases.serving(config, "search") == "search"
    assert phases.serving(config, "recommendation") == "pretrain"
    assert phases.by_task(config) == {"search": "search", "recommendation": "pretrain"}
    assert phases.by_task(with_phases("search")) == {"search": "search"}
    with pytest.raises(ValueError, match="trained on"):
        phases.serving(with_phases("search"), "recommendation")


def test_model_of_a_phase_not_yet_trained_is_refused_by_name(tmp_path):
    with_phases("search").save(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"'search'.*no .*best.weights.h5"):
        run_folder.load_model(tmp_path, "search")


def test_reading_the_plan_of_a_run_does_not_import_tensorflow():
    code = "import sys, user_tf.training.phases; print({'tensorflow', 'keras'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr
