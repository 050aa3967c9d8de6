import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.common import sorted_arrays
from data_pipeline.common.sorted_arrays import (
    Pairs,
    concat_ranges,
    run_starts,
    searchsorted_fast,
    sorted_unique,
)

integers = st.lists(st.integers(0, 9), max_size=20)


@pytest.mark.parametrize("cached", [0, sorted_arrays._CACHED])
@given(values=integers, wanted=integers)
def test_positions_are_the_counts_of_smaller_numbers(cached, values, wanted):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_arrays, "_CACHED", cached)
        found = searchsorted_fast(np.array(sorted(values), int), np.array(wanted, int))
    assert found.tolist() == [sum(value < number for value in values) for number in wanted]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_numbered_in_their_order_and_others_are_not_found(seed):
    draw = np.random.default_rng(seed)
    left, right = draw.integers(0, 2**31, 30) // 2**28, draw.integers(0, 3, 30)
    pairs, numbers = Pairs.from_columns(left, right)
    order = sorted(set(zip(left.tolist(), right.tolist(), strict=True)))
    number = {pair: n for n, pair in enumerate(order)}
    assert [order[n] for n in numbers] == list(zip(left, right, strict=True))
    # A right column beyond the known ones must not be taken for one of the next left.
    asked = [(a, b) for a in range(10) for b in range(8)]
    found = pairs.find(*np.array(asked).T)
    assert found.tolist() == [number.get(pair, len(order)) for pair in asked]


def test_empty_arrays_have_no_runs_ranges_and_pairs():
    none = np.zeros(0, np.int64)
    assert run_starts(none).tolist() == [0]
    assert concat_ranges(none, none).tolist() == []
    assert sorted_unique(none).tolist() == []
    pairs, _ = Pairs.from_columns(none, none)
    assert pairs.find(np.array([0, 3]), np.array([0, 5])).tolist() == [0, 0]
