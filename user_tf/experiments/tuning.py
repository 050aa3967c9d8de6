"""The same small search of settings for every system, decided on validation."""

import dataclasses
import functools
import json
import pathlib
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import qmc

from data_pipeline.common.flagtree import setting
from data_pipeline.common.output_folder import FolderLock
from user_tf.config import Config
from user_tf.experiments.commands import call, run_all, say, stop_when_killed
from user_tf.experiments.systems import make_flags, make_run_config, read_system, resolve
from user_tf.run_folder import DONE, find_dataset, write_json
from user_tf.training import phases

RESULT = "tuning.json"
LEARNING_RATES = (0.5, 1.0, 2.0)
"""Factors of the common learning rate."""
DROPOUTS = (0.0, 0.1, 0.3)
WIDTHS = (1, 2)
"""Factors of the common width, of a head's and of the feed-forward part's."""
STARTS = ("average", "glorot")


@dataclasses.dataclass(frozen=True)
class TuneSettings:
    """Settings of `python -m user_tf.tune`."""

    dataset: str = setting(
        "",
        "Folder of the prepared dataset; not that of the results, if another can be had.",
        path=True,
    )
    common: str = setting(
        "configs/train/user.flags",
        "Flagfile of the settings all systems share: the first trial.",
        path=True,
    )
    folder: str = setting("configs/systems", "Folder of the systems' flagfiles.", path=True)
    systems: tuple[str, ...] = dataclasses.field(
        default=("user",), metadata={"help": "Systems to tune, one for each ranker."}
    )
    trials: int = setting(4, "Trials of each system, the common settings among them.")
    seed: int = setting(1, "Seed of the trials drawn and of every training.")
    runs: str = setting("", "Folder of the trials' runs.", path=True)
    output: str = setting("", "Folder of the flagfiles to write, one a ranker.", path=True)
    parallel: int = setting(2, "Trainings at a time, each on its share of the cores.")


def changes(common: Config, number: int, seed: int) -> list[list[str]]:
    """Return the flags of each trial, the same for all systems; the first has none.

    The others are drawn as a Latin hypercube, so that every value of a setting is used.

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
        raise ValueError(f"`trials` must be at least 1. Got {number}. Fix: set --trials.")
    space: tuple[Sequence[Any], ...] = (LEARNING_RATES, DROPOUTS, WIDTHS, STARTS)
    drawn = qmc.LatinHypercube(len(space), rng=np.random.default_rng(seed)).random(number - 1)
    trials = [
        [values[int(place * len(values))] for values, place in zip(space, places, strict=True)]
        for places in drawn
    ]
    return [[], *(make_flags(_changed(common, *trial), common) for trial in trials)]


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
    """Return the mean over tasks of a run's best validation MAP; None before it is trained.

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
    """Train one trial or resume it; a finished one is kept.

    Args:
        config: Settings of its run.
        cores: Cores to run on.

    Returns:
        A line with seconds and MAP.

    Raises:
        RuntimeError: The training failed; the error names the file with its output.
        ValueError: A finished trial was trained on another dataset.
    """
    if validation_map(config) is not None:
        find_dataset(pathlib.Path(config.run), config.data.dataset)
        return "done before"
    log = pathlib.Path(config.run).with_suffix(".txt")
    cost = call(shlex.join(["user_tf.train", *make_flags(config)]), log, cores)
    return f"{cost.seconds:.0f} s, validation MAP {validation_map(config):.4f}"


def best(maps: Sequence[float | None]) -> int:
    """Return the number of the trial with the largest MAP, the earliest of equals.

    Raises:
        ValueError: A trial is not finished, so that the budget would not be the same.

    Example:
        >>> best([0.5, 0.6, 0.6])
        1
    """
    finished = [value for value in maps if value is not None]
    if len(finished) < len(maps):
        raise ValueError(
            f"`maps` must hold all trials of a system. Got {len(finished)} of {len(maps)}. Fix: "
            "rerun the same command to train the others."
        )
    return finished.index(max(finished))


