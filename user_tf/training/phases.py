"""Phases of a run: the plan of each, and the one that serves a task.

Needs neither Keras nor TensorFlow, so that commands can read a run's plan before they start them.
"""

import dataclasses

from data_pipeline.common.codes import TASK_LABELS
from user_tf.config import Config

PRETRAIN = "pretrain"
PHASES = (PRETRAIN, *TASK_LABELS)


@dataclasses.dataclass(frozen=True)
class Phase:
    """One training of one model.

    Attributes:
        name: `pretrain`, `search` or `recommendation`.
        number: Its number in `PHASES`.
        seed: Seed of the phase, different in every phase and for every seed of a run.
        tasks: Tasks trained on; the validation MAP is their mean.
        epochs: Largest number of epochs.
        learning_rate: Learning rate of Adam.
        start: Phase whose best weights it starts from; empty: from scratch.
    """

    name: str
    number: int
    seed: int
    tasks: tuple[str, ...]
    epochs: int
    learning_rate: float
    start: str


def plan(config: Config, name: str) -> Phase:
    """Return the plan of phase `name`: fine-tuning after a pre-training, otherwise training.

    A model of one task that is not pre-trained may have the epochs of pre-training and fine-tuning
    together, so that it passes over the groups of its task as often as one that is pre-trained.

    Args:
        config: Settings of the run.
        name: A name of `PHASES`.

    Example:
        >>> plan(Config(), "search").start, plan(Config(), "pretrain").seed
        ('pretrain', 3)
    """
    train, number = config.train, PHASES.index(name)
    finetune = name != PRETRAIN and PRETRAIN in train.phases
    epochs = train.finetune_epochs if name != PRETRAIN else 0
    if not finetune:
        epochs += train.pretrain_epochs
    return Phase(
        name=name,
        number=number,
        seed=config.runtime.seed * len(PHASES) + number,
        tasks=TASK_LABELS if name == PRETRAIN else (name,),
        epochs=epochs,
        learning_rate=train.finetune_learning_rate if finetune else train.learning_rate,
        start=PRETRAIN if finetune else "",
    )


def serving(config: Config, task: str) -> str:
    """Return the phase whose model serves `task`: its own, otherwise the pre-trained one.

    Raises:
        ValueError: No phase of the run trains on `task`.

    Example:
        >>> serving(Config(), "search")
        'search'
    """
    for phase in (task, PRETRAIN):
        if phase in config.train.phases:
            return phase
    raise ValueError(
        f"`task` must be a task the run was trained on. Got {task!r}; the phases of the run are "
        f"{', '.join(config.train.phases)}. Fix: choose one of their tasks, or train with the "
        f"phase {task}."
    )


def by_task(config: Config) -> dict[str, str]:
    """Return the phase that serves each task the run was trained on.

    Example:
        >>> from user_tf.config import TrainConfig
        >>> by_task(Config(train=TrainConfig(phases=("pretrain", "search"))))
        {'search': 'search', 'recommendation': 'pretrain'}
    """
    trained = config.train.phases
    return {
        task: serving(config, task)
        for task in TASK_LABELS
        if task in trained or PRETRAIN in trained
    }


def evaluation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """Return the steps of an epoch, from 1, that an evaluation follows; the last is one of them.

    Args:
        steps: Steps of the epoch.
        evaluations: Evaluations in the epoch, evenly spaced.

    Example:
        >>> sorted(evaluation_steps(10, 4))
        [3, 5, 8, 10]
    """
    return frozenset(-(-steps * part // evaluations) for part in range(1, evaluations + 1))
