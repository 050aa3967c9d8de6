import pytest

from data_pipeline.description.table_1 import table_text
from data_pipeline.preparation.prepare_folder import prepare


@pytest.fixture
def statistics(builder, tmp_path, small_settings):
    """Two users; the second one's session is the test split."""
    for doc in "abc":
        builder.document(doc)
    builder.request("r1", "u", 0, "red", ("a", 5, None), ("b", 6, None), "c")
    builder.browse("u", 60, "c")
    builder.request("r2", "u", 120, "red", "a", "b").request(
        "r3", "u", 180, "", "c", ("a", 185, 1.0)
    )
    builder.request("r4", "v", 9_000, "blue", ("a", 9_005, None), "c")
    split = {"train_parts": 1, "validation_parts": 0, "test_parts": 1}
    log = builder.write(tmp_path / "log")
    return prepare(small_settings(log, tmp_path / "dataset", split=split))["statistics"]


def test_statistics_are_counted_by_period(statistics):
    assert statistics["train"] == {
        "users": 1,
        "sessions": 1,
        "sessions_with_both": 1,
        "behaviors": 4,
        "searches": 2,
        "distinct_queries": 1,
        "browses": 2,
        "search_clicks": 2,
        "behaviors_per_session": 4.0,
        "sessions_per_user": 1.0,
        "clicks_per_search": 1.0,
        "search_targets": 1,
        "recommendation_targets": 0,
        "search_groups": 2,
        "recommendation_groups": 0,
        "candidates_per_target": 3.0,
    }
    assert statistics["test"]["searches"] == statistics["test"]["search_groups"] == 1
    assert statistics["validation"]["behaviors"] == 0
    assert statistics["all"]["behaviors"] == 5 and statistics["all"]["users"] == 2


def test_the_table_has_a_line_a_statistic_and_a_column_a_period(statistics):
    lines = table_text(statistics).splitlines()
    assert lines[0].split() == ["history", "train", "validation", "test", "all"]
    assert next(line.split() for line in lines if line.startswith("behaviors ")) == [
        "behaviors",
        "0",
        "4",
        "0",
        "1",
        "5",
    ]
