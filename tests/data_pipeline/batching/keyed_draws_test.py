"""Draws depend on their keys alone and are uniform over what is eligible."""

import numpy as np
import tensorflow as tf

from data_pipeline.batching import keyed_draws


def test_draws_do_not_depend_on_the_other_rows():
    eligible = tf.random.stateless_uniform([50, 20], [1, 2]) > 0.3
    ids = tf.range(50, dtype=tf.int64)
    together = keyed_draws.draw_slots(eligible, 4, 3, 0, ids).numpy()
    alone = [
        keyed_draws.draw_slots(eligible[i : i + 1], 4, 3, 0, ids[i : i + 1]).numpy()[0]
        for i in range(50)
    ]
    np.testing.assert_array_equal(together, alone)


def test_draws_change_with_seed_and_epoch():
    eligible = tf.ones([50, 20], tf.bool)
    ids = tf.range(50, dtype=tf.int64)
    first = keyed_draws.draw_slots(eligible, 4, 3, 0, ids).numpy()
    assert (first != keyed_draws.draw_slots(eligible, 4, 3, 1, ids).numpy()).mean() > 0.5
    assert (first != keyed_draws.draw_slots(eligible, 4, 4, 0, ids).numpy()).mean() > 0.5


def test_only_eligible_slots_are_drawn_without_replacement():
    eligible = np.random.default_rng(0).random([200, 9]) > 0.5
    drawn = keyed_draws.draw_slots(tf.constant(eligible), 4, tf.range(200, dtype=tf.int64)).numpy()
    for row, slots in zip(eligible, drawn, strict=True):
        real = slots[slots < 9]
        assert len(real) == min(4, row.sum()) == len(set(real))
        assert row[real].all()


def test_every_eligible_slot_is_equally_likely():
    drawn = keyed_draws.draw_slots(
        tf.ones([20_000, 8], tf.bool), 2, tf.range(20_000, dtype=tf.int64)
    )
    share = np.bincount(drawn.numpy().ravel(), minlength=8) / 20_000
    np.testing.assert_allclose(share, 0.25, atol=0.015)


def test_uniform_numbers_fill_the_unit_interval():
    values = keyed_draws.uniform(tf.range(100_000, dtype=tf.int64)).numpy()
    assert values.min() >= 0 and values.max() < 1
    counts, _ = np.histogram(values, 20, (0, 1))
    np.testing.assert_allclose(counts / 100_000, 0.05, atol=0.004)
