import numpy as np
import pytest

from data_pipeline.lookup import Timeline, ranges, runs


@pytest.mark.parametrize("seed", range(5))
def test_counting_before_a_moment_equals_counting_one_by_one(seed):
    draw = np.random.default_rng(seed)
    # Times beyond what owner * range could hold in 64 bits.
    owner, time = draw.integers(0, 10**9, 40) // 2 * 2, draw.integers(0, 2**62, 40)
    asked = np.concatenate([owner[:20], draw.integers(0, 10**9, 20)])
    moments = np.concatenate([time[:10], time[:20] + draw.integers(-1, 2, 20), [0] * 10])
    found = Timeline(owner, time).before(asked, moments)
    expected = [int(((owner == a) & (time < m)).sum()) for a, m in zip(asked, moments, strict=True)]
    assert found.tolist() == expected


def test_nothing_has_no_runs_and_no_ranges():
    none = np.zeros(0, np.int64)
    assert runs(none).tolist() == [0]
    assert ranges(none, none).tolist() == []
    assert Timeline(none, none).before(np.array([3]), np.array([5])).tolist() == [0]
