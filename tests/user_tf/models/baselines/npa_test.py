"""NPA against its equations, written target by target."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import convolution, dense, part, softmax
from tests.user_tf.models.baselines.numpy_news import clicked_titles, scores
from tests.user_tf.models.ranker_testing import score, tensors
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.baselines import npa

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3)


def make():
    return randomize(npa.Npa(SMALL, SIZES, dtype="float64", name="npa").build_from_sizes())


def attend(x, embedded, weights, level):
    """Rows of x `[n, f]` to one vector, as the user's row `[d]` weighs them."""
    query = np.maximum(dense(embedded, part(weights, f"{level}_query")), 0)
    key = np.tanh(dense(query, part(weights, f"{level}_key")))
    return softmax(x @ key) @ x if len(x) else np.zeros(len(key))


def oracle(batch, weights):
    def embedded(target):
        return weights["user_embedding/embeddings"][batch["user"][target]]

    def news(target, tokens):
        words = convolution(tokens, part(weights, "words"))
        return attend(words, embedded(target), weights, "word")

    def user(target):
        titles = [news(target, tokens) for tokens in clicked_titles(batch, target)]
        return attend(np.array(titles), embedded(target), weights, "click")

    return scores(batch, news, user)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_equal_the_equations_written_target_by_target(seed):
    model, batch = make(), random_batch(seed)
    expected = oracle(batch, weights_of(model))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(score(model, batch), expected, rtol=1e-9, atol=1e-12)


def test_a_title_clicked_often_counts_each_time():
    model, batch = make(), random_batch(1, targets=3, tasks=(1,))
    batch["behavior_type"][1:], batch["behavior_text"][1:] = 1, 2
    batch["behavior_text"][3] = 4
    batch["current_behaviors"][0] = [1, 2, 3, 1]
    expected = oracle(batch, weights_of(model))
    np.testing.assert_allclose(score(model, batch)[0], expected[0], rtol=1e-9, atol=1e-12)


def test_the_user_decides_which_words_count():
    model, batch = make(), random_batch(1, tasks=(1,))
    before = score(model, batch)
    batch["user"][0] = batch["user"][0] % (SIZES.users - 1) + 1
    after = score(model, batch)
    assert not np.allclose(after[0], before[0])
    np.testing.assert_array_equal(after[1:], before[1:])


def test_without_clicks_all_candidates_score_0():
    model, batch = make(), random_batch(1)
    before = score(model, batch)
    for field in ("current_behaviors", "past_sessions"):
        batch[field][0] = 0
    scores = score(model, batch)
    np.testing.assert_array_equal(scores[0], np.zeros(4))
    np.testing.assert_array_equal(scores[1:], before[1:])
    # Searches are no clicks either, whatever the words of their queries.
    batch["behavior_type"][1:] = 2
    np.testing.assert_array_equal(score(model, batch), np.zeros((7, 4)))


def test_no_array_has_a_vector_for_every_title_of_every_target(monkeypatch):
    """That would be hundreds of megabytes at the sizes of the paper, and gigabytes for its words."""
    monkeypatch.setattr(npa, "QUERY_WIDTH", 4)
    config = dataclasses.replace(SMALL, key_dim=30)
    model = npa.Npa(config, SIZES, name="npa").build_from_sizes()
    batch = tensors(random_batch(1, targets=9, texts=11, length=5, candidates=4))
    graph = tf.function(lambda batch: model(batch)).get_concrete_function(batch).graph
    outputs = [output for operation in graph.get_operations() for output in operation.outputs]
    largest = max(output.shape.num_elements() or 0 for output in outputs if output.shape.rank)
    titles = SIZES.session_behaviors * (1 + SIZES.past_sessions) + 4
    assert largest < 9 * titles * 60 / 2
