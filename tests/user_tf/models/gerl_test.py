"""GERL against its equations, written target by target and neighbor by neighbor."""

import numpy as np
import pytest

from data_pipeline.click_graph import MANY, click_graph
from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.models import nrms_test
from tests.user_tf.models.numpy_news import clicked_titles, tokens_of
from tests.user_tf.models.numpy_user import additive_attention, part
from tests.user_tf.models.ranker_testing import new_documents, random_graph, score
from tests.user_tf.random_batch import SIZES, random_batch
from tests.user_tf.training import tiny_dataset
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.models.gerl import NEIGHBORS, Gerl
from user_tf.models.registry import build_ranker
from user_tf.training import runs

SMALL = ModelConfig(width=8, heads=2, head_width=3, dropout=0.0)


def make(graph, tokens):
    model = randomize(Gerl(SMALL, SIZES, dtype="float64", name="gerl").build_from_sizes(), seed=6)
    model.set_graph(graph, tokens)
    return model


def oracle(batch, weights, graph, document_tokens, training=False):
    words = weights["embedding/embeddings"]
    user_rows = weights["user_embedding/embeddings"]
    document_rows = weights["document_embedding/embeddings"]

    def title(encoder, tokens):
        return nrms_test.encode(words[tokens], part(weights, encoder), SMALL.heads)

    def pool(name, vectors):
        if not vectors:
            return np.zeros(user_rows.shape[1])
        return additive_attention(np.array(vectors), part(weights, name))

    def near(neighbors, row, without):
        """Neighbors of a row in the graph without the edge to `without`."""
        linked = zip(neighbors.rows[row], neighbors.links[row], strict=True)
        return [other for other, link in linked if other and link != without]

    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        user, (slot_clicked,) = batch["user"][target], np.flatnonzero(batch["labels"][target])
        clicked = batch["candidate_doc"][target, slot_clicked]
        clicks = [title("title_encoder", tokens) for tokens in clicked_titles(batch, target)]
        for slot, document in enumerate(batch["candidate_doc"][target]):
            mine = training and slot == slot_clicked
            users = near(graph.users, user, without=clicked if training else None)
            documents = near(graph.documents, document, without=user if mine else None)
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
    expected = oracle(batch, weights_of(model), graph, tokens, training)
    real = batch["task"] > 0
    found = score(model, batch, training=training)
    np.testing.assert_allclose(found[real], expected[real], rtol=1e-9, atol=1e-12)


def linked(user_link, document_link):
    """A graph where only user 3 and documents 7 and 8 have a neighbor, with titles of one word."""
    graph, tokens = random_graph()
    for side in (graph.users, graph.documents):
        side.rows[:], side.links[:] = 0, 0
    graph.users.rows[3, 0], graph.users.links[3, 0] = 4, user_link
    graph.documents.rows[[7, 8], 0] = 9
    graph.documents.links[[7, 8], 0] = document_link
    tokens[:] = 0
    tokens[:, 0] = 1
    return graph, tokens


def test_in_training_the_target_s_own_click_links_no_neighbors():
    batch = random_batch(3)
    batch["user"][0] = 3
    batch["candidate_mask"][0] = True
    batch["candidate_doc"][0] = 7, 8, 7, 8
    batch["labels"][0] = 1, 0, 0, 0
    models = {links: make(*linked(*links)) for links in ((MANY, MANY), (7, MANY), (MANY, 3))}
    before = score(models[MANY, MANY], batch)[0]
    trained = {links: score(model, batch, training=True)[0] for links, model in models.items()}
    alone = dict(batch)
    alone["candidate_doc"] = np.zeros_like(batch["candidate_doc"])
    titles = score(models[MANY, MANY], alone)[0]

    # What others link as well stays. The user's neighbor by document 7 is gone for all candidates.
    np.testing.assert_allclose(trained[MANY, MANY], before, rtol=1e-12)
    models[MANY, MANY].user_neighbors.assign(np.zeros((SIZES.users, NEIGHBORS)))
    without = score(models[MANY, MANY], batch)[0]
    assert not np.isclose(without, before).any()
    np.testing.assert_allclose(trained[7, MANY], without, rtol=1e-12)
    # The neighbor by user 3 is gone for the clicked candidate alone.
    np.testing.assert_allclose(trained[MANY, 3], [titles[0], *before[1:]], rtol=1e-12)
    assert not np.isclose(titles[0], before[0])


@pytest.mark.parametrize("links", [(MANY, MANY), (7, 3)])
def test_labels_are_not_read_outside_training(links):
    model, batch = make(*linked(*links)), random_batch(3)
    before = score(model, batch)
    batch["labels"] = np.roll(batch["labels"], 1, axis=1)
    np.testing.assert_array_equal(score(model, batch), before)


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


def test_a_model_made_for_training_holds_the_dataset_s_graph_and_a_file_brings_it_back(tmp_path):
    dataset = tiny_dataset.write(tmp_path / "dataset")
    config = Config(
        run=str(tmp_path / "run"),
        data=DataConfig(dataset=str(dataset.path)),
        model=ModelConfig(name="gerl", width=8, heads=2, head_width=3),
        train=TrainConfig(phases=("recommendation",)),
    )
    runs.open_run(config)
    model = runs.build_model(config, dataset)
    graph = click_graph(dataset, "unified", NEIGHBORS)
    held = (
        (model.user_neighbors, graph.users.rows),
        (model.user_links, graph.users.links),
        (model.document_neighbors, graph.documents.rows),
        (model.document_links, graph.documents.links),
        (model.document_tokens, dataset.text_tokens[dataset.document_texts]),
    )
    for weight, expected in held:
        assert expected.any()
        np.testing.assert_array_equal(weight, expected)
        assert all(weight is not trained for trained in model.trainable_variables)

    empty = build_ranker(config.model, runs.model_sizes(config, dataset))
    assert not np.any(empty.user_neighbors)
    (tmp_path / "run" / "recommendation").mkdir()
    model.save_weights(tmp_path / "run" / "recommendation" / runs.BEST)
    loaded, _, _ = runs.load_model(tmp_path / "run", "recommendation")
    for before, after in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(after, before)


def test_dropout_is_where_the_setting_says():
    model = Gerl(ModelConfig(width=8, heads=2, head_width=3, dropout=0.3), SIZES)
    layers = (model, model.title_encoder, model.neighbor_encoder)
    assert [layer.dropout.rate for layer in layers] == [0.3] * 3
