"""Flags mirror the dataclass tree, in both directions."""

import dataclasses
import subprocess
import sys

import pytest
from absl import flags

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = setting(0.5, "A rate.")
    kind: str = setting("a", "A kind.", choices=("a", "b"))


@dataclasses.dataclass(frozen=True)
class Outer:
    steps: int = setting(3, "Steps.")
    names: tuple[str, ...] = dataclasses.field(default=("x", "y"), metadata={"help": "Names."})
    on: bool = setting(False, "A switch.")
    inner: Inner = dataclasses.field(default_factory=Inner)


def parse(*arguments: str) -> Outer:
    values = flags.FlagValues()
    flagtree.define(Outer, values=values)
    values(["program", *arguments])
    return flagtree.read(Outer, values=values)


def test_defaults_come_back_when_no_flag_is_given():
    assert parse() == Outer()


def test_flags_reach_their_leaf():
    read = parse("--steps=5", "--inner.rate=0.25", "--inner.kind=b", "--names=p,q,r", "--on")
    assert read == Outer(5, ("p", "q", "r"), True, Inner(0.25, "b"))


def test_later_flags_override_a_flagfile(tmp_path):
    path = tmp_path / "x.flags"
    path.write_text("# a comment\n--steps=7\n--inner.rate=0.1\n")
    assert parse(f"--flagfile={path}", "--steps=8") == Outer(steps=8, inner=Inner(rate=0.1))


@pytest.mark.parametrize("argument", ["--stepz=5", "--inner.kind=c", "--steps=many"])
def test_unknown_flags_and_bad_values_are_errors(argument):
    with pytest.raises(flags.Error):
        parse(argument)


def test_saved_settings_read_back_equal():
    tree = parse("--names=p", "--inner.rate=0.125")
    assert flagtree.from_dict(Outer, flagtree.to_dict(tree)) == tree


def test_saved_settings_with_another_shape_are_refused():
    plain = flagtree.to_dict(Outer())
    plain["inner"]["speed"] = 1
    del plain["steps"]
    with pytest.raises(
        ValueError, match=r"unknown ones \['inner.speed'\] and none for \['steps'\]"
    ):
        flagtree.from_dict(Outer, plain)


def test_help_lists_the_settings_of_a_command():
    ran = subprocess.run(
        [sys.executable, "-m", "data_pipeline.truth", "--help"], capture_output=True, text=True
    )
    assert "--dataset: " in ran.stdout
