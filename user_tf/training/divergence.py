"""Divergence: keep the batch whose loss is not finite, and find where the first such number arises."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from user_tf import run_folder
from user_tf.training.records import checkpoints
from user_tf.training.steps.replicas import StepResult
from user_tf.training.steps.tf_step import forward_loss, reseed, seed_states

BATCH = "not_finite.npz"


class NonFiniteLossError(RuntimeError):
    """A loss or gradient was not finite. The last good checkpoint is kept."""


def check_finite(
    folder: pathlib.Path, step: int, result: StepResult, batch: Callable[[], dict[str, Any]]
) -> tuple[float, int, float]:
    """Return loss, groups and gradient norm of a step.

    Args:
        folder: Folder of the phase; the batch is written there if a number is not finite.
        step: Number of the step.
        result: Scalars of the step.
        batch: Zero-argument callable that returns its Batch as NumPy arrays.

    Raises:
        NonFiniteLossError: The loss or the norm is not finite.
    """
    loss, groups, norm = (float(part) for part in result)
    if math.isfinite(loss) and math.isfinite(norm):
        return loss, int(groups), norm
    np.savez(folder / BATCH, **batch(), step=np.int64(step))
    kept = folder / run_folder.CHECKPOINTS / checkpoints.LATEST
    raise NonFiniteLossError(
        f"`loss` must be finite. Got loss {loss}, gradient norm {norm} at step {step} of "
        f"{folder.name}, whose batch is {folder / BATCH}. Fix: `python -m user_tf.debug_batch "
        f"--run={folder.parent}` names the layer; lower --train.learning_rate or --train.clip_norm "
        "and choose another --run."
        + (f" The last good checkpoint is {kept}." if kept.exists() else "")
    )


@dataclasses.dataclass(frozen=True)
class Finding:
    """The first number of a step that is not finite.

    Attributes:
        place: `weight`, `output` or `gradient`; empty if there is none.
        name: Path of the variable or layer.
    """

    place: str = ""
    name: str = ""

    def __str__(self) -> str:
        if not self.place:
            return "Every number of the step is finite."
        return f"The first number that is not finite is in the {self.place} of {self.name}."


def find_first(
    model: keras.Model, batch: dict[str, tf.Tensor], seed: tuple[int, int], step: int
) -> Finding:
    """Do the forward and backward pass of a step eagerly; return its first number not finite.

    Args:
        model: Ranker with the weights before the step.
        batch: Batch of the step.
        seed: Seed of the run and number of the phase, for dropout.
        step: Number of the step.

    Returns:
        A weight, else the output of the layer that ends first, else a gradient.
    """
    for variable in model.variables:
        if not _are_finite([variable.value]):
            return Finding("weight", variable.path)
    numbers = tf.constant(seed, tf.int64), tf.constant(step, tf.int64)
    reseed(seed_states(model), *numbers, tf.constant(0))
    found: list[str] = []
    _watch(model, found)
    with tf.GradientTape() as tape:
        total = forward_loss(model, batch)
    if found:
        return Finding("output", found[0])
    weights = model.trainable_variables
    gradients = tape.gradient(total, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None and not _are_finite([tf.convert_to_tensor(gradient)]):
            return Finding("gradient", weight.path)
    return Finding()


def _watch(model: keras.Model, found: list[str]) -> None:
    """Let every layer inside a model add its path to `found` when its output is not finite."""

    def watched(layer: keras.layers.Layer) -> Any:
        call = layer.call

        def checked(*arguments: Any, **options: Any) -> Any:
            output = call(*arguments, **options)
            if not _are_finite(tf.nest.flatten(output)):
                found.append(layer.path)
            return output

        return checked

    for layer in model._flatten_layers():
        object.__setattr__(layer, "call", watched(layer))


def _are_finite(values: Iterable[Any]) -> bool:
    """Return whether all float tensors are finite; others are."""
    floats = (value for value in values if tf.is_tensor(value) and value.dtype.is_floating)
    return all(bool(tf.reduce_all(tf.math.is_finite(value))) for value in floats)
