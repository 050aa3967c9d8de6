"""A system of a table: a flagfile that says what it is, after the settings all systems share.

--undefok=label           (so that user_tf.train reads the file, too)
--label=HTPS
--model.name=htps
--data.scenario=search
--train.phases=search
"""

import dataclasses
import operator
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from data_pipeline.common import flagtree
from user_tf import config as configuration
from user_tf.config import Config, DataConfig


@dataclasses.dataclass(frozen=True)
class System:
    """What is trained under one name.

    Attributes:
        name: Name of its flagfile and of its folder of runs.
        label: Name in tables.
        config: Its settings; dataset, folder and seed are a run's.
    """

    name: str
    label: str
    config: Config


def resolve(arguments: Sequence[str]) -> tuple[Config, str]:
    """Settings and `--label` that flags and flagfiles give; the later ones win.

    Raises:
        ValueError: A flag is unknown, has an impossible value, or a flagfile cannot be read.

    Example:
        >>> config, label = resolve(["--label=NRMS", "--model.name=nrms"])
        >>> config.model.name, config.model.width, label
        ('nrms', 100, 'NRMS')
    """
    values = flags.FlagValues()
    flagtree.define(Config, values=values)
    flags.DEFINE_string("label", "", "Name of the system in tables.", flag_values=values)
    try:
        values(["user_tf.train", *arguments])
    except flags.Error as error:
        raise ValueError(f"{' '.join(arguments)}: {error}") from error
    return flagtree.read(Config, values=values), str(values["label"].value)


def read_system(
    name: str, folder: pathlib.Path, common: str, tuned: Sequence[str] | str = ()
) -> System:
    """Reads `folder/NAME.flags` after the flagfile `common` and what its ranker was tuned to.

    Args:
        name: Name of the system.
        folder: Folder of the systems' flagfiles.
        common: Flagfile of the settings all systems share.
        tuned: Flags; or the folder of flagfiles `user_tf.tune` wrote, of which that of the system's
            ranker is read: an ablation has the settings of the whole. A ranker without one was not
            tuned.

    Raises:
        ValueError: There is no such file, or its settings are impossible.
    """
    path = folder / f"{name}.flags"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.flags")))
        raise ValueError(
            f"`systems` should be names of flagfiles in {folder}. Received: {name!r}. Write {path}, "
            f"or choose one of: {known}."
        )
    shared, own = f"--flagfile={common}", f"--flagfile={path}"
    config, label = resolve([shared, own])
    if isinstance(tuned, str):
        chosen = pathlib.Path(tuned) / f"{config.model.name}.flags"
        tuned = [f"--flagfile={chosen}"] if tuned and chosen.exists() else []
    config, _ = resolve([shared, *tuned, own])
    try:
        configuration.check(make_run_config(config, "dataset", "run", 1))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return System(name, label or name, with_all_epochs(config))


def with_all_epochs(config: Config) -> Config:
    """Gives a model that is trained once the epochs of pre-training and fine-tuning together.

    So every system may pass as often over the groups of a task, whether it is trained on both
    tasks and then on one, on one alone, or on both in a single training.

    Example:
        >>> from user_tf.config import TrainConfig
        >>> with_all_epochs(Config()).train.pretrain_epochs
        10
        >>> single = Config(train=TrainConfig(phases=("search",)))
        >>> with_all_epochs(single).train.pretrain_epochs
        15
    """
    train = config.train
    if "pretrain" in train.phases and len(train.phases) > 1:
        return config
    epochs = train.pretrain_epochs + train.finetune_epochs
    return dataclasses.replace(config, train=dataclasses.replace(train, pretrain_epochs=epochs))


def make_run_config(config: Config, dataset: str, run: str, seed: int) -> Config:
    """The settings of one run of a system."""
    data: DataConfig = dataclasses.replace(config.data, dataset=dataset)
    runtime = dataclasses.replace(config.runtime, seed=seed)
    return dataclasses.replace(config, data=data, run=run, runtime=runtime)


def make_flags(config: Config, base: Config | None = None) -> list[str]:
    """The flags that make `config` of `base`. Default of `base`: every setting's default.

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
