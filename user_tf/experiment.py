"""Runs a grid of systems and seeds on one dataset, each run in a folder of its own.

    python -m user_tf.experiment --flagfile=configs/experiments/table2.flags

A system is a flagfile in configs/systems. A finished run is not done again, one that was
interrupted goes on, one that fails does not stop the others. Grids of the same dataset may share
--runs, so that a system of several tables is trained once. Writes

    RUNS/grid.json               systems and runs, before the first run begins
    RUNS/<system>/seed<n>/       run folder of user_tf.train, with its evaluation and cost.json
    RUNS/<system>/seed<n>.txt    what the run's commands printed
    RUNS/results.json            mean and spread over the seeds of every system
"""

import functools
import pathlib
import shlex
import signal
import sys

from absl import app

from data_pipeline.common import flagtree
from user_tf.experiments import commands, grid_run, grids, results
from user_tf.experiments.systems import make_run_config
from user_tf.run_folder import write_json

RESULTS = "results.json"


def main(arguments: list[str]) -> None:
    """Runs what is missing of the grid of the parsed flags; see the module's text."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Settings should be flags. Received: {arguments[1:]}. Write --name=value."
        )
    settings = flagtree.read(grids.GridSettings)
    try:
        grids.check(settings)
        systems = grids.read_systems(settings)
        command = "python -m user_tf.experiment " + shlex.join(sys.argv[1:])
        grid = grids.describe(settings, systems, command)
    except ValueError as error:
        raise app.UsageError(str(error)) from error
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
                    grid_run.train_and_evaluate, config, settings.split, settings.truth
                )
    # A killed call stops its commands, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = commands.run_all(jobs, settings.parallel)
    write_json(folder / RESULTS, results.collect(grid, folder))
    commands.say(f"written: {folder / RESULTS}")
    if failed:
        sys.exit(
            f"{len(failed)} of {len(jobs)} runs failed: {', '.join(sorted(failed))}. The same "
            "command goes on with them."
        )


if __name__ == "__main__":
    flagtree.define(grids.GridSettings)
    app.run(main)
