"""Systems read from flagfiles: a system's own settings after those that all share."""

import dataclasses
import pathlib

import pytest
from absl import flags as absl_flags

from data_pipeline.common import flagtree
from user_tf import config as configuration
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.experiments import grids
from user_tf.experiments.systems import flags_of, of_run, read_system, resolve
from user_tf.registry import RANKERS

ROOT = pathlib.Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "configs" / "systems").glob("*.flags"))
GRIDS = ["table2", "table3", "figure4", "departures", "known_answers"]
WORLDS = ["linked", "independent", "session_only", "refinding", "trivago"]
# What makes a system; all else is common, so that systems are compared and not their trainings.
OF_A_SYSTEM = {
    "data.scenario",
    "data.batch.next_queries",
    "data.batch.recommendation_features",
    "model.name",
    "model.session_encoder",
    "model.history_encoder",
    "model.co_attention",
    "model.knrm",
    "model.session_types",
    "model.session_positions",
    "model.history_positions",
    "model.session_passes",
    "model.score_tanh",
    "train.phases",
    "train.pretrain_epochs",
}


@pytest.fixture(name="folder")
def _folder(tmp_path, monkeypatch):
    """A folder with the common settings and two systems."""
    (tmp_path / "common.flags").write_text("--model.width=8\n--model.dropout=0.3\n")
    (tmp_path / "narrow.flags").write_text("--undefok=label\n--label=Narrow\n--model.width=4\n")
    (tmp_path / "single.flags").write_text("--data.scenario=search\n--train.phases=search\n")
    return tmp_path


def test_a_systems_settings_come_after_the_common_ones(folder):
    system = read_system("narrow", folder, folder / "common.flags")
    assert (system.name, system.label) == ("narrow", "Narrow")
    assert (system.config.model.width, system.config.model.dropout) == (4, 0.3)


def test_a_single_training_may_last_as_long_as_two(folder):
    (folder / "common.flags").write_text("--train.pretrain_epochs=3\n--train.finetune_epochs=2\n")
    (folder / "joint.flags").write_text("--train.phases=pretrain\n")
    epochs = {
        name: read_system(name, folder, folder / "common.flags").config.train.pretrain_epochs
        for name in ("narrow", "single", "joint")
    }
    assert epochs == {"narrow": 3, "single": 5, "joint": 5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--model.widht=4", r"odd\.flags.*model\.widht"),
        ("--data.scenario=search", r"odd\.flags: `train\.phases`"),
        ("--model.knrm=perhaps", "perhaps"),
        ("--flagfile=absent.flags", r"absent\.flags"),
    ],
)
def test_what_is_wrong_in_a_flagfile_is_named(folder, text, message):
    (folder / "odd.flags").write_text(f"{text}\n")
    with pytest.raises(ValueError, match=message):
        read_system("odd", folder, folder / "common.flags")


def test_an_unknown_system_is_told_which_there_are(folder):
    message = r"`systems`.*Received: 'wide'.*wide\.flags, or choose one of: common, narrow, single"
    with pytest.raises(ValueError, match=message):
        read_system("wide", folder, folder / "common.flags")


def test_flags_make_the_settings_they_are_made_of():
    config = Config(
        data=DataConfig(scenario="search"),
        model=ModelConfig(width=7, dropout=1e-5, knrm=False, score_tanh=True, name="a b"),
        train=TrainConfig(phases=("search",), learning_rate=3e-4),
    )
    config = of_run(config, "data set", "run", 3)
    assert resolve(flags_of(config)) == (config, "")
    wider = dataclasses.replace(config, model=dataclasses.replace(config.model, width=8))
    assert flags_of(wider, config) == ["--model.width=8"]


@pytest.mark.parametrize("name", NAMES)
def test_the_systems_of_the_project_differ_in_what_makes_them_alone(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    for common in (
        "configs/train/user.flags",
        "configs/train/simulated.flags",
        "configs/train/trivago.flags",
    ):
        system = read_system(name, ROOT / "configs" / "systems", common)
        assert system.label != name
        assert system.config.model.name in {*RANKERS, "lambdamart"}
        differing = flags_of(system.config, resolve([f"--flagfile={common}"])[0])
        names = {flag.split("=")[0].removeprefix("--") for flag in differing}
        assert {name.removeprefix("no") for name in names - OF_A_SYSTEM} <= OF_A_SYSTEM


@pytest.mark.parametrize("name", NAMES)
def test_the_training_command_reads_a_systems_flagfile(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    values = absl_flags.FlagValues()
    flagtree.define(Config, values=values)
    values(
        ["train", "--flagfile=configs/train/user.flags", f"--flagfile=configs/systems/{name}.flags"]
    )
    configuration.check(of_run(flagtree.read(Config, values=values), "dataset", "run", 1))


def test_every_system_of_the_project_stands_in_a_grid(monkeypatch):
    monkeypatch.chdir(ROOT)
    used = set()
    for name in GRIDS:
        for world in WORLDS:
            values = absl_flags.FlagValues()
            flagtree.define(grids.GridSettings, values=values)
            files = (f"configs/experiments/{name}.flags", f"configs/datasets/{world}.flags")
            values(["experiment", *(f"--flagfile={file}" for file in files)])
            settings = flagtree.read(grids.GridSettings, values=values)
            assert settings.title and settings.runs == f"work/grids/{world}"
            assert bool(settings.truth) == (world != "trivago")
            used |= {system.name for system, _ in grids.read_systems(settings)}
    assert used == set(NAMES)
