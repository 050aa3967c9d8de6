"""Row subsets name exactly the rows that need the work, padded or not."""

import dataclasses

import numpy as np
import pytest

from data_pipeline.batching import row_subsets
from data_pipeline.batching.pad_sizes import table_sizes
from data_pipeline.common.codes import BehaviorType, Task
from tests.data_pipeline.batching.random_windows import SETTINGS, pack, tables, windows

BUCKETS = {"texts_upto_1": 1, "texts_upto_2": 2}


def some_one_token_texts():
    tokens = tables().text_tokens.copy()
    tokens[::3, 1] = 0
    return tokens


def batches():
    """The same windows at exact sizes and padded."""
    exact = pack(windows(), text_tokens=some_one_token_texts())
    sizes = table_sizes(exact).numpy()
    return [exact, pack(windows(), text_tokens=some_one_token_texts(), buckets=sizes[None] + 5)]


def test_lengths_halve_down_to_one_token():
    assert row_subsets.halved_lengths(30, 1) == [30]
    assert row_subsets.halved_lengths(30, 4) == [4, 8, 15, 30]
    assert row_subsets.halved_lengths(3, 9) == [1, 2, 3]


@pytest.mark.parametrize("padded", [False, True])
def test_every_text_has_its_place_in_the_shortest_bucket_that_holds_it(padded):
    batch = batches()[padded]
    length = (batch["text_tokens"] > 0).sum(1)
    for name, longest in BUCKETS.items():
        rows = batch[name][batch[name] > 0]
        assert len(rows) and (length[rows] <= longest).all()
    assert (length[batch["texts_upto_2"][batch["texts_upto_2"] > 0]] == 2).all()
    members = np.concatenate([batch[name] for name in BUCKETS])
    used = np.unique(np.concatenate([batch[n].ravel() for n in ("candidate_text", "query_text")]))
    np.testing.assert_array_equal(members[batch["text_place"][used]], used)


@pytest.mark.parametrize("padded", [False, True])
def test_only_searches_with_clicks_have_a_place_among_clicked_searches(padded):
    batch = batches()[padded]
    clicked = (batch["behavior_type"] == BehaviorType.SEARCH) & (batch["behavior_clicked"] > 0).any(
        1
    )
    assert clicked.any() and not clicked.all()
    rows = batch["clicked_searches"][batch["behavior_place"]]
    np.testing.assert_array_equal(rows, np.where(clicked, np.arange(len(clicked)), 0))
    assert (np.sort(rows[clicked]) == batch["clicked_searches"][1 : clicked.sum() + 1]).all()


@pytest.mark.parametrize("padded", [False, True])
def test_only_searches_have_a_place_among_search_targets(padded):
    batch = batches()[padded]
    search = batch["task"] == Task.SEARCH
    assert search.any() and not search.all()
    rows = batch["search_targets"][batch["target_place"]]
    np.testing.assert_array_equal(rows, np.where(search, np.arange(len(search)) + 1, 0))


def test_a_batch_without_length_buckets_has_no_row_subset():
    batch = pack(windows(), dataclasses.replace(SETTINGS, length_buckets=0))
    assert row_subsets.names(batch) == []
    assert not [name for name in batch if "place" in name]
