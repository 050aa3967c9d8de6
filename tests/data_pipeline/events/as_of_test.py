"""Point-in-time counts against a loop over all events."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.events.as_of import AsOfIndex, EventTimes, TimeRanks

small = st.integers(0, 3)
times = st.sampled_from([0, 7, 10**15, 2**62])
events_strategy = st.lists(st.tuples(small, times, st.integers(-2, 5)), max_size=12)
moments = st.sampled_from([0, 6, 7, 8, 10**15, 10**15 + 1, 2**62, 2**62 + 1])
probes_strategy = st.lists(st.tuples(st.integers(0, 4), moments), max_size=6)


def integers(rows, column):
    return np.array([row[column] for row in rows], np.int64)


@settings(max_examples=200, deadline=None)
@given(events=events_strategy, probes=probes_strategy)
def test_known_events_are_those_of_the_owner_that_are_strictly_earlier(events, probes):
    owner, time, value = (integers(events, column) for column in range(3))
    time_ranks = TimeRanks(time)
    index = AsOfIndex(owner, time_ranks.rank(time), time_ranks.size, ordered=True)
    moment = time_ranks.rank(integers(probes, 1))
    first, after = index.known(integers(probes, 0), moment)
    sums = index.running(value)
    event_times = EventTimes(owner, time)
    for row, (asked, limit) in enumerate(probes):
        known = [n for n, event in enumerate(events) if event[0] == asked and event[1] < limit]
        assert sorted(index.order[first[row] : after[row]].tolist()) == known
        assert sums[after[row]] - sums[first[row]] == value[known].sum()
    counts = index.count(integers(probes, 0), moment)
    np.testing.assert_array_equal(counts, after - first)
    before = event_times.before(integers(probes, 0), integers(probes, 1))
    np.testing.assert_array_equal(before, counts)


@settings(max_examples=50, deadline=None)
@given(events=events_strategy)
def test_events_are_sorted_by_owner_and_time(events):
    owner, time = integers(events, 0), integers(events, 1)
    time_ranks = TimeRanks(time)
    order = AsOfIndex(owner, time_ranks.rank(time), time_ranks.size, ordered=True).order
    assert [(owner[n], time[n]) for n in order] == sorted((o, t) for o, t, _ in events)


def test_ranks_of_several_arrays_keep_the_order_of_times():
    time_ranks = TimeRanks(np.array([50, 20]), np.array([30, 20]), np.zeros(0, np.int64))
    assert time_ranks.times.tolist() == [20, 30, 50]
    assert time_ranks.rank(np.array([20, 25, 30, 51])).tolist() == [0, 1, 1, 3]
    assert time_ranks.size == 4


def test_an_owner_without_events_begins_where_the_others_end():
    event_times = EventTimes(np.array([5, 2, 5]), np.array([1, 2, 3]))
    assert event_times.start(np.array([2, 3, 5, 6])).tolist() == [0, 1, 1, 3]
    assert event_times.position(np.array([5, 5]), np.array([2, 4])).tolist() == [2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_counts_before_a_time_equal_counting_one_by_one(seed):
    draw = np.random.default_rng(seed)
    # Times beyond what owner * range could hold in 64 bits.
    owner, time = draw.integers(0, 10**9, 40) // 2 * 2, draw.integers(0, 2**62, 40)
    asked = np.concatenate([owner[:20], draw.integers(0, 10**9, 20)])
    moments = np.concatenate([time[:10], time[:20] + draw.integers(-1, 2, 20), [0] * 10])
    found = EventTimes(owner, time).before(asked, moments)
    expected = [int(((owner == a) & (time < m)).sum()) for a, m in zip(asked, moments, strict=True)]
    assert found.tolist() == expected


def test_no_events_give_no_counts():
    none = np.zeros(0, np.int64)
    assert EventTimes(none, none).before(np.array([3]), np.array([5])).tolist() == [0]
