"""A system of a table: its own flags after the settings that all systems share.

Its flags are a flagfile:

--undefok=label           (so that user_tf.train reads the file, too)
--label=HTPS
--model.name=htps
--data.scenario=search
--train.phases=search

(with --complete it has all its settings, and takes none of those that systems share), or a variant, a line of a TOML table that changes another system's flagfile:

    base = "user"

    [variants.released_no_knrm]
    label = "Released: no KNRM"
    flags = "--nomodel.knrm"
"""

import dataclasses
import operator
import pathlib
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from absl import flags

from data_pipeline.common import flagfiles, flagtree
from user_tf.config import Config, DataConfig
from user_tf.training import run_checks


@dataclasses.dataclass(frozen=True)
class System:
    """A named set of settings.

    Attributes:
        name: Name of its flagfile or variant, and of its folder of runs.
        label: Name in tables.
        config: Its settings; dataset, folder and seed are a run's.
    """

    name: str
    label: str
    config: Config


class Resolved(NamedTuple):
    """Settings of some flags, and what a system's flagfile says beside them."""

    config: Config
    label: str
    complete: bool


def resolve(arguments: Sequence[str]) -> Resolved:
    """Return the settings of flags and flagfiles, `--label` and `--complete`; later ones win.

    Raises:
        ValueError: A flag is unknown, has an impossible value, or a flagfile cannot be read.

    Example:
        >>> found = resolve(["--label=NRMS", "--model.name=nrms"])
        >>> found.config.model.name, found.config.model.width, found.label, found.complete
        ('nrms', 100, 'NRMS', False)
    """
    values = flags.FlagValues()
    flagtree.define(Config, values=values)
    flags.DEFINE_string("label", "", "Name of the system in tables.", flag_values=values)
    flags.DEFINE_boolean("complete", False, "No shared or tuned settings.", flag_values=values)
    try:
        values(["user_tf.train", *flagfiles.expand(arguments)])
    except flags.Error as error:
        raise ValueError(f"{' '.join(arguments)}: {error}") from error
    return Resolved(
        flagtree.read(Config, values=values),
        str(values["label"].value),
        bool(values["complete"].value),
    )


def read_variants(path: str, folder: pathlib.Path) -> dict[str, list[str]]:
    """Read a table of variants: by name the flags of each, its base's flagfile first.

    Args:
        path: TOML file; empty: no variants.
        folder: Folder of the systems' flagfiles.

    Raises:
        ValueError: The file cannot be read or is no such table.
    """
    if not path:
        return {}
    try:
        table = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        base = table["base"]
        return {
            name: [
                f"--flagfile={folder / variant.get('base', base)}.flags",
                f"--label={variant['label']}",
                *shlex.split(variant["flags"]),
            ]
            for name, variant in table["variants"].items()
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise ValueError(
            "`variants` must be a TOML file with `base` and a table [variants.NAME] of `label`, "
            f"`flags` and, if it is another, `base` for each variant. Got {path!r}: {error!r}. Fix: write it as "
            "configs/experiments/departures.toml is, or set --variants."
        ) from error


def read_system(
    name: str,
    folder: pathlib.Path,
    common: str,
    tuned: Sequence[str] | str = (),
    variants: Mapping[str, Sequence[str]] | None = None,
) -> System:
    """Read a system: the flagfile `common`, the tuned flags of its ranker, then its own flags.

    Args:
        name: Name of the system.
        folder: Folder of the systems' flagfiles.
        common: Flagfile of the settings all systems share.
        tuned: Flags; or the folder of flagfiles `user_tf.tune` wrote. From the folder the flagfile
            of the system's ranker is read, so an ablation has the settings of the full model. A
            ranker without one was not tuned.
        variants: Result of `read_variants`. Default: none.

    Raises:
        ValueError: There is no such system, or its settings are impossible.
    """
    path, variants = folder / f"{name}.flags", variants or {}
    if name not in variants and not path.exists():
        known = ", ".join(sorted([*variants, *(file.stem for file in folder.glob("*.flags"))]))
        raise ValueError(
            f"`systems` must be names of flagfiles in {folder} or of variants. Got {name!r}. Fix: "
            f"write {path}, or choose one of {known}."
        )
    shared, own = f"--flagfile={common}", variants.get(name, [f"--flagfile={path}"])
    config, label, complete = resolve([shared, *own])
    if isinstance(tuned, str):
        chosen = pathlib.Path(tuned) / f"{config.model.name}.flags"
        tuned = [f"--flagfile={chosen}"] if tuned and chosen.exists() else []
    elif complete and tuned:
        raise ValueError(
            f"`systems` must not be tuned where they have all their settings (--complete). Got "
            f"{name!r}. Fix: leave it out of --systems."
        )
    config = resolve(own if complete else [shared, *tuned, *own]).config
    try:
        run_checks.check(make_run_config(config, "dataset", "run", 1))
    except ValueError as error:
        raise ValueError(f"{name if name in variants else path}: {error}") from error
    return System(name, label or name, config if complete else with_all_epochs(config))


def with_all_epochs(config: Config) -> Config:
    """Give a model that is only pre-trained the epochs of pre-training and fine-tuning together.

    So every system may pass over the groups of a task equally often, whether it is trained on both
    tasks and then on one, on one alone (`phases.plan`), or on both in a single training.

    Example:
        >>> from user_tf.config import TrainConfig
        >>> with_all_epochs(Config()).train.pretrain_epochs
        10
        >>> joint = Config(train=TrainConfig(phases=("pretrain",)))
        >>> with_all_epochs(joint).train.pretrain_epochs
        15
    """
    train = config.train
    if train.phases != ("pretrain",):
        return config
    epochs = train.pretrain_epochs + train.finetune_epochs
    return dataclasses.replace(config, train=dataclasses.replace(train, pretrain_epochs=epochs))


def make_run_config(config: Config, dataset: str, run: str, seed: int) -> Config:
    """Return the settings of one run of a system."""
    data: DataConfig = dataclasses.replace(config.data, dataset=dataset)
    runtime = dataclasses.replace(config.runtime, seed=seed)
    return dataclasses.replace(config, data=data, run=run, runtime=runtime)


def make_flags(config: Config, base: Config | None = None) -> list[str]:
    """Return the flags that turn `base` into `config`. Default of `base`: all defaults.

    Example:
        >>> from user_tf.config import ModelConfig, TrainConfig
        >>> train = TrainConfig(phases=("search",))
        >>> make_flags(Config(model=ModelConfig(width=8, knrm=False), train=train))
        ['--model.width=8', '--nomodel.knrm', '--train.phases=search']
    """
    base = Config() if base is None else base
    found = []
    for name, _, _ in flagtree.leaves(Config):
        value = operator.attrgetter(name)(config)
        if value != operator.attrgetter(name)(base):
            found.append(_flag(name, value))
    return found


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}=" + (",".join(value) if isinstance(value, tuple) else str(value))
