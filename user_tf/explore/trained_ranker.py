"""A trained run as a ranker of single targets."""

import dataclasses
import functools
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data_pipeline.batching import spec
from user_tf import run_folder
from user_tf.config import Config
from user_tf.explore.reasons import Reasons, compute, reasons_of
from user_tf.explore.target_catalogue import Target
from user_tf.explore.target_windows import Windows
from user_tf.training import phases

_REMEMBERED = 256


@dataclasses.dataclass(frozen=True)
class TargetRanking:
    """The scores of a target's candidates by one ranker.

    Attributes:
        label: Name of the ranker.
        scores: In original order.
        reasons: Why.
    """

    label: str
    scores: tuple[float, ...]
    reasons: Reasons


class TrainedRanker:
    """The models of a run, one a task; each is loaded once.

    Args:
        folder: Folder made by `user_tf.train`.
        label: Name on the page.
        windows: Windows of the run's dataset.
        compiled: Whether TensorFlow compiles each model at its first target, which takes seconds;
            later ones then take a tenth of a second instead of one. Default: False.

    Raises:
        FileNotFoundError: The folder is no run, or a model has no weights.
    """

    def __init__(
        self, folder: pathlib.Path, label: str, windows: Windows, compiled: bool = False
    ) -> None:
        self.label = label
        self._windows = windows
        self._config = Config.load(folder)
        self.scenario = self._config.data.scenario
        by_task = phases.by_task(self._config)
        # Two tasks may share a phase, and so its model.
        models = {phase: self._load(folder, phase, compiled) for phase in set(by_task.values())}
        self._models = {task: models[phase] for task, phase in by_task.items()}
        self.tasks: Sequence[str] = tuple(self._models)
        self._lock = threading.Lock()
        self._ranked = functools.lru_cache(_REMEMBERED)(self._rank)

    def _load(self, folder: pathlib.Path, phase: str, compiled: bool) -> tuple[Any, Any]:
        """Return the model of a phase, and `compute` of it."""
        dataset = self._windows.dataset
        model = run_folder.load_model(folder, phase, dataset.path)[0]
        function = functools.partial(compute, model)
        return model, _compile(function, model.sizes) if compiled else function

    def rank(self, target: Target) -> TargetRanking:
        """Return scores and reasons of a target; see `rankers.TargetRanker`."""
        return self._ranked(target)

    def _rank(self, target: Target) -> TargetRanking:
        if target.task not in self._models:
            raise ValueError(
                f"`run` must be trained on {target.task} to rank this target. Got {self.label!r}, "
                f"trained on {' and '.join(self._models)}. Fix: choose a target of its task, or "
                "another run."
            )
        with self._lock:
            batch = self._windows.batch(target, self.scenario, self._config.data.batch)
            if batch is None:
                raise ValueError(
                    f"`target` must be in the windows of the scenario {self.scenario}. "
                    f"Got {target.target_id}, which is not. Fix: choose another target."
                )
            model, function = self._models[target.task]
            found = function(batch)
            reasons = reasons_of(function, found, model, batch, self._windows.dataset, self.label)
        scores = np.asarray(found["scores"], np.float64)[0, : len(target.candidates)]
        return TargetRanking(self.label, tuple(scores.tolist()), reasons)


def _compile(function: Callable[[Any], Any], sizes: Any) -> Any:
    """Return a compiled function of Batches of any number of rows; `sizes` are the dataset's."""
    fields = spec.batch_fields(sizes)
    signature = {name: tf.TensorSpec(shape, kind) for name, (shape, kind) in fields.items()}
    return tf.function(function, input_signature=[signature], autograph=False)
