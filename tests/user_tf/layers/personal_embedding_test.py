"""Personal word vectors and the hash that gives their rows."""

import numpy as np

from tests.user_tf.layer_testing import randomize, run_layer_test, weights_of
from user_tf.layers.personal_embedding import PersonalEmbedding, hash_pairs

RNG = np.random.default_rng(0)
ARGUMENTS = {
    "words": RNG.normal(size=(3, 2, 4, 5)),
    "tokens": np.array(
        [[[5, 2, 7, 1], [3, 5, 0, 0]], [[5, 2, 0, 0], [0] * 4], [[5, 2, 7, 0], [3, 0, 0, 0]]],
        np.int32,
    ),
    "users": np.array([[1], [2], [0]], np.int32),
}


def make(dtype=None):
    return PersonalEmbedding(personal_rows=50, dtype=dtype)


def hashed(user, token, rows):
    """In integers without end, reduced after every step."""
    x = (0x9E3779B1 * int(user) + int(token)) % 2**32
    x = (x ^ (x >> 16)) * 0x85EBCA6B % 2**32
    x = (x ^ (x >> 13)) * 0xC2B2AE35 % 2**32
    return (x ^ (x >> 16)) % rows


def test_rows_are_those_of_the_hash_written_in_integers():
    users, tokens = np.array([[1], [2_000_000]], np.int32), np.array([3, 200_999], np.int32)
    expected = [[hashed(user, token, 12_345) for token in tokens] for user in users[:, 0]]
    np.testing.assert_array_equal(hash_pairs(users, tokens, 12_345), expected)


def test_pairs_share_a_row_no_more_often_than_by_chance():
    rows, pairs = 10_000, 30_000
    found = np.asarray(hash_pairs(np.arange(1, 301)[:, None], np.arange(1, 101), rows))
    assert found.min() >= 0
    assert found.max() < rows
    expected = rows * (1 - np.exp(-pairs / rows))
    assert abs(len(np.unique(found)) / expected - 1) < 0.01


def test_words_move_by_the_row_of_the_pair():
    layer = make("float64")
    layer.build(ARGUMENTS["words"].shape)
    randomize(layer)
    (table,) = weights_of(layer).values()
    expected = ARGUMENTS["words"].copy()
    for place in np.ndindex(*ARGUMENTS["tokens"].shape):
        user, token = ARGUMENTS["users"][place[0], 0], ARGUMENTS["tokens"][place]
        if user and token:
            expected[place] += table[hashed(user, token, 50)]
    assert np.abs(expected - ARGUMENTS["words"]).max() > 0.1
    found = layer(ARGUMENTS["words"], **{k: ARGUMENTS[k] for k in ("tokens", "users")})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_before_training_personal_words_equal_the_shared_ones():
    found = make("float64")(ARGUMENTS["words"], **{k: ARGUMENTS[k] for k in ("tokens", "users")})
    np.testing.assert_array_equal(found, ARGUMENTS["words"])


def test_layer():
    run_layer_test(make, ARGUMENTS, weights=1, varying=[("words", 2), ("tokens", 2)])
