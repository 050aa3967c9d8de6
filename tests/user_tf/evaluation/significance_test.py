"""Paired t-test over queries, Holm's correction, bootstrap over users."""

import numpy as np
import pyarrow as pa
import pytest

from user_tf.evaluation.significance import holm, paired_t_test, user_bootstrap


def test_the_t_test_is_paired():
    draw = np.random.default_rng(1)
    level = draw.normal(0, 10, 200)  # queries differ much, rankings little
    assert paired_t_test(level + draw.normal(0.3, 1, 200), level) < 0.01
    assert paired_t_test(level, draw.permutation(level)) > 0.05


def test_the_t_test_of_too_few_or_equal_queries_is_told_plainly():
    assert paired_t_test(np.ones(1), np.zeros(1)) is None
    assert paired_t_test(np.ones(3), np.ones(3)) == 1
    assert paired_t_test(np.ones(3), np.zeros(3)) == 0


def test_holm_multiplies_the_smallest_p_value_most_and_keeps_their_order():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2 and 0.04 x 1, of which the last two are below what came before.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.3]) == [0.3]
    assert holm([]) == []


def test_holm_rejects_what_the_step_down_procedure_rejects():
    draw = np.random.default_rng(1)
    for _ in range(50):
        p_values = draw.uniform(0, 0.05, 6)
        steps = np.sort(p_values) <= 0.05 / np.arange(6, 0, -1)
        rejected = 6 if steps.all() else int(np.argmin(steps))
        assert (np.array(holm(p_values.tolist())) <= 0.05).sum() == rejected


def test_the_interval_covers_the_mean_of_independent_users():
    covered = 0
    for trial in range(200):
        values = np.random.default_rng(trial).normal(5, 1, [60, 1])
        users = pa.array(np.arange(60).astype(str))
        (interval,) = user_bootstrap(values, users, 300, trial)
        covered += interval.low < 5 < interval.high
    assert 0.88 < covered / 200 <= 0.99


def test_the_interval_widens_where_queries_of_a_user_go_together():
    level = np.random.default_rng(1).normal(size=50)
    values = np.repeat(level, 20)[:, None]
    apart = user_bootstrap(values, pa.array(np.arange(1000).astype(str)))[0]
    together = user_bootstrap(values, pa.array(np.repeat(np.arange(50), 20).astype(str)))[0]
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_columns_share_their_resamplings_and_the_seed_decides():
    values = np.random.default_rng(1).normal(size=[100, 1])
    users = pa.array(np.random.default_rng(2).integers(0, 30, 100).astype(str))
    pair = user_bootstrap(np.concatenate([values, values + 1], axis=1), users, seed=4)
    assert pair[1].low == pytest.approx(pair[0].low + 1)
    alone = user_bootstrap(values, users, seed=4)
    assert alone[0].low == pytest.approx(pair[0].low, rel=1e-12)
    assert alone == user_bootstrap(values, users, seed=4) != user_bootstrap(values, users, seed=5)


def test_blocks_of_resamplings_change_nothing(monkeypatch):
    values = np.random.default_rng(1).normal(size=[100, 2])
    users = pa.array(np.random.default_rng(2).integers(0, 30, 100).astype(str))
    whole = user_bootstrap(values, users)
    monkeypatch.setattr("user_tf.evaluation.significance._BLOCK", 7 * 30)
    for left, right in zip(user_bootstrap(values, users), whole, strict=True):
        assert (left.low, left.high) == pytest.approx((right.low, right.high), rel=1e-12)


def test_no_query_gives_no_interval():
    assert user_bootstrap(np.zeros((0, 2)), pa.array([], pa.string())) == []
