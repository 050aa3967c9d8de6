"""One phase of training, from initial weights to the best weights on disk."""

import gc
import math

import keras

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.config import Config
from user_tf.training import phases
from user_tf.training.phase_training import PhaseTraining
from user_tf.training.stopping import StopRequest
from user_tf.training.trainer import Trainer


def train_phase(
    config: Config,
    phase: phases.Phase,
    dataset: Dataset,
    trainer: Trainer,
    steps_left: float = math.inf,
    stop: StopRequest | None = None,
) -> tuple[int, bool]:
    """Train one phase, or resume it, until early stopping or its last epoch.

    Args:
        config: Settings of the run, whose folder exists.
        phase: Plan of the phase.
        dataset: Opened dataset.
        trainer: Trainer of the run.
        steps_left: Steps this call may still do; the phase then stops as if killed. Default: no
            limit.
        stop: Once it is asked for, the phase saves after the step under way and stops. Default:
            never.

    Returns:
        Steps done by this call, and whether the phase is over: the same on every worker.

    Raises:
        NonFiniteLossError: Names the first step whose loss or gradient was not finite.
        FileNotFoundError: The phase it starts from left no weights.
        ValueError: `train.warm_start` is a run of another model.
    """
    training = PhaseTraining(config, phase, dataset, trainer)
    try:
        if training.starts_from_trained_weights():
            # Fine-tuning must improve on the weights it starts from, or those stay the best.
            training.validate()
        while not training.is_over():
            if not training.train_epoch(steps_left, stop or StopRequest()):
                return training.steps_done, False
            training.save()
            if not training.is_over():
                # The stream of the epoch is in a cycle of references, and holds all its windows.
                gc.collect()
    finally:
        training.journal.close()
    training.write_done()
    return training.steps_done, True


def replay(
    config: Config,
    phase: phases.Phase,
    dataset: Dataset,
    trainer: Trainer,
    step: int,
) -> keras.Model:
    """Train from the last checkpoint until a step is done; return the model.

    Args:
        config, phase, dataset, trainer: As for `train_phase`; the run is a copy, which changes.
        step: Step to stop after.
    """
    training = PhaseTraining(config, phase, dataset, trainer)
    while training.step < step:
        training.train_epoch(step - training.step + training.steps_done, StopRequest())
    training.journal.close()
    return training.model
