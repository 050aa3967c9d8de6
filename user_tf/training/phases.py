"""What each phase trains on and for how long, and when it stops."""

import dataclasses

from data_pipeline.common.codes import TASK_LABELS
from user_tf.config import Config
from user_tf.training.checkpoints import Position

PRETRAIN = "pretrain"
PHASES = (PRETRAIN, *TASK_LABELS)


@dataclasses.dataclass(frozen=True)
class Phase:
    """One training of one model.

    Attributes:
        name: `pretrain`, `search` or `recommendation`.
        number: Its number, part of every seed, so that phases draw differently.
        tasks: Tasks trained on; the validation MAP is their mean.
        epochs: Largest number of epochs.
        learning_rate: Of Adam.
        start: Phase whose best weights it starts from; empty: from scratch.
    """

    name: str
    number: int
    tasks: tuple[str, ...]
    epochs: int
    learning_rate: float
    start: str


def phase_of(config: Config, name: str) -> Phase:
    """The plan of phase `name`: fine-tuning where there is a pre-trained model, else training.

    Example:
        >>> phase_of(Config(), "search").start
        'pretrain'
    """
    train = config.train
    tasks = TASK_LABELS if name == PRETRAIN else (name,)
    finetune = name != PRETRAIN and PRETRAIN in train.phases
    return Phase(
        name=name,
        number=PHASES.index(name),
        tasks=tasks,
        epochs=train.finetune_epochs if finetune else train.pretrain_epochs,
        learning_rate=train.finetune_learning_rate if finetune else train.learning_rate,
        start=PRETRAIN if finetune else "",
    )


def seed_of(config: Config, phase: Phase) -> int:
    """A seed of its own for every phase of a run.

    Example:
        >>> seed_of(Config(), phase_of(Config(), "pretrain"))
        3
    """
    return config.runtime.seed * len(PHASES) + phase.number


def evaluation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """Steps of an epoch, from 1, after which to evaluate: evenly spaced, the last one included.

    Example:
        >>> sorted(evaluation_steps(10, 4))
        [3, 5, 8, 10]
    """
    return frozenset(-(-steps * part // evaluations) for part in range(1, evaluations + 1))


def note_score(position: Position, score: float) -> bool:
    """Counts an evaluation; True where it is the best so far.

    Example:
        >>> position = Position("pretrain", step=7)
        >>> note_score(position, 0.5), note_score(position, 0.5), position.waited
        (True, False, 1)
    """
    if score > position.best:
        position.best, position.best_step, position.waited = score, position.step, 0
        return True
    position.waited += 1
    return False
