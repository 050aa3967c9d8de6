"""Run as a program on two logical CPUs by step_test; prints what it found as JSON.

Logical devices are fixed when TensorFlow starts, so that this cannot run inside pytest.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from user_tf.config import RuntimeConfig
from user_tf.training import feeding, process
from user_tf.training.steps.optimizer import SummedGradientAdam
from user_tf.training.steps.replicas import StepSettings
from user_tf.training.steps.tf_replicas import make_strategy
from user_tf.training.steps.tf_step import make_train_step, reseed, seed_states

STEPS = 3

SEED = np.array((1, 0))


class Toy(keras.Model):
    """Scores by an embedding of documents and a dense layer on features, with dropout between.

    Its own loss is the squares of what it reads of the embedding, summed over the real groups.
    """

    def __init__(self, dropout):
        super().__init__(autocast=False)
        self.documents = keras.layers.Embedding(7, 3)
        self.dropout = keras.layers.Dropout(dropout)
        self.dense = keras.layers.Dense(1, use_bias=False)

    def call(self, batch, training=False):
        read = self.documents(batch["candidate_doc"])
        if training:
            squares = keras.ops.sum(keras.ops.square(read), axis=(1, 2))
            weight = keras.ops.cast(batch["target_weight"], squares.dtype)
            self.add_loss(keras.ops.sum(squares * weight))
        features = keras.ops.cast(batch["features"], read.dtype)
        joined = self.dropout(keras.ops.concatenate([read, features], -1), training=training)
        return self.dense(joined)[..., 0]


def toy_batch(targets, seed):
    """A batch of `targets` groups of four candidates, the last group padding."""
    random = np.random.default_rng(seed)
    weight = np.ones(targets, np.float32)
    weight[-1] = 0
    labels = np.eye(4, dtype=np.float32)[random.integers(4, size=targets)]
    return {
        "candidate_doc": random.integers(7, size=(targets, 4)).astype(np.int32),
        "features": 3 * random.normal(size=(targets, 4, 2)).astype(np.float32),
        "candidate_mask": np.ones((targets, 4), bool),
        "labels": labels * weight[:, None],
        "target_weight": weight,
    }


def open_spec(batch):
    """Specification of `batch` with an open number of targets."""
    return {
        key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in batch.items()
    }


def make_toy(where, dropout):
    """Model and optimizer on `where`, from the same initial weights each time."""
    keras.utils.set_random_seed(5)
    with where.scope():
        model = Toy(dropout)
        model({key: tf.constant(value) for key, value in toy_batch(2, 0).items()})
        optimizer = SummedGradientAdam(learning_rate=0.1)
        optimizer.build(model.trainable_variables)
    return model, optimizer


def train(where, batches, dropout=0.0, jit=False, touched_rows=False, clip=0.05):
    """Weights, Adam's moments and last result after one step on each element of `batches`."""
    model, optimizer = make_toy(where, dropout)
    distributed = where.distribute_datasets_from_function(lambda context: batches)
    step = make_train_step(
        model,
        optimizer,
        where,
        distributed.element_spec,
        StepSettings(clip, jit, touched_rows),
    )
    for number, batch in enumerate(distributed):
        result = step(batch, tf.constant(number, tf.int64), SEED)
    variables = model.trainable_variables + optimizer.variables
    return [variable.numpy().tolist() for variable in variables], [float(part) for part in result]


def main():
    process.prepare(RuntimeConfig(logical_cpus=2, precision="float64"))
    both = make_strategy(RuntimeConfig(strategy="mirrored"))
    one = make_strategy(RuntimeConfig())
    parts = [toy_batch(2 + number % 3, number) for number in range(2 * STEPS - 1)]
    spec = open_spec(parts[0])
    # The stream ends unevenly: the last step's second replica gets a blank batch.
    parts.append({key: value.numpy() for key, value in feeding.blank_batch(spec).items()})
    joined = [
        {key: np.concatenate([a[key], b[key]]) for key in a}
        for a, b in zip(parts[::2], parts[1::2], strict=True)
    ]

    def stream(batches):
        return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)

    model, _ = make_toy(both, 0.5)
    states = seed_states(model)

    @tf.function
    def masks(step):
        def replica():
            context = tf.distribute.get_replica_context()
            reseed(states, SEED, step, context.replica_id_in_sync_group)
            return model.dropout(tf.ones([4, 8]), training=True)

        return both.experimental_local_results(both.run(replica))

    drawn = [[mask.numpy().tolist() for mask in masks(tf.constant(s, tf.int64))] for s in (3, 4, 3)]
    json.dump(
        {
            "replicas": both.num_replicas_in_sync,
            "one": train(one, stream(joined)),
            "both": train(both, stream(parts)),
            "jit": train(both, stream(parts), jit=True),
            "one touched": train(one, stream(joined), touched_rows=True),
            "both touched": train(both, stream(parts), touched_rows=True),
            "masks": drawn,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
