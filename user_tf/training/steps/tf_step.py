"""One training step: dropout seeds, forward, loss, gradient, sum over replicas, clip, Adam."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from user_tf.training.steps.loss import summed_loss
from user_tf.training.steps.optimizer import sum_rows
from user_tf.training.steps.replicas import StepResult, StepSettings


def seed_states(model: keras.Model) -> list[keras.Variable]:
    """Return the state of every seed generator inside `model`, in a stable order.

    Example:
        >>> [state.shape.as_list() for state in seed_states(keras.Sequential(
        ...     [keras.Input([3]), keras.layers.Dropout(0.5)]))]
        [[2]]
    """
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def reseed(
    states: list[keras.Variable], seed: tf.Tensor, step: tf.Tensor, replica: tf.Tensor
) -> None:
    """Set every generator to a draw that depends on (seed, step, replica) only.

    Without it replicas would draw the same dropout masks, and a resumed run would draw other masks
    than an uninterrupted one. Call it inside the replica.

    Args:
        states: Result of `seed_states`.
        seed: int64 [2], seed of the run and number of its phase.
        step: int64 [], number of the training step.
        replica: int32 [], number of the replica among all of them.
    """
    if not states:
        return
    key = tf.random.fold_in(seed, step)
    key = tf.random.fold_in(key, tf.cast(replica, tf.int64))
    drawn = tf.random.stateless_uniform(
        [len(states), 2], key, minval=None, maxval=None, dtype=tf.int64
    )
    for state, value in zip(states, tf.unstack(drawn), strict=True):
        state.assign(tf.cast(value, state.dtype))


def forward_loss(model: keras.Model, batch: Any) -> tf.Tensor:
    """Return the summed loss of a Batch in training mode; see `summed_loss`."""
    scores = model(batch, training=True)
    return summed_loss(batch, scores, model.losses)


def make_train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy,
    batch_spec: Any,
    settings: StepSettings,
) -> Callable[[Any, tf.Tensor, tf.Tensor], StepResult]:
    """Build the compiled step `(batch, step, seed) -> StepResult`; `Replicas.make_step` describes it.

    Args:
        model: A built ranker, made inside the strategy's scope.
        optimizer: Built, and not summing gradients itself (`SummedGradientAdam`).
        strategy: Strategy the step runs under.
        batch_spec: `element_spec` of the distributed batches. One trace serves every padded size,
            since these sizes are open in it. None: one trace for each padded size, without any open
            size, as TPUs need it.
        settings: Settings of the step. With `jit` forward and gradient only are compiled, since XLA
            around `strategy.run` fails with more than one replica.
    """
    states = seed_states(model)

    def forward_and_gradient(batch: Any) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            total = forward_loss(model, batch)
        # Of a Keras variable that the loss does not read TensorFlow has no gradient 0.
        weights = [variable.value for variable in model.trainable_variables]
        gradients = tape.gradient(
            total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        if settings.touched_rows:
            return total, gradients
        return total, [tf.convert_to_tensor(gradient) for gradient in gradients]

    if settings.jit:
        forward_and_gradient = tf.function(
            forward_and_gradient, jit_compile=True, reduce_retracing=True, autograph=False
        )

    def replica_step(batch: Any, step: tf.Tensor, seed: tf.Tensor) -> StepResult:
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
        if settings.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, settings.clip_norm, use_norm=norm)
        optimizer.apply(gradients, model.trainable_variables)
        return StepResult(total * share, groups, norm)

    def scaled(gradient: Any, share: tf.Tensor) -> Any:
        share = tf.cast(share, gradient.dtype)
        if not isinstance(gradient, tf.IndexedSlices):
            return gradient * share
        # A sparse gradient lists a row once for each use. Its norm needs their sum.
        gradient = sum_rows(gradient)
        return tf.IndexedSlices(gradient.values * share, gradient.indices, gradient.dense_shape)

    # No open size may reach a TPU: its compiler would pad by rules of its own.
    options = tf.distribute.RunOptions(
        experimental_enable_dynamic_batch_size=batch_spec is not None
    )

    def train_step(batch: Any, step: tf.Tensor, seed: tf.Tensor) -> StepResult:
        # int64 stays on the host.
        inputs = {name: value for name, value in batch.items() if name != "target_id"}
        result = strategy.run(replica_step, (inputs, step, seed), options=options)
        return StepResult(*(strategy.experimental_local_results(part)[0] for part in result))

    if batch_spec is None:
        return tf.function(train_step, autograph=False)
    numbers = [tf.TensorSpec([], tf.int64), tf.TensorSpec([2], tf.int64)]
    return tf.function(train_step, input_signature=[batch_spec, *numbers], autograph=False)
