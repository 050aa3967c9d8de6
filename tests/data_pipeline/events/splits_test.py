import numpy as np
import pytest

from data_pipeline.events.as_of import NEVER
from data_pipeline.events.splits import Boundaries, assign, boundaries
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
