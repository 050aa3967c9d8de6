"""Systems compared query by query on per-query files."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from tests.user_tf.reporting import made_grid
from user_tf.evaluation import across_systems
from user_tf.evaluation.significance import holm
from user_tf.reporting.grid_folder import read_grid


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory):
    return read_grid(made_grid.write(tmp_path_factory.mktemp("runs"))).files


@pytest.fixture(name="queries", scope="module")
def _queries(files):
    return across_systems.read(files, "search")


def per_query(path, metric="map", task="search"):
    """Of the file itself: target id -> value, for the queries that count."""
    rows = pq.read_table(path).to_pylist()
    return {r["target_id"]: r[metric] for r in rows if r["task"] == task and r["counted"]}


def over_seeds(paths, **more):
    of_seeds = [per_query(path, **more) for path in paths]
    return np.array([np.mean([seed[key] for seed in of_seeds]) for key in sorted(of_seeds[0])])


def test_queries_are_joined_by_target_and_averaged_over_seeds(files, queries):
    rows = pq.read_table(files["user"][0]).to_pylist()
    left_out = [r for r in rows if r["task"] == "search" and not r["counted"]]
    assert queries.left_out == len(left_out) > 0
    assert queries.columns["target_id"].tolist() == sorted(per_query(files["user"][0]))
    assert list(queries.systems) == ["hrnn", "user_s", "user", "user_no_session"]
    np.testing.assert_allclose(
        queries.systems["user"]["map"].mean(axis=0), over_seeds(files["user"])
    )


def test_means_and_spread_are_those_over_runs(files, queries):
    entry = across_systems.compare(queries, "user", samples=20)["rankings"]["user_s"]
    of_runs = [np.mean(list(per_query(path).values())) for path in files["user_s"]]
    assert entry["runs"] == 2 and entry["learned"]
    assert entry["metrics"]["map"]["mean"] == pytest.approx(np.mean(of_runs))
    assert entry["metrics"]["map"]["std"] == pytest.approx(np.std(of_runs, ddof=1))
    low, high = entry["metrics"]["map"]["interval"]
    assert low < np.mean(of_runs) < high


def test_every_system_is_tested_against_the_reference_and_corrected_for_their_number(
    files, queries
):
    rankings = across_systems.compare(queries, "user", samples=200)["rankings"]
    reference = over_seeds(files["user"])
    others = ("hrnn", "user_s", "user_no_session")
    p_values = [stats.ttest_rel(over_seeds(files[name]), reference).pvalue for name in others]
    for name, p_value, corrected in zip(others, p_values, holm(p_values), strict=True):
        number = rankings[name]["metrics"]["map"]
        assert number["p_value"] == pytest.approx(p_value)
        assert number["holm"] == pytest.approx(corrected)
        difference = (over_seeds(files[name]) - reference).mean()
        assert number["difference"] == pytest.approx(difference)
        assert number["difference_interval"][0] < difference < number["difference_interval"][1]
    # The noisiest is worse beyond doubt.
    assert rankings["hrnn"]["metrics"]["map"]["holm"] < 0.01
    assert rankings["hrnn"]["metrics"]["map"]["difference_interval"][1] < 0
    assert "difference" not in rankings["user"]["metrics"]["map"]
    # Rankings that learn nothing are tested, too, but are none of the systems corrected for.
    order = across_systems.read(files, "search").heuristics["original order"]["map"].mean(axis=0)
    number = rankings["original order"]["metrics"]["map"]
    assert number["difference"] == pytest.approx((order - reference).mean())
    assert number["p_value"] == pytest.approx(stats.ttest_rel(order, reference).pvalue)
    assert number["holm"] is None


def test_a_system_equal_to_the_reference_has_no_difference(files):
    twice = {"user": files["user"], "twin": files["user"]}
    compared = across_systems.compare(across_systems.read(twice, "search"), "user", samples=20)
    number = compared["rankings"]["twin"]["metrics"]["map"]
    assert (number["difference"], number["p_value"], number["holm"]) == (0, 1, 1)


def test_single_task_systems_are_compared_on_their_task(files):
    found = across_systems.read(files, "recommendation")
    assert list(found.systems) == ["nrms", "user", "user_no_session"]
    # A task the reference does not rank has no differences.
    compared = across_systems.compare(found, "user_s", samples=20)["rankings"]
    assert all("difference" not in e["metrics"]["map"] for e in compared.values())
    assert across_systems.read({"hrnn": files["hrnn"]}, "recommendation") is None


def test_rankings_that_learn_nothing_stand_first_and_the_best_known_last(queries):
    compared = across_systems.compare(queries, "user", samples=20)
    names = list(compared["rankings"])
    assert names[0] == "original order" and names[-1] == "best known"
    best = compared["rankings"]["best known"]["metrics"]["map"]
    assert best["mean"] == 1 and best["fraction_of_oracle_gain"] == 1
    assert compared["rankings"]["original order"]["metrics"]["map"]["improvement"] == 0


def test_some_of_the_queries_and_metrics_may_be_compared(queries):
    rows = queries.columns["known_user"].astype(bool)
    compared = across_systems.compare(queries.take(rows), "user", 20, only=("map",))
    assert compared["queries"] == rows.sum()
    entry = compared["rankings"]["user"]
    assert list(entry["metrics"]) == ["map"]
    expected = queries.systems["user"]["map"][:, rows].mean()
    assert entry["metrics"]["map"]["mean"] == pytest.approx(expected)


def changed(path, folder, change):
    rows = pq.read_table(path)
    pq.write_table(change(rows), folder / "changed.parquet")
    return folder / "changed.parquet"


def test_the_order_of_rows_in_a_file_does_not_matter(files, queries, tmp_path):
    shuffled = changed(files["hrnn"][0], tmp_path, lambda rows: rows.sort_by("map"))
    found = across_systems.read({"user": files["user"], "hrnn": [shuffled]}, "search")
    np.testing.assert_array_equal(found.systems["hrnn"]["map"], queries.systems["hrnn"]["map"])


def test_other_queries_of_a_task_are_refused(files, tmp_path):
    fewer = changed(files["hrnn"][0], tmp_path, lambda rows: rows.slice(3))
    with pytest.raises(ValueError, match=r"the same queries of search.*changed.*target_id"):
        across_systems.read({"user": files["user"], "hrnn": [fewer]}, "search")


def test_other_candidate_lists_are_refused(files, tmp_path):
    def swapped(rows):
        name = "original order: map"
        return rows.set_column(rows.schema.get_field_index(name), name, rows["random: map"])

    other = changed(files["hrnn"][0], tmp_path, swapped)
    with pytest.raises(ValueError, match="the same candidate lists of search"):
        across_systems.read({"user": files["user"], "hrnn": [other]}, "search")
