"""Run the systems and seeds of a grid by the ordinary commands, except what is finished."""

import dataclasses
import functools
import json
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

from data_pipeline.common.output_folder import FolderLock
from user_tf.config import Config
from user_tf.experiments import grids, results
from user_tf.experiments.commands import call, run_all, say, stop_when_killed
from user_tf.experiments.systems import System, make_flags, make_run_config
from user_tf.run_folder import write_json

_LAMBDAMART = "lambdamart"


def list_commands(config: Config, split: str, truth: str = "") -> list[list[str]]:
    """Return the modules that make a run and its evaluation, with their flags.

    Example:
        >>> from user_tf.config import DataConfig
        >>> for command in list_commands(Config(run="run", data=DataConfig(dataset="data")), "test"):
        ...     print(*command)
        user_tf.train --run=run --data.dataset=data
        user_tf.evaluate --run=run --split=test
    """
    evaluation = [f"--run={config.run}", f"--split={split}"]
    if truth:
        evaluation.append(f"--truth={truth}")
    if config.model.name == _LAMBDAMART:
        data = [flag for flag in make_flags(config) if flag.startswith(("--data.", "--nodata."))]
        return [["user_tf.lambdamart", *data, f"--seed={config.runtime.seed}", *evaluation]]
    return [["user_tf.train", *make_flags(config)], ["user_tf.evaluate", *evaluation]]


def train_and_evaluate(config: Config, split: str, truth: str, cores: list[int]) -> str:
    """Make the run `config.run` or resume it; a finished one is kept.

    The commands' output goes to `RUN.txt`, their cost to `RUN/cost.json`.

    Args:
        config: Settings of the run.
        split: Targets to evaluate.
        truth: Parquet of the simulator's truth; empty: unknown.
        cores: Cores to run on.

    Returns:
        A line with the run's seconds and MAP.

    Raises:
        RuntimeError: A command failed; the error names the file with its output.
    """
    run = pathlib.Path(config.run)
    if results.is_done(run, split):
        return "done before"
    seconds = 0.0
    for module, *flags in list_commands(config, split, truth):
        cost = call(shlex.join([module, *flags]), run.with_suffix(".txt"), cores)
        seconds += cost.seconds
        write_json(run / results.COST, results.read_cost(run) | {module: dataclasses.asdict(cost)})
    content = json.loads(results.evaluation_path(run, split).read_text(encoding="utf-8"))
    maps = [
        f"{task} MAP {part['rankings'][content['model']]['metrics']['map']:.4f}"
        for task, part in content["tasks"].items()
    ]
    return ", ".join([f"{seconds:.0f} s", *maps])


def run_grid(
    settings: grids.GridSettings, systems: Sequence[tuple[System, int]], grid: dict[str, Any]
) -> str:
    """Write grid.json, make all runs and write results.json.

    Args:
        settings: Settings of the grid.
        systems: Result of `grids.read_systems`.
        grid: Result of `grids.describe`.

    Returns:
        A sentence about the runs that failed; empty if none did.

    Raises:
        FolderInUse: Another process runs a grid in the folder.
    """
    stop_when_killed()
    with FolderLock(settings.runs, "runs"):
        return _run_missing(settings, systems, grid)


def _run_missing(
    settings: grids.GridSettings, systems: Sequence[tuple[System, int]], grid: dict[str, Any]
) -> str:
    folder = pathlib.Path(settings.runs)
    write_json(folder / grids.GRID, grid)
    jobs = {}
    # Seed by seed, so that every system has a first result early.
    for seed in range(1, max(seeds for _, seeds in systems) + 1):
        for system, seeds in systems:
            if seed <= seeds:
                name = f"{system.name}/seed{seed}"
                config = make_run_config(system.config, settings.dataset, str(folder / name), seed)
                jobs[name] = functools.partial(
                    train_and_evaluate, config, settings.split, settings.truth
                )
    failed = run_all(jobs, settings.parallel)
    write_json(folder / results.RESULTS, results.collect(grid, folder))
    say(f"written: {folder / results.RESULTS}")
    if not failed:
        return ""
    return (
        f"{len(failed)} of {len(jobs)} runs failed: {', '.join(sorted(failed))}. Rerun the same "
        "command to continue."
    )
