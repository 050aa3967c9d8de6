"""Tests of the checks of the simulator's settings."""

import dataclasses
import pathlib
import re
import shlex

import pytest
from absl import flags

from data_pipeline.common import flagtree
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


def commands_of_worlds():
    """Return the flags of `data_pipeline.simulate` in the comments of configs/datasets, by world."""
    found = {}
    for path in sorted((pathlib.Path(__file__).parents[3] / "configs/datasets").glob("*.flags")):
        text = path.read_text("utf-8").replace("\n#       ", " ")
        for command in re.findall(r"^#   python -m data_pipeline\.simulate (.*)$", text, re.M):
            found[path.stem] = shlex.split(command)
    return found


def test_every_published_world_can_be_made():
    worlds = commands_of_worlds()
    assert {"linked", "refinding", "text_poor", "cold"} <= set(worlds)
    for command in worlds.values():
        values = flags.FlagValues()
        flagtree.define(SimulateSettings, values=values)
        values(["simulate", *command])
        check(flagtree.read(SimulateSettings, values=values))


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
