"""Two systems query by query, against values computed by hand from their files."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from user_tf.explore.system_differences import LISTED, compare_systems


def values_of(folder, run, column="map", task="search"):
    table = pq.read_table(folder / run / "evaluation" / "test-queries.parquet")
    rows = [row for row in table.to_pylist() if row["task"] == task and row["counted"]]
    return {row["target_id"]: row for row in rows}, {row["target_id"]: row[column] for row in rows}


def test_wins_losses_and_means_are_those_of_the_files(exploration, folder):
    found = compare_systems(exploration.runs, "test", "search")
    assert (found.first, found.second) == ("user", "user_plus")
    _, first = values_of(folder, "user")
    _, second = values_of(folder, "user_plus")
    gain = {key: first[key] - second[key] for key in first}
    assert found.queries == len(gain) == found.wins + found.losses + found.ties
    assert found.wins == sum(value > 1e-9 for value in gain.values())
    np.testing.assert_allclose(found.means, [np.mean([*v.values()]) for v in (first, second)])
    assert found.difference == pytest.approx(np.mean([*gain.values()]))
    largest = sorted(gain.values(), reverse=True)
    assert [query.difference for query in found.best] == pytest.approx(
        [value for value in largest[:LISTED] if value > 0]
    )
    assert [query.difference for query in found.worst] == pytest.approx(
        [value for value in largest[::-1][:LISTED] if value < 0]
    )
    assert all(gain[query.target_id] == query.difference for query in found.best)
    assert sum(count for _, _, count in found.histogram) == found.queries


def test_a_heuristic_a_slice_and_a_metric_of_which_less_is_better(exploration, folder):
    rows, first = values_of(folder, "user", "average_click_position")
    _, second = values_of(folder, "user", "original order: average_click_position")
    part = "repeated query"
    kept = [key for key, row in rows.items() if row["query_seen"]]
    found = compare_systems(
        exploration.runs,
        "test",
        "search",
        second="original order",
        metric="average_click_position",
        part=part,
    )
    assert part in found.slices and found.queries == len(kept)
    assert found.wins == sum(first[key] < second[key] for key in kept)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "validation"}, r"`run` must be evaluated on search targets of the validation"),
        ({"split": "test", "first": "hrnn"}, "`first` must be one of .*user"),
        ({"split": "test", "metric": "mapp"}, "`metric` must be one of map"),
        ({"split": "test", "part": "none"}, "`slice` must be one of"),
    ],
)
def test_impossible_comparisons_are_refused(exploration, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_systems(exploration.runs, task="search", **arguments)
