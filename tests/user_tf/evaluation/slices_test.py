"""Slices of any column."""

import numpy as np
import pytest

from user_tf.evaluation.evaluated_targets import SLICE_COLUMNS
from user_tf.evaluation.slices import SLICES, default_slices, slice_by

COLUMNS = {
    "known_user": np.array([True, False, True, True]),
    "past_behaviors": np.array([0, 4, 10, 30]),
    "user_id": np.array(["ann", "bob", "ann", "cid"], object),
}


def rows(found):
    return {name: np.flatnonzero(row).tolist() for name, row in found.items()}


def test_booleans_and_strings_are_sliced_by_value():
    assert rows(slice_by("known_user", COLUMNS)) == {
        "known_user: no": [1],
        "known_user: yes": [0, 2, 3],
    }
    assert rows(slice_by("user_id", COLUMNS)) == {
        "user_id: ann": [0, 2],
        "user_id: bob": [1],
        "user_id: cid": [3],
    }


def test_bins_begin_at_the_edges_listed():
    assert rows(slice_by("past_behaviors:1:10", COLUMNS)) == {
        "past_behaviors < 1": [0],
        "1 <= past_behaviors < 10": [1],
        "past_behaviors >= 10": [2, 3],
    }


def test_without_edges_numbers_are_cut_at_their_quartiles():
    values = np.random.default_rng(1).permutation(400)
    sizes = [row.sum() for row in slice_by("n", {"n": values}).values()]
    assert len(sizes) == 4 and sum(sizes) == 400 and min(sizes) >= 99
    # Three quarters are equal: fewer bins, each with queries.
    few = slice_by("n", {"n": np.array([1] * 9 + [2, 3, 4])})
    assert sum(row.sum() for row in few.values()) == 12
    assert all(row.any() for row in few.values())


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ("age", r"column of the per-query files.*'age'.*known_user, past_behaviors"),
        ("past_behaviors:10:1", r"ascending numbers.*'past_behaviors:10:1'"),
        ("past_behaviors:few", r"ascending numbers"),
        ("known_user:1", r"holds numbers.*--slice=known_user"),
    ],
)
def test_impossible_slices_are_refused(request_, message):
    with pytest.raises(ValueError, match=message):
        slice_by(request_, COLUMNS)


def test_a_column_of_too_many_values_is_refused():
    names = np.array([f"user-{n}" for n in range(31)], object)
    with pytest.raises(ValueError, match=r"at most 30 values.*'user_id' with 31"):
        slice_by("user_id", {"user_id": names})


def test_default_slices_read_columns_of_the_per_query_file_and_cut_histories_once():
    assert {part.column for part in SLICES} <= set(SLICE_COLUMNS)
    lengths = np.array([0, 1, 9, 10, 29, 30, 500])
    found = rows(default_slices({"past_behaviors": lengths}))
    assert list(found.values()) == [[0], [1, 2], [3, 4], [5, 6]]


def test_default_slices_without_a_query_are_left_out():
    assert list(default_slices({"known_user": np.array([True])})) == []
    assert list(default_slices({"query_tokens": np.array([0, 2])})) == ["query of 2 tokens"]
