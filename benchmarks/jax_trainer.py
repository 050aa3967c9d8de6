"""USER's training step under JAX, compiled beforehand for every padded size of its batches.

Keras is imported only where it is used: its back end must be chosen before.
"""

import math
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.packed_batches import Arrays


def mean_loss(batch: Any, scores: Any) -> Any:
    """Mean listwise softmax of the real groups; the same in training (`user_tf.training.step`)."""
    from keras import ops

    from user_tf.training.loss import ops_listwise_softmax

    losses = ops_listwise_softmax(batch["labels"], scores, batch["candidate_mask"])
    weights = ops.cast(batch["target_weight"], losses.dtype)
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1.0)


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

    def __init__(self, model: Any, optimizer: Any, batches: Sequence[Arrays]):
        import jax

        def loss_of(trainable: Any, others: Any, batch: Any) -> Any:
            scores, others = model.stateless_call(trainable, others, batch, training=True)
            return mean_loss(batch, scores), others

        def step(state: Any, batch: Any) -> Any:
            trainable, others, moments = state
            differentiate = jax.value_and_grad(loss_of, has_aux=True)
            (loss, others), gradients = differentiate(trainable, others, batch)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            return (trainable, others, moments), loss

        groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        # Copies: a step takes the memory of the state it was given.
        self._state = tuple([jax.numpy.array(v.value) for v in group] for group in groups)
        self._batches = jax.device_put(list(batches))
        self._jax, jitted = jax, jax.jit(step, donate_argnums=0)
        self.operations = 0
        programs: dict[Any, Any] = {}
        started = time.perf_counter()
        for batch in self._batches:
            shapes = batch_shapes(batch)
            if shapes not in programs:
                traced = jitted.trace(self._state, batch)
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

    def train(self, passes: int) -> list[float]:
        """Loss of every step; all steps are enqueued before the host waits."""
        losses = []
        for _ in range(passes):
            for program, batch in zip(self._programs, self._batches, strict=True):
                self._state, loss = program(self._state, batch)
                losses.append(loss)
        self._jax.block_until_ready((self._state, losses))
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
