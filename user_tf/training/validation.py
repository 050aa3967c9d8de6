"""Validation by the one deterministic evaluator, on complete candidate lists."""

from collections.abc import Callable

import keras

from data_pipeline.batching.batches import evaluation_batches
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.config import Config
from user_tf.evaluation import evaluator
from user_tf.training.feeding import batch_settings
from user_tf.training.phases import Phase
from user_tf.training.steps.replicas import of_chief
from user_tf.training.trainer import Trainer


def make_validation(
    config: Config, phase: Phase, dataset: Dataset, trainer: Trainer
) -> Callable[[], dict[str, float]]:
    """Build the validation of a phase.

    Returns:
        Zero-argument callable that returns the MAP of every task of the phase, by its name, and
        their mean as `map`, which early stopping watches; every process returns the chief's. It raises ValueError where a task has no
        validation query with relevant and irrelevant candidates.
    """
    batches = evaluation_batches(
        dataset,
        config.data.scenario,
        "validation",
        batch_settings(config),
        tasks=phase.tasks,
        limit=config.train.validation_targets,
    )
    forward = trainer.forward(batches)

    def measure() -> dict[str, float]:
        ids, scores = evaluator.score_targets(forward, batches)
        summary = evaluator.evaluate(trainer.validation_targets, ids, scores).summary()
        maps = {}
        for task in phase.tasks:
            value = summary[task]["map"] if task in summary else None
            if value is None:
                raise ValueError(
                    f"`train.phases` with {phase.name} must have validation queries of {task} with "
                    "relevant and irrelevant candidates. Got none. Fix: leave the phase out, or "
                    "prepare a longer log."
                )
            maps[task] = value
        maps = dict(zip(maps, of_chief(trainer.replicas, list(maps.values())), strict=True))
        return {"map": sum(maps.values()) / len(maps), **maps}

    return lambda: choose_variant(trainer.model, measure)


def choose_variant(model: keras.Model, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Set a ranker to the variant of the best mean MAP and return its MAPs.

    Args:
        model: Ranker; `model.variants` names its variants, of most rankers none.
        measure: Zero-argument callable that returns the MAPs of the ranker as it is set now.
    """
    if not model.variants:
        return measure()
    found = {}
    for name in model.variants:
        model.choose_variant(name)
        found[name] = measure()
    best = max(found, key=lambda name: found[name]["map"])
    model.choose_variant(best)
    return found[best]
