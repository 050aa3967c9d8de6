"""Tests of settings given as keyword arguments."""

import pytest

from user_tf.api.keywords import replace_settings
from user_tf.config import Config

ALL = ("model.", "data.", "train.", "runtime.")


def test_the_last_part_of_a_name_finds_its_setting():
    config = replace_settings(
        Config(), {"width": 32, "negatives": 2, "pretrain_epochs": 3, "seed": 5, "jit": True}, ALL
    )
    assert (config.model.width, config.data.batch.negatives) == (32, 2)
    assert (config.train.pretrain_epochs, config.runtime.seed) == (3, 5)
    assert config.runtime.jit is True


def test_full_names_lists_and_integers_for_numbers_are_accepted():
    config = replace_settings(
        Config(), {"model.dropout": 0, "phases": ["search"], "clip_norm": 1}, ALL
    )
    assert config.model.dropout == 0.0 and isinstance(config.model.dropout, float)
    assert config.train.phases == ("search",)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"widht": 32}, "`widht` must be the name of a setting. Got an unknown one. Fix: .*width"),
        ({"run": "r"}, "`run` must be the name of a setting"),
        ({"width": "32"}, "`width` must be int. Got '32'"),
        ({"width": True}, "`width` must be int. Got True"),
        ({"jit": 1}, "`jit` must be bool. Got 1"),
        ({"phases": "search"}, "`phases` must be a list. Got 'search'"),
        ({"strategy": "two"}, "`strategy` must be one of one_device, .*Got 'two'"),
    ],
)
def test_wrong_keywords_are_named_with_their_fix(keywords, message):
    with pytest.raises(ValueError, match=message):
        replace_settings(Config(), keywords, ALL)


def test_a_setting_of_another_function_is_named():
    with pytest.raises(ValueError, match=r"Got model.width, which this function does not take"):
        replace_settings(Config(), {"width": 32}, ("train.",))


def test_a_name_of_two_settings_is_refused(monkeypatch):
    leaves = [("model.rate", None, int), ("train.rate", None, int)]
    monkeypatch.setattr("user_tf.api.keywords.flagtree.leaves", lambda tree: leaves)
    with pytest.raises(ValueError, match=r"Got the name of model.rate, train.rate. Fix: pass one"):
        replace_settings(Config(), {"rate": 1}, ALL)


def test_no_two_settings_share_their_last_part():
    from data_pipeline.common import flagtree

    last = [name.rpartition(".")[2] for name, _, _ in flagtree.leaves(Config)]
    assert sorted({name for name in last if last.count(name) > 1}) == []
