"""One training step: dropout seeds, forward, loss, gradient, sum over replicas, clip, Adam."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from user_tf.training.loss import listwise_softmax
from user_tf.training.optimizer import sum_rows


class StepResult(NamedTuple):
    """Scalars of a step, the same on every replica.

    Attributes:
        loss: Mean loss of the real groups of all replicas, the model's own losses included.
        groups: Number of real groups of all replicas.
        gradient_norm: Global norm of the gradient before clipping.
    """

    loss: tf.Tensor
    groups: tf.Tensor
    gradient_norm: tf.Tensor


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """Return the state of every seed generator inside `model`, in a stable order.

    Example:
        >>> [state.shape.as_list() for state in seed_states(keras.Sequential(
        ...     [keras.Input([3]), keras.layers.Dropout(0.5)]))]
        [[2]]
    """
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def reseed(
    states: list[keras.Variable], seed: tuple[int, int], step: tf.Tensor, replica: tf.Tensor
) -> None:
    """Set every generator to a draw that depends on (seed, step, replica) only.

    Without it replicas would draw the same dropout masks, and a resumed run would draw other masks
    than an uninterrupted one. Call it inside the replica.

    Args:
        states: Result of `seed_states`.
        seed: Seed of the run and number of its phase.
        step: int64 [], number of the training step.
        replica: int32 [], number of the replica among all of them.
    """
    if not states:
        return
    key = tf.random.fold_in(tf.constant(seed, tf.int64), step)
    key = tf.random.fold_in(key, tf.cast(replica, tf.int64))
    drawn = tf.random.stateless_uniform(
        [len(states), 2], key, minval=None, maxval=None, dtype=tf.int64
    )
    for state, value in zip(states, tf.unstack(drawn), strict=True):
        state.assign(tf.cast(value, state.dtype))


def summed_loss(model: keras.Model, batch: Any) -> tf.Tensor:
    """Return the loss of training, summed over the real groups of a Batch, with the model's own losses.

    Args:
        model: Ranker, called in training mode.
        batch: A Batch.
    """
    scores = model(batch, training=True)
    losses = listwise_softmax(batch["labels"], scores, batch["candidate_mask"])
    total = tf.reduce_sum(losses * tf.cast(batch["target_weight"], losses.dtype))
    return sum(model.losses, start=total)


def make_train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy,
    batch_spec: Any,
    clip_norm: float,
    seed: tuple[int, int],
    jit: bool = False,
    touched_rows: bool = False,
) -> Callable[[Any, tf.Tensor], StepResult]:
    """Build the compiled step `(batch, step) -> StepResult`.

    The loss is the sum over the real groups of all replicas, divided by their number. So every
    group has the same weight in uneven batches, and two replicas give the result of one device.
    Losses the model adds itself (`user_tf.models.ranker.Ranker`) are part of the sum.

    Args:
        model: A built ranker, made inside the strategy's scope.
        optimizer: Built, and not summing gradients itself (`SummedGradientAdam`).
        strategy: Strategy the step runs under.
        batch_spec: `element_spec` of the distributed batches. One trace serves every padded size,
            since these sizes are open in it.
        clip_norm: Global norm above which gradients are scaled down; 0: never.
        seed: Seed of the run and number of the phase, for dropout.
        jit: Compile forward and gradient with XLA, once for each padded size. Only this part is
            compiled, since XLA around `strategy.run` fails with more than one replica. Default: no.
        touched_rows: Keep the gradients of embedding tables sparse, so that the optimizer changes
            the rows of this batch only. Not with `jit`. Default: no.
    """
    states = seed_states(model)

    def forward_and_gradient(batch: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            total = summed_loss(model, batch)
        gradients = tape.gradient(
            total, model.trainable_variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        if touched_rows:
            return total, gradients
        return total, [tf.convert_to_tensor(gradient) for gradient in gradients]

    if jit:
        forward_and_gradient = tf.function(
            forward_and_gradient, jit_compile=True, reduce_retracing=True
        )

    def replica_step(batch: Any, step: tf.Tensor) -> StepResult:
        context = tf.distribute.get_replica_context()
        reseed(states, seed, step, context.replica_id_in_sync_group)
        total, gradients = forward_and_gradient(batch)
        groups = tf.reduce_sum(tf.cast(batch["target_weight"], total.dtype))
        total, groups, *gradients = context.all_reduce(
            tf.distribute.ReduceOp.SUM, [total, groups, *gradients]
        )
        # A batch without any group, possible in fine-tuning, has gradient 0.
        share = 1.0 / tf.maximum(groups, 1.0)
        gradients = [scaled(gradient, share) for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        if clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
        optimizer.apply(gradients, model.trainable_variables)
        return StepResult(total * share, groups, norm)

    def scaled(gradient: Any, share: tf.Tensor) -> Any:
        share = tf.cast(share, gradient.dtype)
        if not isinstance(gradient, tf.IndexedSlices):
            return gradient * share
        # A sparse gradient lists a row once for each use. Its norm needs their sum.
        gradient = sum_rows(gradient)
        return tf.IndexedSlices(gradient.values * share, gradient.indices, gradient.dense_shape)

    def train_step(batch: Any, step: tf.Tensor) -> StepResult:
        result = strategy.run(replica_step, (batch, step))
        return StepResult(*(strategy.experimental_local_results(part)[0] for part in result))

    return tf.function(train_step, input_signature=[batch_spec, tf.TensorSpec([], tf.int64)])
