"""Word vectors are repeatable; quantised text vectors have exact products."""

import os
import subprocess
import sys

import numpy as np

from data_pipeline.settings import TextSettings
from data_pipeline.text.word_vectors import SCALE, dots, lengths, text_vectors, unit, word_vectors

WORDS = ["", *[f"w{i}" for i in range(1, 40)]]
SETTINGS = TextSettings(width=16, oov_buckets=5, word2vec_epochs=3)


def sentences(seed=0, count=300):
    """Words 1-19 and 20-38 never meet; 39 never occurs; 40 and above are hashed."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 2, (count, 1))
    tokens = (rng.integers(1, 20, (count, 8)) + 19 * topic).astype(np.int32)
    tokens *= np.arange(8) < rng.integers(1, 9, (count, 1))
    tokens[0, 0] = 42
    return tokens


PROGRAM = """
import hashlib, sys
sys.path[:0] = [{root!r}, {tests!r}]
from word_vectors_test import SETTINGS, WORDS, sentences, word_vectors
print(hashlib.sha256(word_vectors(sentences(), WORDS, SETTINGS, 1).tobytes()).hexdigest())
"""


def test_word_vectors_are_the_same_bytes_in_every_process():
    tests = os.path.dirname(os.path.abspath(__file__))
    program = PROGRAM.format(root=os.path.dirname(os.path.dirname(tests)), tests=tests)
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": salt},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(digests) == 1


def test_rows_are_zero_for_padding_learned_for_words_and_small_for_the_rest():
    vectors = word_vectors(sentences(), WORDS, SETTINGS, seed=1)
    untrained = word_vectors(sentences()[:0], WORDS, SETTINGS, seed=1)
    assert vectors.shape == (45, 16)
    assert vectors.dtype == np.float32
    assert not vectors[0].any()
    assert (vectors[1:39] != untrained[1:39]).all()
    np.testing.assert_array_equal(vectors[39:], untrained[39:])
    assert 0.05 < vectors[40:].std() < 0.2


def test_words_that_meet_are_closer_than_words_that_do_not():
    settings = TextSettings(width=16, oov_buckets=5, word2vec_epochs=60)
    vectors = word_vectors(sentences(count=600), WORDS, settings, seed=1)[1:39]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    products = vectors @ vectors.T
    same = (products[:19, :19].mean() + products[19:, 19:].mean()) / 2
    assert same > products[:19, 19:].mean() + 0.2


def test_no_epochs_give_seeded_normals():
    settings = TextSettings(width=16, oov_buckets=5, word2vec_epochs=0)
    first = word_vectors(sentences(), WORDS, settings, seed=1)
    np.testing.assert_array_equal(first, word_vectors(sentences(), WORDS, settings, seed=1))
    assert (first[1:] != word_vectors(sentences(), WORDS, settings, seed=2)[1:]).all()
    assert not first[0].any()


def test_text_vectors_are_the_direction_of_the_mean_word_vector():
    words = np.random.default_rng(0).normal(size=(45, 16)).astype(np.float32)
    words[0] = 0
    tokens = sentences(count=50)
    tokens[3] = 0
    result = text_vectors(tokens, words)
    assert result.dtype == np.int16
    assert not result[3].any()
    for text, vector in zip(tokens, result, strict=True):
        mean = words[text[text > 0]].mean(axis=0) if text.any() else np.zeros(16)
        length = max(np.linalg.norm(mean), 1e-9)
        np.testing.assert_allclose(vector / SCALE, mean / length, atol=0.51 / SCALE)


def test_products_of_the_widest_units_are_exact_in_float32():
    rng = np.random.default_rng(0)
    a, b = unit(rng.normal(size=(200, 1024))), unit(rng.normal(size=(200, 1024)))
    b[:100] = a[:100]
    expected = (a.astype(np.int64) * b).sum(axis=1)
    np.testing.assert_array_equal(dots(a.astype(np.float32), b), expected)
    matrix = a.astype(np.float32) @ b.astype(np.float32).T
    np.testing.assert_array_equal(matrix, a.astype(np.int64) @ b.astype(np.int64).T)
    np.testing.assert_allclose(lengths(a), SCALE, rtol=0.02)


def test_the_length_of_nothing_is_one():
    assert lengths(np.zeros([2, 3], np.int16)).tolist() == [1, 1]
