"""The clicks the recommendation baselines read."""

import numpy as np
import pytest

from tests.user_tf.models.baselines.numpy_news import clicked_titles, tokens_of
from tests.user_tf.models.ranker_testing import tensors, with_row_subsets
from tests.user_tf.random_batch import random_batch
from user_tf.models.baselines.clicked_history import match, read_clicks
from user_tf.models.batch_ops import split_by_length


def read(batch, searches):
    """Token lists of the clicks of every target, as the models read them."""
    groups, batch = split_by_length(tensors(batch) if "text_place" not in batch else batch)
    texts = [[t for t in row if t] for group in groups for row in np.asarray(group)]
    clicks = read_clicks(batch, np.array([bool(text) for text in texts]), searches)
    rows = zip(np.asarray(clicks.texts), np.asarray(clicks.mask), strict=True)
    return [[texts[text] for text in row[mask]] for row, mask in rows]


@pytest.mark.parametrize("searches", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clicks_are_the_listed_ones_in_order(seed, searches):
    batch = random_batch(seed)
    expected = [clicked_titles(batch, target, searches) for target in range(len(batch["task"]))]
    assert any(expected)
    assert read(batch, searches) == expected
    assert read(with_row_subsets(batch, more=2), searches) == expected


def test_a_search_adds_its_clicked_titles_earliest_first_and_never_its_query():
    batch = random_batch(1, targets=2, tasks=(1,))
    batch["past_sessions"][:] = 0
    batch["current_behaviors"][0] = [1, 0, 2, 0]
    batch["behavior_type"][[1, 2]] = 2, 1
    batch["behavior_text"][[1, 2]] = 3, 4
    batch["behavior_clicked"][[1, 2]] = [[6, 5, 0], [0, 0, 0]]
    assert read(batch, True)[0] == [tokens_of(batch, text) for text in (6, 5, 4)]
    assert read(batch, False)[0] == [tokens_of(batch, 4)]


def test_gaps_between_behaviors_change_nothing():
    batch = random_batch(2)
    spread = {name: value.copy() for name, value in batch.items()}
    for name in ("session_behaviors", "current_behaviors", "past_sessions"):
        rows, width = batch[name].shape
        spread[name] = np.zeros((rows, 2 * width + 1), np.int32)
        spread[name][:, 1::2] = batch[name]
    assert read(spread, True) == read(batch, True)


def test_scores_of_half_precision_are_added_in_float32():
    users = np.full((1, 1000), 0.1, np.float16)
    assert match(users, users[:, None]).dtype == "float32"
    expected = 1000 * float(users[0, 0]) ** 2
    np.testing.assert_allclose(match(users, users[:, None]), [[expected]], rtol=1e-5)
