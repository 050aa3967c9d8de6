"""Make small HTPS models for tests, and compute the loss they add."""

import dataclasses

import tensorflow as tf

from tests.user_tf.layer_testing import randomize
from tests.user_tf.random_batch import SIZES
from user_tf.config import ModelConfig
from user_tf.models.baselines.htps import Htps

CONFIG = ModelConfig(
    width=6, num_heads=2, key_dim=3, intermediate_dim=5, dropout=0.0, next_query_weight=0.5
)


def make(kind=Htps, dtype="float64", **settings):
    """A new model with random weights."""
    config = dataclasses.replace(CONFIG, **settings)
    return randomize(kind(config, SIZES, dtype=dtype, name="htps").build_from_sizes(), seed=3)


def train_loss(model, batch):
    """The loss the model adds in training, and its gradients."""
    with tf.GradientTape() as tape:
        model(batch, training=True)
        (loss,) = model.losses
    gradients = tape.gradient(
        loss, [v.value for v in model.trainable_variables], unconnected_gradients="zero"
    )
    return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]
