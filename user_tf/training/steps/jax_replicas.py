"""Replicas under JAX: the chips of this machine."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import keras
import numpy as np
import tensorflow as tf

from user_tf.config import RuntimeConfig
from user_tf.training.steps.jax_step import AXIS, device_fields, make_jax_step
from user_tf.training.steps.replicas import BatchesOfWorker, Step, StepSettings
from user_tf.training.steps.same_sizes import pad_together


class JaxReplicas:
    """The devices of JAX in this process; the methods are those of `Replicas`.

    Attributes:
        count: Replicas: one, or with `mirrored` every device of the machine.
        processes: 1.
        chief: True.

    Args:
        runtime: `strategy` is used.
    """

    processes = 1
    chief = True

    def __init__(self, runtime: RuntimeConfig) -> None:
        devices = jax.devices()
        if runtime.strategy == "one_device":
            devices = devices[:1]
        self.count = len(devices)
        self._mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def distribute(self, batches: BatchesOfWorker) -> "_Steps":
        return _Steps(pad_together(batches(0, 1, self.count), self.count))

    def make_step(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        stream: Any,
        settings: StepSettings,
    ) -> Step:
        return make_jax_step(model, optimizer, self._mesh, settings)

    def make_forward(self, model: keras.Model, batches: Any) -> Callable[[Mapping[str, Any]], Any]:
        @jax.jit
        def forward(weights: Any, rest: Any, batch: Any) -> Any:
            return model.stateless_call(weights, rest, batch, training=False)[0]

        def score(batch: Mapping[str, Any]) -> Any:
            arrays = {name: np.asarray(value) for name, value in batch.items()}
            return forward(
                [variable.value for variable in model.trainable_variables],
                [variable.value for variable in model.non_trainable_variables],
                device_fields(arrays),
            )

        return score

    def first_batch(self, element: Any) -> dict[str, Any]:
        return {name: value[0] for name, value in element.items()}

    def total(self, values: Sequence[float]) -> list[float]:
        return list(values)


class _Steps:
    """A stream of steps as NumPy arrays, each with a leading axis of the replicas."""

    def __init__(self, steps: tf.data.Dataset) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._steps.as_numpy_iterator()
