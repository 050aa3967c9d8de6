"""Cosines, history means and token overlaps against loops; no row depends on its block."""

import numpy as np

from data_pipeline.features import text_similarity
from data_pipeline.features.text_similarity import cosines, history_vectors, token_overlap
from data_pipeline.text.word_vectors import SCALE, lengths, unit


def random_vectors(seed, size=20, width=6):
    vectors = unit(np.random.default_rng(seed).normal(size=(size, width)))
    vectors[0] = 0
    return vectors


def test_cosines_equal_a_loop_and_are_zero_beside_nothing(monkeypatch):
    left, right = random_vectors(0), random_vectors(1)
    rng = np.random.default_rng(2)
    rows, places = rng.integers(0, 20, 50), rng.integers(0, 20, 50)
    arguments = (left, rows, lengths(left)), (right, places, lengths(right))
    (result,) = cosines(*arguments)
    for found, a, b in zip(result, left[rows].astype(float), right[places], strict=True):
        scale = np.linalg.norm(a) * np.linalg.norm(b.astype(float))
        np.testing.assert_allclose(found, a @ b / scale if scale else 0, atol=1e-12)
    monkeypatch.setattr(text_similarity, "_GATHERED", 1)
    np.testing.assert_array_equal(cosines(*arguments)[0], result)


def test_history_is_the_direction_of_the_mean_over_the_known_opens():
    rng = np.random.default_rng(0)
    vectors = random_vectors(3)
    user = np.sort(rng.integers(1, 6, 40))
    text = rng.integers(0, 20, 40)
    target_user = rng.integers(0, 8, 30)  # some without any open
    known = np.array([rng.integers(0, (user == u).sum() + 1) for u in target_user])
    start = np.searchsorted(user, target_user)
    result = history_vectors(text, start, start + known, vectors.T)
    for row, (owner, count) in enumerate(zip(target_user, known, strict=True)):
        total = vectors[text[user == owner][:count]].astype(float).sum(axis=0)
        length = np.linalg.norm(total) or 1.0
        np.testing.assert_allclose(result[row] / SCALE, total / length, atol=0.51 / SCALE)
    for block in (1, 3, 7):
        blocked = history_vectors(text, start, start + known, vectors.T, block=block)
        np.testing.assert_array_equal(blocked, result)


def test_token_overlap_counts_distinct_query_tokens_found_in_the_title(monkeypatch):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 6, (15, 4)).astype(np.int32)
    tokens[0] = 0
    query, title = rng.integers(0, 15, 60), rng.integers(0, 15, 60)
    result = token_overlap(query, title, tokens)
    for found, q, d in zip(result, query, title, strict=True):
        words = set(tokens[q].tolist()) - {0}
        assert found == (len(words & set(tokens[d].tolist())) / len(words) if words else 0)
    monkeypatch.setattr(text_similarity, "_GATHERED", 1)
    np.testing.assert_array_equal(token_overlap(query, title, tokens), result)
