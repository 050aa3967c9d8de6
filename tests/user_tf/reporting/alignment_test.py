"""The alignment of sequences."""

import itertools

import numpy as np
import pytest

from user_tf.reporting.alignment import align, common


def test_sequences_of_one_task_share_the_rows_of_the_unified_one():
    both, searches, browses = "aXbYa", "aba", "XY"
    assert align([both, searches, browses]) == [
        [0, 0, None],
        [1, None, 0],
        [2, 1, None],
        [3, None, 1],
        [4, 2, None],
    ]


def test_a_sequence_that_reaches_further_back_comes_first():
    assert align(["Xb", "cdb"]) == [[None, 0], [None, 1], [0, None], [1, 2]]


def test_of_repeated_items_the_latest_are_paired():
    assert align(["aaa", "aa"]) == [[0, None], [1, 0], [2, 1]]


def test_empty_sequences_add_no_row():
    assert align(["", "ab"]) == [[None, 0], [None, 1]]
    assert align(["ab", ""]) == [[0, None], [1, None]]
    assert align([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_every_item_has_one_row_and_order_is_kept(seed):
    draw = np.random.default_rng(seed)
    sequences = ["".join(draw.choice(list("abcd"), draw.integers(0, 12))) for _ in range(3)]
    rows = align(sequences)
    for number, sequence in enumerate(sequences):
        indices = [row[number] for row in rows if row[number] is not None]
        assert indices == list(range(len(sequence)))
    for row in rows:
        assert len({sequences[n][index] for n, index in enumerate(row) if index is not None}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_no_common_subsequence_is_longer(seed):
    draw = np.random.default_rng(seed)
    left, right = ("".join(draw.choice(list("ab"), 7)) for _ in range(2))
    found = common(left, right)
    assert all(left[i] == right[j] for i, j in found)
    longer = {"".join(part) for part in itertools.combinations(left, len(found) + 1)} & {
        "".join(part) for part in itertools.combinations(right, len(found) + 1)
    }
    assert not longer
