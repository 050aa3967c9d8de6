"""Trains USER: unified pre-training, then a fine-tuned copy a task.

    python -m user_tf.train --flagfile=configs/train/quickstart.flags --run=RUN

A killed call is taken up by the same command. Settings are those of `user_tf.config.Config`;
`user_tf.run_folder` tells what lies in the run folder.
"""

import math
import pathlib

from absl import app

from data_pipeline.common import flagtree
from user_tf import config as configuration
from user_tf.config import Config


def main(arguments: list[str]) -> None:
    """Trains the phases of the parsed flags; see the module's text."""
    # ---- Settings -----------------------------------------------------------------------------
    if len(arguments) > 1:
        raise app.UsageError(
            f"Settings should be flags. Received: {arguments[1:]}. Write --name=value."
        )
    config = flagtree.read(Config)
    try:
        configuration.check(config)
        dataset_folder = pathlib.Path(config.data.dataset)
        if not (dataset_folder / "manifest.json").exists():
            raise ValueError(
                "`data.dataset` should be a prepared dataset. Received: "
                f"{config.data.dataset!r}, which has no manifest.json. Run "
                "`python -m data_pipeline.prepare` to its end."
            )
    except ValueError as error:
        raise app.UsageError(str(error)) from error
    # TensorFlow takes seconds to import: --help and errors in flags come before it.
    train(config)


def train(config: Config) -> None:
    """Trains the phases of checked settings in this process.

    Raises:
        ValueError: The run folder belongs to other settings.
        NonFiniteLossError: Training diverged; the step is named.
    """
    # ---- Run folder ---------------------------------------------------------------------------
    from user_tf import run_folder

    run = run_folder.open_run(config)

    # ---- Devices, precision, seeds: set here only ---------------------------------------------
    from user_tf.training import phases, strategy

    strategy.prepare(config.runtime)
    distribution = strategy.make_strategy(config.runtime)

    # ---- Dataset ------------------------------------------------------------------------------
    from data_pipeline.dataset.dataset_folder import open_dataset

    dataset = open_dataset(config.data.dataset)

    # ---- Phases, in order ---------------------------------------------------------------------
    from user_tf.training.loop import train_phase

    steps_left = config.train.stop_after_steps or math.inf
    for name in config.train.phases:
        if (run / name / run_folder.DONE).exists():
            print(f"{name}: done before", flush=True)
            continue
        phase = phases.phase_of(config, name)
        if steps_left <= 0:
            print(f"{name}: not begun; the same command goes on with it", flush=True)
            return
        # A phase begins alike whether or not this call trained others before.
        strategy.seed_process(phases.seed_of(config, phase))
        steps_left -= train_phase(config, phase, dataset, distribution, steps_left)
        if not (run / name / run_folder.DONE).exists():
            print(f"{name}: stopped; the same command goes on with it", flush=True)
            return
    print(f"Trained models in {run}", flush=True)


if __name__ == "__main__":
    flagtree.define(Config)
    app.run(main)
