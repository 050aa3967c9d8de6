"""The training step of `--runtime.backend=jax`, compiled beforehand for every padded size.

Keras is imported only where it is used: its back end must be chosen before.
"""

import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.packed_batches import Arrays


def matrix_operations(jaxpr: Any) -> int:
    """Floating-point operations of a program's matrix products, counted from their shapes.

    [.., m, k] x [.., k, n] counts 2 m k n for each of its products. Element-wise work, softmax,
    gathers and the optimizer are left out, work on padding is not.

    Example:
        >>> import jax, numpy as np
        >>> product = jax.make_jaxpr(jax.jit(lambda a, b: a @ b))
        >>> matrix_operations(product(np.ones([7, 2, 3]), np.ones([7, 3, 5])))
        420
    """
    operations = 0
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            depth = math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
            operations += 2 * depth * math.prod(equation.outvars[0].aval.shape)
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner in equation.params.values():
            for part in inner if isinstance(inner, (tuple, list)) else [inner]:
                if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                    operations += times * matrix_operations(part)
    return operations


class JaxTrainer:
    """The step under jax.jit: a program for each padded size, compiled before the first step.

    Attributes:
        compile_seconds: To trace, lower and compile all programs.
        operations: Of matrix products, in one pass over the batches.
        program_bytes: Device memory of the largest program: arguments, results, temporaries.
    """

    def __init__(self, model: Any, optimizer: Any, batches: Sequence[Arrays], clip_norm: float):
        import jax
        import numpy as np

        from user_tf.training.steps.jax_step import AXIS, device_fields, jit_step
        from user_tf.training.steps.replicas import StepSettings

        mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), (AXIS,))
        jitted = jit_step(model, optimizer, mesh, StepSettings(clip_norm))
        self._jax, self._step = jax, 0
        everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        # Copies: a step takes the memory of the state it was given.
        values = [[jax.numpy.array(variable.value) for variable in group] for group in groups]
        self._weights, self._others, self._moments = jax.device_put(values, everywhere)
        self._batches = [
            jax.device_put(
                {name: value[None] for name, value in device_fields(batch).items()},
                jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS)),
            )
            for batch in batches
        ]
        self._seed = np.array([1, 0], np.int32)
        self.operations = 0
        programs: dict[Any, Any] = {}
        started = time.perf_counter()
        for batch in self._batches:
            shapes = batch_shapes(batch)
            if shapes not in programs:
                traced = jitted.trace(*self._arguments(batch))
                programs[shapes] = traced.lower().compile(), matrix_operations(traced.jaxpr)
            self.operations += programs[shapes][1]
        self.compile_seconds = time.perf_counter() - started
        self._programs = [programs[batch_shapes(batch)][0] for batch in self._batches]
        needs = [program.memory_analysis() for program, _ in programs.values()]
        self.program_bytes = max(
            need.argument_size_in_bytes
            + need.output_size_in_bytes
            + need.temp_size_in_bytes
            - need.alias_size_in_bytes
            for need in needs
        )

    def _arguments(self, batch: Any) -> tuple:
        import numpy as np

        state = self._weights, self._others, self._moments
        return (*state, batch, np.int32(self._step), self._seed)

    def train(self, passes: int) -> list[float]:
        """Loss of every step; all steps are enqueued before the host waits."""
        losses = []
        for _ in range(passes):
            for program, batch in zip(self._programs, self._batches, strict=True):
                self._step += 1
                self._weights, self._moments, result = program(*self._arguments(batch))
                losses.append(result.loss)
        self._jax.block_until_ready((self._weights, losses))
        return [float(loss) for loss in losses]

    def memory(self) -> dict[str, int] | None:
        """The device's own counters; its peak is that of the process so far."""
        return self._jax.devices()[0].memory_stats()

    def profile(self, folder: pathlib.Path) -> None:
        """Writes a trace of one pass."""
        with self._jax.profiler.trace(str(folder)):
            self.train(1)


def batch_shapes(batch: Any) -> tuple:
    """The sizes a program is compiled for."""
    return tuple(sorted((name, tuple(value.shape)) for name, value in batch.items()))
