"""Systems read from flagfiles: a system's own settings after those that all share."""

import dataclasses
import json
import pathlib

import pytest
from absl import flags as absl_flags

from data_pipeline.common import flagfiles, flagtree
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.experiments import grids
from user_tf.experiments.systems import (
    make_flags,
    make_run_config,
    read_system,
    read_variants,
    resolve,
)
from user_tf.registry import RANKERS
from user_tf.training import phases, run_checks

ROOT = pathlib.Path(__file__).parents[3]
SYSTEMS = ROOT / "configs" / "systems"
FLAGFILES = sorted(path.stem for path in SYSTEMS.glob("*.flags"))
VARIANTS = {
    name: flags
    for path in sorted((ROOT / "configs" / "experiments").glob("*.toml"))
    for name, flags in read_variants(str(path), SYSTEMS).items()
}
DEPARTURES = read_variants(str(ROOT / "configs" / "experiments" / "departures.toml"), SYSTEMS)
NAMES = [*FLAGFILES, *VARIANTS]
GRIDS = ["table2", "table3", "figure4", "departures", "known_answers", "user_plus"]
GRIDS += ["user_plus_parts", "learning_curves"]
WORLDS = ["linked", "independent", "session_only", "refinding", "text_poor", "cold", "trivago"]
# What makes a system; all else is common, so that systems are compared and not their trainings.
OF_A_SYSTEM = {
    "data.scenario",
    "data.batch.negatives",
    "data.batch.next_queries",
    "data.batch.recommendation_features",
    "data.batch.train_share",
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
    "model.head",
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
    epochs = {}
    for name in ("narrow", "single", "joint"):
        config = read_system(name, folder, folder / "common.flags").config
        epochs[name] = [phases.plan(config, phase).epochs for phase in config.train.phases]
    assert epochs == {"narrow": [3, 2, 2], "single": [5], "joint": [5]}


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
    message = r"`systems`.*Got 'wide'.*wide\.flags, or choose one of common, narrow, single"
    with pytest.raises(ValueError, match=message):
        read_system("wide", folder, folder / "common.flags")


def write_variants(folder, text):
    (folder / "variants.toml").write_text(text)
    return read_variants(str(folder / "variants.toml"), folder)


def test_a_variant_is_its_base_with_other_flags(folder):
    variants = write_variants(
        folder,
        'base = "narrow"\n[variants.bare]\nlabel = "Bare"\n'
        'flags = "--nomodel.knrm --model.score_tanh"\n',
    )
    system = read_system("bare", folder, folder / "common.flags", variants=variants)
    base = read_system("narrow", folder, folder / "common.flags")
    assert (system.name, system.label) == ("bare", "Bare")
    assert make_flags(system.config, base.config) == ["--nomodel.knrm", "--model.score_tanh"]
    other = write_variants(
        folder,
        'base = "narrow"\n[variants.a]\nbase = "single"\nlabel = "A"\nflags = "--nomodel.knrm"\n',
    )
    system = read_system("a", folder, folder / "common.flags", variants=other)
    assert system.config.data.scenario == "search" and not system.config.model.knrm


def test_the_departures_have_the_flags_of_their_published_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    path = ROOT / "benchmarks" / "results" / "grid_linked.json"
    published = {e["system"] for e in json.loads(path.read_text(encoding="utf-8"))["systems"]}
    assert set(DEPARTURES) <= published
    common = "configs/train/simulated.flags"
    user = read_system("user", SYSTEMS, common).config
    changes = {
        name: make_flags(read_system(name, SYSTEMS, common, variants=DEPARTURES).config, user)
        for name in DEPARTURES
    }
    assert changes["released_no_positions"] == [
        "--nomodel.session_positions",
        "--model.history_positions=off",
    ]
    single = {flag for name, flags in changes.items() if name != "released" for flag in flags}
    assert set(changes["released"]) == single - {"--model.history_positions=fixed"}


@pytest.mark.parametrize("text", ["base = ", "[variants]\n", 'base = "narrow"\n[variants.a]\n'])
def test_a_table_of_another_form_is_refused(folder, text):
    with pytest.raises(ValueError, match=r"`variants` must be a TOML file .*Got .*Fix: write it"):
        write_variants(folder, text)


def test_flags_make_the_settings_they_are_made_of():
    config = Config(
        data=DataConfig(scenario="search"),
        model=ModelConfig(width=7, dropout=1e-5, knrm=False, score_tanh=True, name="a b"),
        train=TrainConfig(phases=("search",), learning_rate=3e-4),
    )
    config = make_run_config(config, "data set", "run", 3)
    assert resolve(make_flags(config)) == (config, "", False)
    wider = dataclasses.replace(config, model=dataclasses.replace(config.model, width=8))
    assert make_flags(wider, config) == ["--model.width=8"]


@pytest.mark.parametrize("name", NAMES)
def test_the_systems_of_the_project_differ_in_what_makes_them_alone(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    for common in (
        "configs/train/user.flags",
        "configs/train/simulated.flags",
        "configs/train/trivago.flags",
    ):
        system = read_system(name, SYSTEMS, common, variants=VARIANTS)
        assert system.label != name
        assert system.config.model.name in {*RANKERS, "lambdamart"}
        if resolve(VARIANTS.get(name, [f"--flagfile={SYSTEMS / name}.flags"])).complete:
            continue
        differing = make_flags(system.config, resolve([f"--flagfile={common}"]).config)
        names = {flag.split("=")[0].removeprefix("--") for flag in differing}
        assert {name.removeprefix("no") for name in names - OF_A_SYSTEM} <= OF_A_SYSTEM


def test_a_complete_system_has_its_own_settings_alone(folder):
    (folder / "whole.flags").write_text("--undefok=label,complete\n--complete\n--model.width=5\n")
    (folder / "user.flags").write_text("--model.width=64\n--model.key_dim=3\n")
    system = read_system("whole", folder, folder / "common.flags", str(folder))
    assert make_flags(system.config) == ["--model.width=5"]
    with pytest.raises(ValueError, match=r"`systems` must not be tuned.*Got 'whole'.*Fix: "):
        read_system("whole", folder, folder / "common.flags", ["--model.width=7"])


@pytest.mark.parametrize("name", FLAGFILES)
def test_the_training_command_reads_a_systems_flagfile(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    values = absl_flags.FlagValues()
    flagtree.define(Config, values=values)
    files = ("configs/train/user.flags", f"configs/systems/{name}.flags")
    values(["train", *flagfiles.expand([f"--flagfile={file}" for file in files])])
    run_checks.check(make_run_config(flagtree.read(Config, values=values), "dataset", "run", 1))


def test_every_system_of_the_project_stands_in_a_grid(monkeypatch):
    monkeypatch.chdir(ROOT)
    used = set()
    for name in GRIDS:
        for world in WORLDS:
            values = absl_flags.FlagValues()
            flagtree.define(grids.GridSettings, values=values)
            files = (f"configs/experiments/{name}.flags", f"configs/datasets/{world}.flags")
            values(["experiment", *flagfiles.expand([f"--flagfile={file}" for file in files])])
            settings = flagtree.read(grids.GridSettings, values=values)
            assert settings.title and settings.runs == f"work/grids/{world}"
            assert bool(settings.truth) == (world != "trivago")
            used |= {system.name for system, _ in grids.read_systems(settings)}
    assert used == set(NAMES)
