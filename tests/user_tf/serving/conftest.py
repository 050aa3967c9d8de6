"""A small served model with random weights, shared by the tests of this folder."""

import dataclasses
import pathlib
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.text.words import write_vocabulary
from user_tf.config import Config, ModelConfig
from user_tf.models.ranker import Sizes
from user_tf.registry import build_ranker
from user_tf.serving.bundle import make_graph
from user_tf.serving.graph.document_table import DocumentTable
from user_tf.serving.signatures import ServedModel

WORDS = ["red", "blue", "green", "hat", "shoe", "sock", "big", "small", "sun", "rain"]
OOV_BUCKETS = 97
DOCUMENTS = {"d1": "red hat", "d2": "", "d3": "big quagga sun", "d4": "sock"}
MODEL = ModelConfig(width=16, num_heads=2, key_dim=8, intermediate_dim=32)
NAMES, MEAN, STD = ("document_clicks", "query_cosine"), (1.0, -2.0), (2.0, 0.5)


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """Return the graph of a dataset without documents or targets: serving reads none."""
    folder = tmp_path_factory.mktemp("assets")
    write_vocabulary(folder / "vocabulary.txt", ["", *WORDS])
    draw = np.random.default_rng(0)
    words = draw.normal(size=(1 + len(WORDS) + OOV_BUCKETS, 8))
    words[0] = 0
    dataset = types.SimpleNamespace(
        manifest={"settings": {"text": {"text_length": 6}}},
        tokenizer="words",
        vocabulary_file=folder / "vocabulary.txt",
        vocabulary_size=1 + len(WORDS),
        oov_buckets=OOV_BUCKETS,
        user_ids=["", "alice", "bob"],
        word_vectors=words,
        text_tokens=np.zeros([1, 6], np.int32),
        document_texts=np.zeros([1], np.int64),
        feature_names=NAMES,
        feature_mean=np.array(MEAN, np.float32),
        feature_std=np.array(STD, np.float32),
        query_free=np.array([True, False]),
        session_behaviors=5,
        past_sessions=20,
        clicked_titles=3,
        max_candidates=10,
    )
    return make_graph(dataset, Config(model=MODEL), folder)


def random_ranker(seed, features=2, name="user"):
    """Return a ranker whose weights are large enough to distinguish inputs, user rows too."""
    keras.utils.set_random_seed(seed)
    sizes = Sizes(vocabulary=1 + len(WORDS) + OOV_BUCKETS, users=3, features=features)
    ranker = build_ranker(dataclasses.replace(MODEL, name=name), sizes)
    draw = np.random.default_rng(seed)
    for variable in ranker.trainable_variables:
        variable.assign(variable + draw.normal(0, 0.2, variable.shape))
    return ranker


@pytest.fixture(scope="session")
def make_ranker():
    return random_ranker


@pytest.fixture(scope="session")
def copies():
    return {"search": random_ranker(1), "recommendation": random_ranker(2)}


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory, graph, copies) -> pathlib.Path:
    """Return the folder of a SavedModel with all signatures and two copies."""
    root = tmp_path_factory.mktemp("saved")
    documents = DocumentTable(root, DOCUMENTS, graph, copies)
    ServedModel(graph, copies, documents).write(root / "1")
    return root / "1"


@pytest.fixture(scope="session")
def served(saved_model):
    return tf.saved_model.load(str(saved_model)).signatures
