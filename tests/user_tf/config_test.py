"""Impossible settings are refused by name, and settings survive being saved."""

import dataclasses

import pytest

from user_tf.config import Config, DataConfig, RuntimeConfig, TrainConfig
from user_tf.training.run_checks import check

GOOD = Config(run="run", data=DataConfig(dataset="dataset"))


def replace(config, path, value):
    head, _, rest = path.partition(".")
    inner = replace(getattr(config, head), rest, value) if rest else value
    return dataclasses.replace(config, **{head: inner})


def test_the_defaults_are_possible():
    check(GOOD)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("run", ""),
        ("data.dataset", ""),
        ("train.phases", ("search", "pretrain")),
        ("train.phases", ("search", "search")),
        ("train.phases", ()),
        ("train.phases", ("fine",)),
        ("model.dropout", 1.0),
        ("model.token_dropout", 1.0),
        ("model.text_dropout", 1.0),
        ("model.aspects", 0),
        ("model.width", 0),
        ("data.batch.negatives", 0),
        ("data.batch.fixed_sizes", "maybe"),
        ("data.scenario", "both"),
        ("model.init_scheme", "random"),
        ("train.patience", 0),
    ],
)
def test_an_impossible_value_is_named_with_its_fix(path, value):
    with pytest.raises(ValueError, match=rf"^`{path}` must .*[.] Got .*[.] Fix: set --"):
        check(replace(GOOD, path, value))


def test_xla_needs_fixed_sizes():
    config = replace(GOOD, "runtime", RuntimeConfig(jit=True))
    check(config)
    with pytest.raises(ValueError, match=r"`data.batch.fixed_sizes`"):
        check(replace(config, "data.batch.fixed_sizes", "off"))


@pytest.mark.parametrize("name", ["htps", "htps_unified"])
def test_a_ranker_that_predicts_the_next_query_needs_it_in_the_batch(name):
    config = replace(GOOD, "model.name", name)
    with pytest.raises(ValueError, match=r"`data.batch.next_queries`.*next_query_weight=0"):
        check(config)
    check(replace(config, "data.batch.next_queries", True))
    check(replace(config, "model.next_query_weight", 0.0))


def test_a_bounded_score_has_no_hidden_layer():
    config = replace(GOOD, "model.head", "mlp")
    check(config)
    with pytest.raises(ValueError, match=r"`model.head`.*--nomodel.score_tanh"):
        check(replace(config, "model.score_tanh", True))


def test_one_task_scenarios_train_that_task_alone():
    config = replace(GOOD, "train", TrainConfig(phases=("search",)))
    check(replace(config, "data.scenario", "search"))
    with pytest.raises(ValueError, match=r"train\.phases"):
        check(replace(config, "data.scenario", "recommendation"))


def test_a_run_reads_its_own_settings_back(tmp_path):
    config = replace(GOOD, "train.phases", ("search",))
    config.save(tmp_path)
    assert Config.load(tmp_path) == config


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config\.json\. Fix: set --run"):
        Config.load(tmp_path)
