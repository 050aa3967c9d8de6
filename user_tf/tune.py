"""Try the same few settings for every system and keep the best on validation.

    python -m user_tf.tune --flagfile=configs/tuning/simulated.flags

Every system has the same budget: the common settings, and a few others drawn once for all of them
(learning rate, dropout, width, initial weights), each trained with one seed. No test target is
read. A finished training is kept. Writes

    RUNS/<system>/trial<n>/     run folder of user_tf.train
    RUNS/tuning.json            flags and validation MAP of every trial, and the chosen one
    OUTPUT/<ranker>.flags       the chosen flags, which `user_tf.experiment --tuned=OUTPUT` reads
"""

import shlex
import sys

from data_pipeline.common import command_line, flagtree
from user_tf.experiments import tuning


def main(arguments: list[str]) -> None:
    """Tune the systems of the parsed flags."""
    settings = flagtree.read(tuning.TuneSettings)
    trials, runs = tuning.plan(settings)
    command = "python -m user_tf.tune " + shlex.join(sys.argv[1:])
    if failure := tuning.run_trials(settings, trials, runs, command):
        sys.exit(failure)


if __name__ == "__main__":
    flagtree.define(tuning.TuneSettings)
    command_line.run(main)
