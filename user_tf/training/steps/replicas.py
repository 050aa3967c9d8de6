"""Replicas: the devices that share a training step, under TensorFlow or JAX."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import keras

BatchesOfWorker = Callable[[int, int, int], Any]
"""(number of a worker, workers, its replicas) -> `tf.data.Dataset` of its Batches in order."""


class StepResult(NamedTuple):
    """Scalars of a step, the same on every replica.

    Attributes:
        loss: Mean loss of the real groups of all replicas, the model's own losses included.
        groups: Number of real groups of all replicas.
        gradient_norm: Global norm of the gradient before clipping.
    """

    loss: Any
    groups: Any
    gradient_norm: Any


Step = Callable[[Any, int, tuple[int, int]], StepResult]
"""(element of a stream, number of the step, seed) -> its result.

The seed is that of the run and the number of the phase. Dropout depends on it, on the number of the
step and on the replica only.
"""


class StepSettings(NamedTuple):
    """Settings of a training step.

    Attributes:
        clip_norm: Global norm above which gradients are scaled down; 0: never.
        jit: Compile forward and gradient with XLA, once for each padded size. JAX always does.
        touched_rows: Keep the gradients of embedding tables sparse, so that the optimizer changes
            the rows of this batch only. TensorFlow without `jit` only.
    """

    clip_norm: float
    jit: bool = False
    touched_rows: bool = False


class Replicas(Protocol):
    """The devices that train one model together.

    Attributes:
        count: Replicas of all processes.
        processes: Processes that train the run together.
        chief: Whether this process writes the run folder; the others only train.
    """

    count: int
    processes: int
    chief: bool

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which model and optimizer must be made."""

    def distribute(self, batches: BatchesOfWorker) -> Iterable[Any]:
        """Return the stream of steps: a Batch for each replica of this process."""

    def make_step(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        stream: Any,
        settings: StepSettings,
    ) -> Step:
        """Return the compiled step.

        The loss is the sum over the real groups of all replicas, divided by their number. So every
        group has the same weight in uneven batches, and two replicas give the result of one device.
        Losses the model adds itself (`user_tf.models.ranker.Ranker`) are part of the sum.
        """

    def make_forward(self, model: keras.Model, batches: Any) -> Callable[[Mapping[str, Any]], Any]:
        """Return the compiled `batch -> scores [T, C]` without dropout."""

    def first_batch(self, element: Any) -> dict[str, Any]:
        """Return the Batch of this process's first replica as NumPy arrays."""

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sums of numbers over the processes, when every process has called this."""


def of_chief(replicas: Replicas, values: Sequence[float]) -> list[float]:
    """Return the chief's numbers on every process, when every process has called this."""
    return replicas.total(values if replicas.chief else [0.0] * len(values))
