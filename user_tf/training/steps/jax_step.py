"""One training step under JAX: dropout seeds, forward, loss, gradient, sum over replicas, clip, Adam.

The formulas are those of `tf_step`. Every padded size is a program of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from user_tf.training.steps.loss import summed_loss
from user_tf.training.steps.replicas import Step, StepResult, StepSettings

AXIS = "replica"
"""Name of the mesh axis over the replicas."""


def device_fields(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Batch that go to the device: all but int64 ones, which JAX would cut.

    Example:
        >>> list(device_fields({"target_id": np.zeros(1, np.int64), "task": np.zeros(1, np.int32)}))
        ['task']
    """
    return {name: value for name, value in batch.items() if value.dtype != np.int64}


def drawn_seeds(seed: Any, step: Any, replica: Any, count: int) -> Any:
    """Return states of seed generators, uint32 [count, 2], a function of (seed, step, replica) only.

    Args:
        seed: int32 [2], seed of the run and number of its phase.
        step: int32 [], number of the training step.
        replica: int32 [], number of the replica.
        count: Generators of the model.

    Example:
        >>> drawn_seeds(np.array([1, 0]), 3, 0, 4).shape
        (4, 2)
    """
    key = jax.random.key(seed[0])
    for part in (seed[1], step, replica):
        key = jax.random.fold_in(key, part)
    return jax.random.bits(key, (count, 2), jnp.uint32)


def jit_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    mesh: Mesh,
    settings: StepSettings,
) -> Any:
    """Return the step under jax.jit, on the values of the variables.

    Args:
        model: A built ranker.
        optimizer: Built.
        mesh: The replicas, along `AXIS`.
        settings: Settings of the step; `jit` is always on.

    Returns:
        (trainable, non-trainable and optimizer's values, batches [R, ...], number, seed) -> trainable
        and optimizer's new values, StepResult. It takes the memory of those it replaces.
    """
    generators = [
        index
        for index, state in enumerate(model.non_trainable_variables)
        if state.name == "seed_generator_state"
    ]

    def reseeded(values: Sequence[Any], step: Any, seed: Any) -> list[Any]:
        drawn = drawn_seeds(seed, step, jax.lax.axis_index(AXIS), len(generators))
        result = list(values)
        for index, state in zip(generators, drawn, strict=True):
            result[index] = state.astype(result[index].dtype)
        return result

    def forward_loss(weights: Any, rest: Any, batch: Any) -> Any:
        scores, _, own_losses = model.stateless_call(
            weights, rest, batch, training=True, return_losses=True
        )
        return summed_loss(batch, scores, own_losses)

    def replica_step(
        weights: Any, rest: Any, moments: Any, batch: Any, step: Any, seed: Any
    ) -> Any:
        batch = {name: value[0] for name, value in batch.items()}
        rest = reseeded(rest, step, seed)
        total, gradients = jax.value_and_grad(forward_loss)(weights, rest, batch)
        groups = jnp.sum(batch["target_weight"].astype(total.dtype))
        total, groups, gradients = jax.lax.psum((total, groups, gradients), AXIS)
        # A batch without any group, possible in fine-tuning, has gradient 0.
        share = 1.0 / jnp.maximum(groups, 1.0)
        gradients = [gradient * share.astype(gradient.dtype) for gradient in gradients]
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
        if settings.clip_norm:
            scale = settings.clip_norm / jnp.maximum(norm, settings.clip_norm)
            gradients = [gradient * scale.astype(gradient.dtype) for gradient in gradients]
        weights, moments = optimizer.stateless_apply(moments, gradients, weights)
        return weights, moments, StepResult(total * share, groups, norm)

    everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
    inputs = (everywhere, everywhere, everywhere, split, everywhere, everywhere)
    # The weights stay equal on all replicas, since their gradients are sums over the replicas.
    on_all = jax.shard_map(
        replica_step, mesh=mesh, in_specs=inputs, out_specs=everywhere, check_vma=False
    )
    return jax.jit(on_all, donate_argnums=(0, 2))


def make_jax_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    mesh: Mesh,
    settings: StepSettings,
) -> Step:
    """Build the compiled step; `Replicas.make_step` describes it.

    Args:
        model, optimizer, mesh, settings: As for `jit_step`. The variables hold the state between steps.
    """
    compiled = jit_step(model, optimizer, mesh, settings)
    trainable, others = model.trainable_variables, model.non_trainable_variables
    # New weights, of a new phase or a checkpoint, lie on one device: placed, they are as those of
    # later steps, and nothing is compiled anew.
    everywhere = NamedSharding(mesh, PartitionSpec())
    split = NamedSharding(mesh, PartitionSpec(AXIS))

    def train_step(batches: Mapping[str, Any], number: int, seed: tuple[int, int]) -> StepResult:
        state = [
            [variable.value for variable in variables]
            for variables in (trainable, others, optimizer.variables)
        ]
        weights, moments, result = compiled(
            *jax.device_put(state, everywhere),
            jax.device_put(device_fields(batches), split),
            np.int32(number),
            np.array(seed, np.int32),
        )
        for variable, value in zip(
            [*trainable, *optimizer.variables], [*weights, *moments], strict=True
        ):
            variable.assign(value)
        return result

    return train_step