def flagfile(flags: Sequence[str], maps: Sequence[float], command: str) -> str:
    """Return the text of the flagfile of a ranker's chosen settings.

    Args:
        flags: Of the chosen trial.
        maps: Validation MAP of each trial, the common settings' first.
        command: Command line of the tuning.

    Example:
        >>> print(flagfile(["--model.dropout=0.3"], [0.5, 0.6], "python -m user_tf.tune"), end="")
        # Command: python -m user_tf.tune
        # Result: best of 2 trials on validation: MAP 0.6000, with the common settings 0.5000.
        --model.dropout=0.3
    """
    lines = [
        f"# Command: {command}",
        f"# Result: best of {len(maps)} trials on validation: MAP {max(maps):.4f}, with the common "
        f"settings {maps[0]:.4f}.",
        *flags,
    ]
    return "\n".join(lines) + "\n"


def summary(system: str, trials: Sequence[Sequence[str]], runs: Sequence[Config]) -> dict[str, Any]:
    """Return the entry of a system in tuning.json: flags and MAP of its trials, the chosen one.

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


def plan(settings: TuneSettings) -> tuple[list[list[str]], dict[str, list[Config]]]:
    """Return the flags of each trial, and by system the settings of its runs.

    Raises:
        ValueError: A folder is not given, or a flagfile is impossible.
    """
    for name in ("dataset", "runs", "output"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` must name a folder. Got ''. Fix: set --{name}.")
    common = resolve([f"--flagfile={settings.common}"]).config
    trials = changes(common, settings.trials, settings.seed)
    folder = pathlib.Path(settings.runs)
    runs: dict[str, list[Config]] = {}
    for name in settings.systems:
        runs[name] = []
        for number, flags in enumerate(trials):
            system = read_system(name, pathlib.Path(settings.folder), settings.common, flags)
            run = str(folder / name / f"trial{number}")
            runs[name].append(make_run_config(system.config, settings.dataset, run, settings.seed))
    return trials, runs


def run_trials(
    settings: TuneSettings,
    trials: Sequence[Sequence[str]],
    runs: Mapping[str, Sequence[Config]],
    command: str,
) -> str:
    """Train all trials, write tuning.json and the chosen flagfiles.

    Args:
        settings: Settings of the tuning.
        trials, runs: Result of `plan`.
        command: Command line, written into the files.

    Returns:
        A sentence about the trainings that failed; empty if none did.

    Raises:
        FolderInUse: Another process tunes in one of the folders.
    """
    stop_when_killed()
    with FolderLock(settings.runs, "runs"), FolderLock(settings.output):
        return _run_missing(settings, trials, runs, command)


def _run_missing(
    settings: TuneSettings,
    trials: Sequence[Sequence[str]],
    runs: Mapping[str, Sequence[Config]],
    command: str,
) -> str:
    from user_tf.evaluation import metrics_table

    jobs = {
        f"{name}/trial{number}": functools.partial(train_trial, config)
        for name, configs in runs.items()
        for number, config in enumerate(configs)
    }
    if failed := run_all(jobs, settings.parallel):
        return (
            f"{len(failed)} of {len(jobs)} trainings failed: {', '.join(sorted(failed))}. Rerun "
            "the same command to continue."
        )
    folder, output = pathlib.Path(settings.runs), pathlib.Path(settings.output)
    systems = [summary(name, trials, configs) for name, configs in runs.items()]
    provenance = metrics_table.provenance(command, settings.seed)
    write_json(folder / RESULT, {**provenance, "common": settings.common, "systems": systems})
    output.mkdir(parents=True, exist_ok=True)
    for entry in systems:
        maps = [trial["validation_map"] for trial in entry["trials"]]
        text = flagfile(trials[entry["chosen"]], maps, command)
        (output / f"{entry['ranker']}.flags").write_text(text, encoding="utf-8")
        say(f"{entry['system']}: {shlex.join(trials[entry['chosen']]) or 'as common'}")
    say(f"written: {folder / RESULT} and {output}/*.flags")
    return ""
