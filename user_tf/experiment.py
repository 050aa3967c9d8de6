"""Run a grid of systems and seeds on one dataset, each run in a folder of its own.

    python -m user_tf.experiment --flagfile=configs/experiments/table2.flags

A system is a flagfile in configs/systems or a variant of a table such as
configs/experiments/departures.toml. A finished run is kept, an interrupted one resumes, and one
that fails does not stop the others. Grids of the same dataset may share --runs, so that a system of
several tables is trained once. Writes

    RUNS/grid.json               systems and runs, before the first run starts
    RUNS/<system>/seed<n>/       run folder of user_tf.train, with its evaluation and cost.json
    RUNS/<system>/seed<n>.txt    output of the run's commands
    RUNS/results.json            mean and spread over the seeds of every system
"""

import shlex
import sys

from data_pipeline.common import command_line, flagtree
from user_tf.experiments import grid_run, grids


def main(arguments: list[str]) -> None:
    """Run what is missing of the grid of the parsed flags."""
    settings = flagtree.read(grids.GridSettings)
    command = "python -m user_tf.experiment " + shlex.join(sys.argv[1:])
    grids.check(settings)
    systems = grids.read_systems(settings)
    grid = grids.describe(settings, systems, command)
    if failure := grid_run.run_grid(settings, systems, grid):
        sys.exit(failure)


if __name__ == "__main__":
    flagtree.define(grids.GridSettings)
    command_line.run(main)
