"""The one comparison of rankings, against scipy and hand-made numbers."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from user_tf.evaluation.differences import compare_rankings, fraction_of_oracle_gain, improvement
from user_tf.evaluation.significance import holm


@pytest.fixture(name="values")
def _values():
    """Three rankings with two metrics of 60 queries."""
    draw = np.random.default_rng(1)
    base = draw.random((60, 2))
    return {"base": base, "near": base + draw.normal(0, 0.3, (60, 2)), "far": base + 0.5 * base}


USERS = pa.array([f"user-{n // 3}" for n in range(60)])


def test_differences_are_tested_and_corrected_metric_by_metric(values):
    compared = compare_rankings(values, "base", USERS, samples=200, corrected=("near", "far"))
    for i in range(2):
        p_values = [
            stats.ttest_rel(values[name][:, i], values["base"][:, i]).pvalue
            for name in ("near", "far")
        ]
        for name, p, corrected in zip(("near", "far"), p_values, holm(p_values), strict=True):
            number = compared[name][i]
            assert number.p_value == pytest.approx(p) and number.holm == pytest.approx(corrected)
            difference = (values[name] - values["base"])[:, i].mean()
            assert number.difference == pytest.approx(difference)
            assert number.difference_interval[0] < difference < number.difference_interval[1]
            assert number.interval[0] < number.mean < number.interval[1]


def test_the_reference_has_no_difference_and_heuristics_no_correction(values):
    compared = compare_rankings(values, "base", USERS, samples=20, corrected=("far",))
    assert compared["base"][0].difference is None and compared["base"][0].p_value is None
    assert compared["near"][0].p_value is not None and compared["near"][0].holm is None
    # One test alone needs no correction.
    assert compared["far"][0].holm == compared["far"][0].p_value


def test_without_a_reference_there_are_means_and_intervals_alone(values):
    compared = compare_rankings(values, None, USERS, samples=20)
    for numbers in compared.values():
        assert all(number.difference is None and number.interval for number in numbers)


def test_an_interval_does_not_depend_on_the_other_rankings(values):
    alone = compare_rankings({"near": values["near"]}, None, USERS, samples=50)["near"]
    among = compare_rankings(values, "base", USERS, samples=50)["near"]
    for one, other in zip(alone, among, strict=True):
        np.testing.assert_allclose(one.interval, other.interval, rtol=1e-12)


def test_no_query_gives_no_number():
    empty = {"base": np.zeros((0, 2)), "near": np.zeros((0, 2))}
    number = compare_rankings(empty, "base", pa.array([], pa.string()), samples=5)["near"][0]
    assert (number.mean, number.interval, number.difference, number.p_value) == (None,) * 4


@pytest.mark.parametrize(
    ("function", "numbers"),
    [
        (lambda value, base: improvement("map", value, base), (0.5, 0.0)),
        (lambda value, base: improvement("map", value, base), (None, 0.5)),
        (lambda value, base: fraction_of_oracle_gain(value, base, 0.5), (0.7, 0.5)),
        (lambda value, base: fraction_of_oracle_gain(value, base, None), (0.7, 0.5)),
    ],
)
def test_a_ratio_to_nothing_does_not_exist(function, numbers):
    assert function(*numbers) is None
