"""Batches are padded to a few fixed sizes, the same ones for all epochs and seeds."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching.batches import evaluation_batches, training_batches
from data_pipeline.batching.pad_sizes import table_sizes
from tests.data_pipeline.batching.random_windows import pack, windows


def sizes(batches):
    return [tuple(table_sizes(batch).numpy().tolist()) for batch in batches]


@pytest.fixture(scope="module")
def fixed(batch_settings):
    return dataclasses.replace(batch_settings, fixed_sizes="on")


def test_a_batch_is_padded_to_the_smallest_bucket_that_fits():
    batch = pack(windows())
    exact = table_sizes(batch).numpy()
    buckets = np.stack([exact - 1, exact + 3, exact + 9]).astype(np.int32)
    padded = pack(windows(), buckets=buckets)
    assert table_sizes(padded).numpy().tolist() == (exact + 3).tolist()
    for name, value in batch.items():
        if name.endswith("_place"):
            continue
        inside = tuple(slice(size) for size in value.shape)
        np.testing.assert_array_equal(padded[name][inside], value)
        rest = padded[name].copy()
        rest[inside] = empty = -1 if name == "target_id" else 0
        assert (rest == empty).all()
    assert padded["history_slots"].shape == tuple(
        len(x) + 3 for x in (batch["task"], batch["history_slots"][0])
    )


def test_a_batch_larger_than_every_bucket_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="no size bucket holds the batch"):
        pack(windows(), buckets=np.ones([2, 9], np.int32))


def test_three_epochs_and_another_seed_take_at_most_four_shapes(batch_dataset, fixed):
    exact = dataclasses.replace(fixed, fixed_sizes="off")
    padded_shapes, exact_shapes = set(), set()
    for seed, epoch in ((1, 0), (1, 1), (1, 2), (2, 0)):
        batches = training_batches(batch_dataset, "unified", fixed, seed, epoch)
        padded_shapes |= set(sizes(batches))
    for epoch in range(2):
        exact_shapes |= set(sizes(training_batches(batch_dataset, "unified", exact, 1, epoch)))
    assert 1 < len(padded_shapes) <= 4
    assert len(exact_shapes) > 8, "batches of equal sizes would prove nothing"


def test_evaluation_takes_at_most_four_shapes(batch_dataset, fixed):
    found = sizes(evaluation_batches(batch_dataset, "unified", "test", fixed))
    assert len(set(found)) <= 4 < len(found)


def test_sizes_are_exact_on_a_cpu_unless_fixed(batch_dataset, batch_settings):
    assert not tf.config.list_logical_devices("GPU")
    automatic = sizes(training_batches(batch_dataset, "unified", batch_settings, 1, 0))
    off = dataclasses.replace(batch_settings, fixed_sizes="off")
    assert automatic == sizes(training_batches(batch_dataset, "unified", off, 1, 0))
