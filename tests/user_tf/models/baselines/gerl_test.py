"""GERL against its equations, written target by target and neighbor by neighbor."""

import numpy as np
import pytest

from data_pipeline.dataset.click_graph import click_graph
from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers import numpy_layers
from tests.user_tf.layers.numpy_layers import additive_attention, part
from tests.user_tf.models.baselines.numpy_news import clicked_titles, tokens_of
from tests.user_tf.models.ranker_testing import new_documents, random_graph, score
from tests.user_tf.random_batch import SIZES, random_batch
from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.models.baselines.gerl import NEIGHBORS, Gerl
from user_tf.registry import build_ranker

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, dropout=0.0)


def make(graph, tokens):
    model = randomize(Gerl(SMALL, SIZES, dtype="float64", name="gerl").build_from_sizes(), seed=6)
    model.set_graph(graph, tokens)
    return model


def oracle(batch, weights, graph, document_tokens):
    words = weights["embedding/embeddings"]
    user_rows = weights["user_embedding/embeddings"]
    document_rows = weights["document_embedding/embeddings"]

    def title(encoder, tokens):
        return numpy_layers.attentive_encoder(
            words[tokens], part(weights, encoder), SMALL.num_heads
        )

    def pool(name, vectors):
        if not vectors:
            return np.zeros(user_rows.shape[1])
        return additive_attention(np.array(vectors), part(weights, name))

    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        user = batch["user"][target]
        clicks = [title("title_encoder", tokens) for tokens in clicked_titles(batch, target)]
        for slot, document in enumerate(batch["candidate_doc"][target]):
            users = [other for other in graph.users[user] if other]
            documents = [other for other in graph.documents[document] if other]
            texts = [[token for token in document_tokens[other] if token] for other in documents]
            texts = [title("neighbor_encoder", tokens) for tokens in texts if tokens]
            candidate = tokens_of(batch, batch["candidate_text"][target, slot])
            result[target, slot] = (
                user_rows[user] @ pool("title_pool", texts)
                + pool("user_pool", [user_rows[other] for other in users])
                @ pool("document_pool", [document_rows[other] for other in documents])
                + pool("click_pool", clicks) @ title("title_encoder", candidate)
            )
    return result


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_scores_equal_the_equations_written_target_by_target(seed, training):
    graph, tokens = random_graph(seed)
    model, batch = make(graph, tokens), random_batch(seed)
    expected = oracle(batch, weights_of(model), graph, tokens)
    real = batch["task"] > 0
    found = score(model, batch, training=training)
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-9, atol=1e-12)


def test_new_documents_and_unknown_users_are_scored_by_titles_alone():
    graph, tokens = random_graph(4)
    model, batch = make(graph, tokens), random_batch(4)
    new_documents(batch)
    expected = score(model, batch)
    assert np.abs(expected).max() > 1e-3
    for table in (model.user_embedding, model.document_embedding):
        table.embeddings.assign(table.embeddings * 2)
    np.testing.assert_array_equal(score(model, batch), expected)
    batch["user"][:] = 0
    np.testing.assert_array_equal(score(model, batch), expected)


def test_a_model_made_for_training_has_the_graph_of_the_dataset_and_saves_it(tmp_path):
    dataset = tiny_dataset.write(tmp_path / "dataset")
    config = Config(
        run=str(tmp_path / "run"),
        data=DataConfig(dataset=str(dataset.path)),
        model=ModelConfig(name="gerl", width=8, num_heads=2, key_dim=3),
        train=TrainConfig(phases=("recommendation",)),
    )
    run_folder.open_run(config)
    model = run_folder.build_model(config, dataset)
    graph = click_graph(dataset, "unified", NEIGHBORS)
    held = (
        (model.user_neighbors, graph.users),
        (model.document_neighbors, graph.documents),
        (model.document_tokens, dataset.text_tokens[dataset.document_texts]),
    )
    for weight, expected in held:
        assert expected.any()
        np.testing.assert_array_equal(weight, expected)
        assert all(weight is not trained for trained in model.trainable_variables)

    empty = build_ranker(config.model, run_folder.read_sizes(config, dataset))
    assert not np.any(empty.user_neighbors)
    (tmp_path / "run" / "recommendation").mkdir()
    model.save_weights(tmp_path / "run" / "recommendation" / run_folder.BEST)
    loaded, _, _ = run_folder.load_model(tmp_path / "run", "recommendation")
    for before, after in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(after, before)


def test_dropout_is_where_the_setting_says():
    model = Gerl(ModelConfig(width=8, num_heads=2, key_dim=3, dropout=0.3), SIZES)
    layers = (model, model.title_encoder, model.neighbor_encoder)
    assert [layer.dropout_layer.rate for layer in layers] == [0.3] * 3
