"""Trainer: what the phases of a run share, since every phase trains the same model from other weights.

Tracing and compiling a step takes longer than building a model. So there is one model, one step and
one validation forward for all phases; a phase begins by giving them its initial state.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf import run_folder
from user_tf.config import Config
from user_tf.evaluation import evaluated_targets
from user_tf.training import process
from user_tf.training.phases import Phase
from user_tf.training.steps.optimizer import SummedGradientAdam
from user_tf.training.steps.replicas import Replicas, Step, StepSettings


class Trainer:
    """Model, optimizer and compiled functions of a run.

    Attributes:
        replicas: The devices.
        model: The ranker in training, after the first `start`.
        optimizer: Adam, built for it.

    Args:
        config: Settings of the run.
        dataset: Opened dataset.
        replicas: Devices to train on.
    """

    model: keras.Model
    optimizer: SummedGradientAdam

    def __init__(self, config: Config, dataset: Dataset, replicas: Replicas) -> None:
        self._config, self._dataset = config, dataset
        self.replicas = replicas
        self._is_built = False
        self._step: Step | None = None
        self._forward: Callable[[Mapping[str, Any]], Any] | None = None

    @functools.cached_property
    def validation_targets(self) -> evaluated_targets.Targets:
        """Return what validation compares scores with."""
        return evaluated_targets.load(self._dataset, "validation")

    def start(self, phase: Phase) -> None:
        """Give model and optimizer the state of new ones, by the seed of a phase."""
        # A phase starts the same way whether or not this process trained others before.
        process.seed_process(phase.seed)
        with self.replicas.scope():
            new = run_folder.build_model(self._config, self._dataset)
            if not self._is_built:
                self.model, self._is_built = new, True
                self.optimizer = SummedGradientAdam(learning_rate=phase.learning_rate)
                self.optimizer.build(self.model.trainable_variables)
                return
        for variable, value in zip(self.model.variables, new.variables, strict=True):
            variable.assign(value)
        for variable in self.optimizer.variables:
            variable.assign(variable.value * 0)
        self.optimizer.learning_rate = phase.learning_rate

    def step(self, stream: Any) -> Step:
        """Return the compiled step; a stream is one of `Replicas.distribute`."""
        if self._step is None:
            train, runtime = self._config.train, self._config.runtime
            settings = StepSettings(
                train.clip_norm, runtime.jit, train.embedding_updates == "touched"
            )
            self._step = self.replicas.make_step(self.model, self.optimizer, stream, settings)
        return self._step

    def forward(self, batches: Any) -> Callable[[Mapping[str, Any]], Any]:
        """Return the compiled `batch -> scores [T, C]` without dropout."""
        if self._forward is None:
            self._forward = self.replicas.make_forward(self.model, batches)
        return self._forward
