"""The same small search of settings for every system, decided on validation."""

import dataclasses
import json
import pathlib
import shlex
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import qmc

from data_pipeline.common.flagtree import setting
from user_tf.config import Config
from user_tf.experiments.commands import call
from user_tf.experiments.systems import flags_of
from user_tf.run_folder import DONE
from user_tf.training import phases

LEARNING_RATES = (0.5, 1.0, 2.0)
"""Factors of the common learning rate."""
DROPOUTS = (0.0, 0.1, 0.3)
WIDTHS = (1, 2)
"""Factors of the common width, of a head's and of the feed-forward part's."""
STARTS = ("average", "glorot")


@dataclasses.dataclass(frozen=True)
class TuneSettings:
    """Everything `python -m user_tf.tune` can be told."""

    dataset: str = setting(
        "", "Folder of the prepared dataset; not that of the results, if another can be had."
    )
    common: str = setting(
        "configs/train/user.flags", "Flagfile of the settings all systems share: the first trial."
    )
    folder: str = setting("configs/systems", "Folder of the systems' flagfiles.")
    systems: tuple[str, ...] = dataclasses.field(
        default=("user",), metadata={"help": "Systems to tune, one for each ranker."}
    )
    trials: int = setting(4, "Trials of each system, the common settings among them.")
    seed: int = setting(1, "Seed of the trials drawn and of every training.")
    runs: str = setting("", "Folder of the trials' runs.")
    output: str = setting("", "Folder of the flagfiles to write, one a ranker.")
    parallel: int = setting(2, "Trainings at a time, each on its share of the cores.")


def changes(common: Config, number: int, seed: int) -> list[list[str]]:
    """Flags of each trial, the same for all systems; the first has none.

    The others are drawn as a Latin hypercube: of every setting all values have their turn.

    Args:
        common: Settings all systems share.
        number: Trials.
        seed: Of the draw.

    Raises:
        ValueError: There is no trial.

    Example:
        >>> changes(Config(), 1, seed=1)
        [[]]
        >>> for trial in changes(Config(), 4, seed=1)[1:]:
        ...     print(*trial)
        --model.init_scheme=glorot --train.learning_rate=0.0005
        --model.width=200 --model.key_dim=100 --model.intermediate_dim=512 --model.dropout=0.3 --train.learning_rate=0.002
        --model.dropout=0.0
    """
    if number < 1:
        raise ValueError(f"`trials` should be at least 1. Received: {number}. Set --trials.")
    space: tuple[Sequence[Any], ...] = (LEARNING_RATES, DROPOUTS, WIDTHS, STARTS)
    drawn = qmc.LatinHypercube(len(space), rng=np.random.default_rng(seed)).random(number - 1)
    trials = [
        [values[int(place * len(values))] for values, place in zip(space, places, strict=True)]
        for places in drawn
    ]
    return [[], *(flags_of(_changed(common, *trial), common) for trial in trials)]


def _changed(common: Config, rate: float, dropout: float, width: int, start: str) -> Config:
    model = dataclasses.replace(
        common.model,
        dropout=dropout,
        width=common.model.width * width,
        key_dim=common.model.key_dim * width,
        intermediate_dim=common.model.intermediate_dim * width,
        init_scheme=start,
    )
    train = dataclasses.replace(
        common.train, learning_rate=round(common.train.learning_rate * rate, 9)
    )
    return dataclasses.replace(common, model=model, train=train)


def validation_map(config: Config) -> float | None:
    """Mean over the tasks of a run's best validation MAP; None while it is not trained.

    Args:
        config: Settings of the run.
    """
    maps = []
    for phase in phases.by_task(config).values():
        done = pathlib.Path(config.run) / phase / DONE
        if not done.exists():
            return None
        maps.append(json.loads(done.read_text(encoding="utf-8"))["best_map"])
    return statistics.fmean(maps)


def train_trial(config: Config, cores: list[int]) -> str:
    """Trains one trial, or goes on with it; a finished one is left as it is.

    Args:
        config: Settings of its run.
        cores: Cores to run on.

    Returns:
        A line about it.

    Raises:
        RuntimeError: The training failed; names the file with its output.
    """
    if validation_map(config) is not None:
        return "done before"
    log = pathlib.Path(config.run).with_suffix(".txt")
    cost = call(shlex.join(["user_tf.train", *flags_of(config)]), log, cores)
    return f"{cost.seconds:.0f} s, validation MAP {validation_map(config):.4f}"


def best(maps: Sequence[float | None]) -> int:
    """Number of the trial with the largest MAP, the earliest of equals.

    Raises:
        ValueError: A trial is not finished, so that the budget would not be the same.

    Example:
        >>> best([0.5, 0.6, 0.6])
        1
    """
    finished = [value for value in maps if value is not None]
    if len(finished) < len(maps):
        raise ValueError(
            f"All trials of a system should be trained. Received: {len(finished)} of {len(maps)}. "
            "The same command goes on with the others."
        )
    return finished.index(max(finished))


def flagfile(flags: Sequence[str], maps: Sequence[float], command: str) -> str:
    """Text of the flagfile of a ranker's chosen settings.

    Args:
        flags: Of the chosen trial.
        maps: Validation MAP of each trial, the common settings' first.
        command: Command line of the tuning.

    Example:
        >>> print(flagfile(["--model.dropout=0.3"], [0.5, 0.6], "python -m user_tf.tune"), end="")
        # Chosen on validation among 2 trials: MAP 0.6000, with the common settings 0.5000.
        # Command:  python -m user_tf.tune
        --model.dropout=0.3
    """
    lines = [
        f"# Chosen on validation among {len(maps)} trials: MAP {max(maps):.4f}, with the common "
        f"settings {maps[0]:.4f}.",
        f"# Command:  {command}",
        *flags,
    ]
    return "\n".join(lines) + "\n"


def summary(system: str, trials: Sequence[Sequence[str]], runs: Sequence[Config]) -> dict[str, Any]:
    """What tuning.json holds of a system: every trial's flags and MAP, and the chosen one's number.

    Raises:
        ValueError: As `best`.
    """
    maps = [validation_map(config) for config in runs]
    chosen = best(maps)
    return {
        "system": system,
        "ranker": runs[0].model.name,
        "chosen": chosen,
        "trials": [
            {"flags": list(flags), "validation_map": value}
            for flags, value in zip(trials, maps, strict=True)
        ],
    }
