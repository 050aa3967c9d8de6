"""The hash in NumPy against published numbers and against the graph's."""

import warnings

import numpy as np
import tensorflow as tf

from data_pipeline.batching import keyed_draws
from data_pipeline.common.keyed_hash import keyed


def test_the_hash_is_that_of_the_published_generator():
    # The seed moves on by this constant from each number to the next.
    step = np.uint64(0x9E3779B97F4A7C15)
    states = np.uint64(1234567) + step * np.arange(5, dtype=np.uint64)
    assert keyed(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_hashes_equal_those_of_the_graph():
    ids = np.array([0, 1, 2**40, -3])
    expected = tf.bitcast(keyed_draws.keyed(9, tf.constant(ids)), tf.uint64).numpy()
    np.testing.assert_array_equal(keyed(9, ids), expected)


def test_hashes_depend_on_the_order_of_the_keys_and_not_on_their_shape():
    rows, columns = np.arange(4)[:, np.newaxis], np.arange(3)
    table = keyed(5, rows, columns)
    assert table.dtype == np.uint64 and table.shape == (4, 3)
    assert table.tolist() == [[int(keyed(5, i, j)) for j in range(3)] for i in range(4)]
    assert keyed(1, 2) != keyed(2, 1)


def test_scalar_keys_wrap_in_silence():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert keyed(-1, 2**63 - 1) > 0
