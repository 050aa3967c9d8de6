"""Comparison of rankings, the text table, the JSON."""

import json

import numpy as np
import pytest

from user_tf.evaluation import (
    comparison,
    evaluated_targets,
    evaluator,
    heuristics,
    metrics,
    metrics_table,
)


@pytest.fixture(name="evaluations")
def _evaluations(table_of):
    rows = evaluated_targets.from_table(table_of(200))
    scores = heuristics.rankings(rows, seed=1)
    noise = np.random.default_rng(1).random(rows.mask.shape)
    scores |= {"best known": rows.labels + 0.1 * noise, "user": rows.labels + 2 * noise}
    return {name: evaluator.evaluate(rows, rows.target_id, s) for name, s in scores.items()}


def test_every_ranking_is_compared_with_the_original_order(evaluations):
    compared = comparison.compare(evaluations, "search", samples=200)
    rankings = compared["rankings"]
    original, user = rankings["original order"], rankings["user"]
    m, o = user["metrics"]["map"], original["metrics"]["map"]
    assert m == evaluations["user"].summary()["search"]["map"]
    assert user["improvement"]["map"] == pytest.approx(100 * (m - o) / o)
    c, d = (x["metrics"]["average_click_position"] for x in (user, original))
    assert c < d
    assert user["improvement"]["average_click_position"] == pytest.approx(100 * (d - c) / d)
    assert user["interval"]["map"][0] < m < user["interval"]["map"][1]
    assert user["difference_interval"]["map"][0] < m - o < user["difference_interval"]["map"][1]
    assert user["p_value"]["map"] < 0.05
    assert "improvement" not in original and "fraction_of_oracle_gain" not in original


def test_the_best_ranking_has_all_of_the_possible_gain(evaluations):
    rankings = comparison.compare(evaluations, "search", samples=10)["rankings"]
    best, user, original = (
        rankings[name]["metrics"]["map"] for name in ("best known", "user", "original order")
    )
    assert best == 1  # its scores are the labels
    assert rankings["best known"]["fraction_of_oracle_gain"]["map"] == 1
    share = rankings["user"]["fraction_of_oracle_gain"]["map"]
    assert share == pytest.approx((user - original) / (best - original))


def test_without_truth_no_fraction_of_oracle_gain_is_given(evaluations):
    del evaluations["best known"]
    rankings = comparison.compare(evaluations, "search", samples=10)["rankings"]
    assert all("fraction_of_oracle_gain" not in entry for entry in rankings.values())


def test_rankings_of_other_targets_are_refused(evaluations):
    rows = evaluations["user"].targets
    part = evaluator.evaluate(rows, rows.target_id[:5], evaluations["user"].scores[:5])
    with pytest.raises(ValueError, match="5 targets of 'user', 200 of 'original order'"):
        comparison.compare(evaluations | {"user": part}, "search")


def test_a_comparison_of_no_countable_query_is_written_as_none(evaluations):
    rows = evaluations["user"].targets
    keep = ~metrics.countable(rows.labels, rows.mask)
    few = {
        name: evaluator.evaluate(rows, rows.target_id[keep], e.scores[keep])
        for name, e in evaluations.items()
    }
    compared = comparison.compare(few, "search", samples=10)
    assert compared["queries"] == 0 and compared["left_out"] > 0
    assert compared["rankings"]["user"]["metrics"]["map"] is None
    assert compared["rankings"]["user"]["interval"]["map"] is None
    json.dumps(compared, allow_nan=False)
    assert " - " in metrics_table.text_table("search", compared)


def test_the_table_shows_rankings_metrics_improvement_and_significance(evaluations):
    compared = comparison.compare(evaluations, "search", samples=10)
    text = metrics_table.text_table("search (test)", compared)
    lines = text.splitlines()
    assert lines[0].startswith(f"search (test): {compared['queries']} queries of ")
    assert lines[1].split() == [
        "MAP",
        "MRR",
        "P@1",
        "Avg.C",
        "NDCG@5",
        "NDCG@10",
        "AUC",
        "AUC",
        "all",
    ]
    row = next(i for i, line in enumerate(lines) if line.startswith("user"))
    entry = compared["rankings"]["user"]
    assert lines[row].split()[1] == f"{entry['metrics']['map']:.4f}"
    assert f"{entry['improvement']['map']:+.1f}*" in lines[row + 1]
    assert f"{entry['fraction_of_oracle_gain']['map']:.2f}" in lines[row + 2]
    assert max(map(len, lines)) <= 90


def test_cells_of_long_lists_stay_apart(evaluations):
    compared = comparison.compare(evaluations, "search", samples=10)
    entry = compared["rankings"]["user"]
    entry["metrics"]["average_click_position"] = 228.56789
    entry["improvement"] |= {"map": 3152.54, "mrr": -3152.54}
    entry["p_value"] |= {"map": 0.01, "mrr": 0.01}
    lines = metrics_table.text_table("search", compared).splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("user"))
    assert lines[row].split()[4] == "228.57"
    assert lines[row + 1].split()[4:6] == ["+3153*", "-3153*"]


def test_the_slice_table_sets_rankings_side_by_side(evaluations):
    compared = comparison.compare(evaluations, "search", samples=10)
    text = metrics_table.slice_table(compared, ("original order", "user"))
    line = next(line for line in text.splitlines() if "unknown user" in line)
    slices = [compared["rankings"][n]["slices"]["unknown user"] for n in ("original order", "user")]
    assert line.split()[2:] == [str(slices[0]["queries"]), *(f"{s['map']:.4f}" for s in slices)]


def test_the_query_table_holds_every_ranking(evaluations):
    table = metrics_table.query_table(evaluations, "user")
    assert table.num_rows == 200
    assert table["map"].to_pylist() == evaluations["user"].table()["map"].to_pylist()
    assert (
        table["popularity: mrr"].to_pylist() == evaluations["popularity"].table()["mrr"].to_pylist()
    )


def test_the_provenance_tells_command_seed_machine_and_versions():
    content = metrics_table.provenance("command", 3)
    assert content["seed"] == 3 and content["command"] == "command"
    assert set(content["machine"]) == {"cpu", "cores", "system"}
    assert content["versions"]["numpy"] == np.__version__
