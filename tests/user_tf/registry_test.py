"""Rankers of the registry: built by name, and saved as one file that loads without custom objects."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.user_tf.models.ranker_testing import random_graph, score
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.registry import RANKERS, build_ranker

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10, personal_rows=50)


def state(model):
    """Variables by path, without seeds of dropout: Keras saves none, and training sets them."""
    return {v.path: v for v in model.variables if "seed_generator" not in v.path}


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_a_saved_ranker_loads_without_custom_objects_and_gives_equal_scores(name, tmp_path):
    model = build_ranker(dataclasses.replace(SMALL, name=name), SIZES)
    if name == "gerl":
        model.set_graph(*random_graph())
    path = tmp_path / f"{name}.keras"
    model.save(path)
    copy = keras.saving.load_model(path)
    assert type(copy) is RANKERS[name] and copy.get_config() == model.get_config()
    # Learned weights and, of GERL, the graph of the dataset.
    assert list(state(copy)) == list(state(model))
    for path, saved in state(model).items():
        np.testing.assert_array_equal(state(copy)[path], saved)
        assert state(copy)[path].trainable == saved.trainable
    batch = random_batch(1)
    np.testing.assert_array_equal(score(copy, batch), score(model, batch))


NEW_PROCESS = """
import sys
import keras, numpy as np
import user_tf.registry
data = np.load(sys.argv[2])
np.save(sys.argv[3], keras.saving.load_model(sys.argv[1])({name: data[name] for name in data.files}))
"""


def test_a_new_process_needs_only_the_registry_to_load_a_ranker(tmp_path):
    model, batch = build_ranker(dataclasses.replace(SMALL, name="gerl"), SIZES), random_batch(1)
    model.set_graph(*random_graph())
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "batch.npz", **batch)
    files = [tmp_path / name for name in ("model.keras", "batch.npz", "scores.npy")]
    environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", NEW_PROCESS, *files], check=True, env=environment)
    np.testing.assert_array_equal(np.load(files[2]), score(model, batch))


@pytest.mark.parametrize("name", sorted(RANKERS))
def test_every_layer_and_ranker_is_registered_under_the_package(name):
    model = build_ranker(dataclasses.replace(SMALL, name=name), SIZES)
    for layer in model._flatten_layers():
        registered = keras.saving.get_registered_name(type(layer))
        own = type(layer).__module__.startswith("user_tf.")
        assert (registered == f"user_tf>{type(layer).__name__}") == own, registered


def test_word_vectors_initialize_the_word_table_unless_they_are_off():
    vectors = np.random.default_rng(0).normal(size=(SIZES.vocabulary, 8)).astype(np.float32)
    model = build_ranker(SMALL, SIZES, vectors)
    np.testing.assert_array_equal(model.word_embedding.embeddings, vectors)
    model = build_ranker(dataclasses.replace(SMALL, word_vectors=False), SIZES, vectors)
    assert not np.allclose(model.word_embedding.embeddings, vectors)
    with pytest.raises(ValueError, match=r"`word_vectors` must .* Got \[40, 7\].*width"):
        build_ranker(SMALL, SIZES, vectors[:, :7])


def test_the_error_of_an_unknown_ranker_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"`model.name` must be .*'user'.* Got 'usr'\. Fix: "):
        build_ranker(dataclasses.replace(SMALL, name="usr"), SIZES)
