"""Tests of the checks of the simulator's settings."""

import dataclasses

import pytest

from data_pipeline.simulator.world_settings import SimulateSettings, check


def _changed(name, value):
    settings = SimulateSettings(output="log")
    if "." not in name:
        return dataclasses.replace(settings, **{name: value})
    part, leaf = name.split(".")
    branch = dataclasses.replace(getattr(settings, part), **{leaf: value})
    return dataclasses.replace(settings, **{part: branch})


def test_the_defaults_hold():
    check(SimulateSettings(output="log"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("output", ""),
        ("users", 0),
        ("seed", -1),
        ("shape", "both"),
        ("strength.shared_interests", 1.5),
        ("strength.browse_to_search", -0.1),
        ("session.carry_over", 2.0),
        ("world.topics", 2),
        ("session.days", 0.5),
        ("session.start", "yesterday"),
        ("world.senses", 5),
        ("world.title_mean", 30.0),
        ("world.documents", 200),
        ("world.fresh_share", float("nan")),
        ("list.results", 0),
    ],
)
def test_a_setting_out_of_range_names_its_flag_and_value(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must .* Got .* Fix: .*--{name}"):
        check(_changed(name, value))
