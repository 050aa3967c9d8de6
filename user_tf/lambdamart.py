"""Fit LambdaMART on a dataset and evaluate it like every other system.

    python -m user_tf.lambdamart --data.dataset=DATASET --run=RUN --split=test --seed=1

`user_tf.experiments.lambdamart_system` describes the columns and the choice of settings. Writes
RUN/config.json, RUN/lambdamart.json (the chosen settings, and in how many seconds) and the files of
user_tf.evaluate: RUN/evaluation/SPLIT.json and SPLIT-queries.parquet. LightGBM is an optional
dependency: pip install '.[evidence]'.
"""

import shlex
import sys

from data_pipeline.common import command_line, flagtree
from user_tf.experiments import lambdamart_system


def main(arguments: list[str]) -> None:
    """Run the command line; TensorFlow is imported after the flags are parsed."""
    settings = flagtree.read(lambdamart_system.LambdaMartSettings)
    lambdamart_system.import_lightgbm()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    command = "python -m user_tf.lambdamart " + shlex.join(sys.argv[1:])
    content = lambdamart_system.run_lambdamart(settings, command)
    from user_tf.evaluation import system

    print(system.describe(content), flush=True)


def run() -> None:
    """Define the flags and run `main`; importing this file defines none."""
    flagtree.define(lambdamart_system.LambdaMartSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
