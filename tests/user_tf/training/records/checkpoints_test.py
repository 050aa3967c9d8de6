"""Tests of checkpoints: complete or absent, and of this model."""

import json

import keras
import numpy as np
import pytest

from user_tf.training.records import checkpoints
from user_tf.training.steps.optimizer import SummedGradientAdam


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
    assert checkpoints.restore(tmp_path / "kept", *other) == (position, "")
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


def cut(content):
    return content[: len(content) // 2]


def empty(_):
    return b""


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, empty, flip])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(tmp_path, damage):
    for step in (1, 2):
        checkpoints.save(tmp_path, *make(width=300), checkpoints.Position("search", step=step))
    latest, previous = tmp_path / checkpoints.LATEST, tmp_path / checkpoints.PREVIOUS
    latest.write_bytes(damage(latest.read_bytes()))
    position, said = checkpoints.restore(tmp_path, *make(width=300))
    assert position.step == 1
    assert "latest.npz" in said and "damaged" in said
    previous.write_bytes(damage(previous.read_bytes()))
    with pytest.raises(ValueError, match=r"latest.npz .* and .*previous.npz .* Fix: delete"):
        checkpoints.restore(tmp_path, *make(width=300))


def test_a_kill_between_the_two_renames_leaves_the_checkpoint_before(tmp_path):
    checkpoints.save(tmp_path, *make(), checkpoints.Position("search", step=1))
    (tmp_path / checkpoints.LATEST).rename(tmp_path / checkpoints.PREVIOUS)
    position, said = checkpoints.restore(tmp_path, *make())
    assert (position.step, said) == (1, "")
