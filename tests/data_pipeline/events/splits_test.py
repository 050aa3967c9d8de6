import numpy as np
import pytest

from data_pipeline.events.as_of import NEVER
from data_pipeline.events.splits import (
    Boundaries,
    assign,
    assign_targets,
    boundaries,
    find_given,
)
from data_pipeline.settings import SplitSettings


def test_quantiles_run_over_the_sessions_after_the_history_period():
    starts = np.arange(0, 1000, 10)
    limits = boundaries(starts, 0, 1000, SplitSettings(history_share=0.4))
    assert limits == Boundaries(train=400, validation=800, test=900)
    splits = assign(starts, limits)
    assert np.bincount(splits + 1).tolist() == [40, 40, 10, 10]


def test_sessions_with_equal_starts_stay_together():
    starts = np.array([0, 1, 2, 5, 5, 5, 5, 8, 9])
    limits = boundaries(starts, 0, 9, SplitSettings())
    splits = assign(starts, limits)
    assert len(set(splits[starts == 5])) == 1


def test_the_order_of_sessions_does_not_matter():
    starts = np.array([5, 1, 9, 3, 7, 2])
    assert boundaries(starts, 0, 9, SplitSettings()) == boundaries(
        np.sort(starts), 0, 9, SplitSettings()
    )


def test_a_part_of_zero_is_empty():
    starts = np.arange(6)
    limits = boundaries(starts, 0, 5, SplitSettings(validation_parts=0, test_parts=0))
    assert limits.validation == limits.test == NEVER
    assert assign(starts, limits).tolist() == [0] * 6


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_history_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=r"`split.history_share` must be in \[0, 1\).*--split"):
        boundaries(np.arange(3), 0, 2, SplitSettings(history_share=share))


def test_no_training_part_is_refused():
    with pytest.raises(ValueError, match=r"`split\.train_parts` must be at least 1"):
        boundaries(np.arange(3), 0, 2, SplitSettings(train_parts=0))


def test_a_history_period_that_swallows_every_target_is_refused():
    with pytest.raises(ValueError, match="at least one session with a target after the history"):
        boundaries(np.array([0, 1]), 0, 100, SplitSettings(history_share=0.9))


def test_given_times_replace_the_boundaries_by_parts():
    starts = np.arange(0, 1000, 10) * 1_000_000
    at = "1970-01-01T00:{:02d}:{:02d}".format
    both = SplitSettings(validation_begins=at(5, 0), test_begins=at(10, 0))
    assert boundaries(starts, 0, 10**9, both) == Boundaries(0, 300_000_000, 600_000_000)
    only_test = SplitSettings(test_begins=at(10, 0))
    assert boundaries(starts, 0, 10**9, only_test) == Boundaries(0, 480_000_000, 600_000_000)
    only_validation = SplitSettings(validation_begins=at(5, 0))
    assert boundaries(starts, 0, 10**9, only_validation) == Boundaries(0, 300_000_000, 650_000_000)
    no_test = SplitSettings(validation_begins=at(5, 0), test_parts=0)
    assert boundaries(starts, 0, 10**9, no_test).test == NEVER
    no_validation = SplitSettings(test_begins=at(10, 0), validation_parts=0)
    assert boundaries(starts, 0, 10**9, no_validation).validation == 600_000_000


def test_a_given_time_cuts_sessions_too():
    starts, times = np.array([5, 5, 5, 40]), np.array([5, 15, 35, 45])
    limits = Boundaries(0, 10, 30)
    assert assign_targets(starts, times, limits, limits).tolist() == [0, 1, 2, 2]
    only_test = Boundaries(-NEVER, NEVER, 30)
    assert assign_targets(starts, times, limits, only_test).tolist() == [0, 0, 2, 2]
    none = Boundaries(-NEVER, NEVER, NEVER)
    assert assign_targets(starts, times, limits, none).tolist() == [0, 0, 0, 2]


def test_times_have_zones_or_are_utc():
    for text in ("2019-11-15", "2019-11-15T00:00:00Z", "2019-11-15T01:00:00+01:00"):
        assert find_given(SplitSettings(test_begins=text)).test == 1_573_776_000_000_000


@pytest.mark.parametrize("text", ["15.11.2019", "yesterday", "2019-13-01"])
def test_a_time_of_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"`split.test_begins` must be a time in ISO 8601.*Fix: "):
        find_given(SplitSettings(test_begins=text))


def test_boundaries_in_the_wrong_order_are_refused():
    settings = SplitSettings(validation_begins="2019-11-15", test_begins="2019-11-14")
    with pytest.raises(ValueError, match=r"`split.validation_begins` must be after"):
        boundaries(np.arange(3), 0, 2, settings)
