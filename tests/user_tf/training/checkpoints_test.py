"""Tests of checkpoints: complete or absent, and of this model."""

import json

import keras
import numpy as np
import pytest

from user_tf.training import checkpoints
from user_tf.training.optimizer import SummedGradientAdam


def make(width=3):
    model = keras.Sequential(
        [keras.Input([2]), keras.layers.Dense(width), keras.layers.Dropout(0.5)]
    )
    optimizer = SummedGradientAdam(learning_rate=0.5)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def values(model, optimizer):
    return [np.array(variable) for variable in model.variables + optimizer.variables]


def test_checkpoint_brings_back_weights_seeds_optimizer_and_position(tmp_path):
    model, optimizer = make()
    gradients = [keras.ops.ones_like(weight) for weight in model.trainable_variables]
    optimizer.apply(gradients)
    model(np.ones((1, 2)), training=True)
    position = checkpoints.Position("search", step=7, windows=6, best=0.25, seconds=1.5)
    checkpoints.save(tmp_path / "kept", model, optimizer, position)
    other = make()
    assert checkpoints.restore(tmp_path / "kept", *other) == position
    for got, expected in zip(values(*other), values(model, optimizer), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert any("seed_generator" in variable.path for variable in model.variables)


def test_no_checkpoint_and_a_half_written_one_count_as_none(tmp_path):
    (tmp_path / "latest.npz.unfinished").write_bytes(b"half")
    assert checkpoints.restore(tmp_path, *make()) is None


def test_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoints.save(tmp_path, *make(width=3), checkpoints.Position("search"))
    with pytest.raises(ValueError, match="choose another --run"):
        checkpoints.restore(tmp_path, *make(width=4))


def test_checkpoint_of_another_version_is_refused(tmp_path):
    checkpoints.save(tmp_path, *make(), checkpoints.Position("search"))
    with np.load(tmp_path / checkpoints.LATEST) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    position = json.loads(str(kept["position"]))
    position["waited"] = position.pop("evaluations_without_improvement")
    np.savez(tmp_path / checkpoints.LATEST, **kept | {"position": np.array(json.dumps(position))})
    with pytest.raises(
        ValueError, match=r"differs in 2 of .* evaluations_without_improvement first"
    ):
        checkpoints.restore(tmp_path, *make())
