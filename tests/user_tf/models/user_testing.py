"""Make small USER models for tests, one for each group of settings."""

import dataclasses
import functools

from tests.user_tf.layer_testing import randomize
from tests.user_tf.random_batch import SIZES
from user_tf.config import ModelConfig
from user_tf.models.user import User

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10)


SETTINGS = {
    "default": {},
    "simple co-attention": {"co_attention": "simple"},
    "two layers": {"word_layers": 2, "session_layers": 2, "history_layers": 2},
    "two passes": {"session_passes": 2},
    "three passes of two layers": {"session_passes": 3, "session_layers": 2},
    "fixed positions": {"history_positions": "fixed"},
    "recency positions, two layers": {"history_positions": "recency", "history_layers": 2},
    "no positions, no types": {
        "history_positions": "off",
        "session_positions": False,
        "session_types": False,
    },
    "no session encoder": {"session_encoder": False},
    "no history encoder": {"history_encoder": False},
    "neither encoder": {"session_encoder": False, "history_encoder": False},
    "tanh, no KNRM": {"score_tanh": True, "knrm": False},
}


def make(dtype="float64", sizes=SIZES, **settings):
    """A new model with random weights."""
    config = dataclasses.replace(SMALL, **settings)
    return randomize(User(config, sizes, dtype=dtype, name="user").build_from_sizes(), seed=5)


@functools.cache
def shared(name="default", dtype="float64"):
    """A model for reading only: building one takes a second."""
    return make(dtype, **SETTINGS[name])
