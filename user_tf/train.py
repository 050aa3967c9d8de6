"""Train USER: unified pre-training, then a fine-tuned copy for each task.

    python -m user_tf.train --flagfile=configs/train/quickstart.flags --data.dataset=DATA --run=RUN

Rerun the same command to resume a killed one. `user_tf.run_folder` lists the files of the run folder.
"""

import os

from data_pipeline.common import command_line, flagtree
from user_tf import run_folder
from user_tf.config import Config
from user_tf.training.run_checks import check

ESSENTIALS = (
    "run",
    "data.dataset",
    "data.scenario",
    "data.batch.windows_per_batch",
    "model.name",
    "model.width",
    "model.dropout",
    "train.phases",
    "train.pretrain_epochs",
    "train.finetune_epochs",
    "train.learning_rate",
    "train.patience",
    "runtime.strategy",
    "runtime.seed",
)
"""Settings that --help lists; --helpfull lists all of them."""


def main(arguments: list[str]) -> None:
    """Run the command; Keras is imported after the flags are checked, on the back end they name."""
    config = flagtree.read(Config)
    check(config)
    run_folder.check_run(config)
    os.environ["KERAS_BACKEND"] = config.runtime.backend
    from user_tf.api.fit import train_run

    train_run(config)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(Config, essentials=ESSENTIALS)
    command_line.run(main)


if __name__ == "__main__":
    run()
