"""Tables made of comparisons with known numbers."""

import pathlib

import pytest

from user_tf.reporting import report_tables
from user_tf.reporting.grid_folder import System

KEYS = report_tables.TABLE_2["search"]


def system(name, scenario="unified"):
    return System(name, name.upper(), scenario, (pathlib.Path(),), ())


def number(mean, difference=None, holm=None, std=None):
    found = {"mean": mean, "std": std, "interval": [mean, mean], "improvement": 100 * mean}
    if difference is None:
        return found
    tested = {"difference": difference, "difference_interval": [difference, difference]}
    return found | tested | {"p_value": holm, "holm": holm}


def comparison(**rankings):
    """Of rankings given as (learned, number of every metric)."""
    entries = {
        name.replace("_", " "): {
            "learned": learned,
            "runs": 1,
            "metrics": dict.fromkeys(KEYS, of_metric),
        }
        for name, (learned, of_metric) in rankings.items()
    }
    sizes = {"queries": 1234, "left_out": 5, "users": 7, "reference": "user"}
    return {**sizes, "rankings": entries}


@pytest.fixture(name="compared")
def _compared():
    return comparison(
        original_order=(False, number(0.2)),
        user=(True, number(0.5, std=0.01)),
        htps=(True, number(0.6, 0.1, 0.001)),
        jsr=(True, number(0.4, -0.1, 0.2)),
        npa=(True, number(0.3, -0.2, 0.04)),
    )


def rows_of(table):
    return {row[0].text: row[1:] for row in table.rows}


SYSTEMS = [system("user"), system("htps", "search"), system("jsr"), system("npa")]


def test_the_best_of_a_column_is_the_highest_or_of_positions_the_lowest(compared):
    rows = rows_of(report_tables.table_2("search", compared, SYSTEMS))
    best = {name: [cell.best for cell in cells[1:]] for name, cells in rows.items() if cells}
    of_position = [key == "average_click_position" for key in KEYS]
    assert best["HTPS"] == [not lower for lower in of_position]
    assert best["original order"] == of_position


def test_systems_that_are_not_shown_are_not_the_best(compared):
    rows = rows_of(report_tables.table_2("search", compared, [SYSTEMS[0], SYSTEMS[2]]))
    assert "HTPS" not in rows and rows["USER"][1].best


def test_marks_tell_significant_differences_and_their_direction(compared):
    rows = rows_of(report_tables.table_2("search", compared, SYSTEMS))
    of_map, of_position = 1, 1 + KEYS.index("average_click_position")
    assert [rows[n][of_map].text for n in ("USER", "HTPS", "JSR", "NPA")] == [
        ".5000 ± .0100",
        "▲ .6000",
        ".4000",
        "▼ .3000",
    ]
    assert [rows[n][of_position].text for n in ("USER", "HTPS", "NPA")] == [
        ".500 ± .010",
        "▼ .600",
        "▲ .300",
    ]


def test_rows_stand_under_the_data_they_were_trained_on(compared):
    table = report_tables.table_2("search", compared, SYSTEMS)
    names = [row[0].text for row in table.rows]
    assert names == [
        "Heuristics",
        "original order",
        report_tables.SCENARIOS["search"],
        "HTPS",
        report_tables.SCENARIOS["unified"],
        "USER",
        "JSR",
        "NPA",
    ]
    assert "1,234 queries of 7 users, 5 left out" in table.caption


def test_differences_tell_interval_and_p_values(compared):
    table = report_tables.differences("search", compared, SYSTEMS)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["HTPS", "▲ +0.1000", "+0.1000 to +0.1000", "0.0010", "0.0010"],
        ["JSR", "-0.1000", "-0.1000 to -0.1000", "0.2000", "0.2000"],
        ["NPA", "▼ -0.2000", "-0.2000 to -0.2000", "0.0400", "0.0400"],
    ]


def test_table_3_is_relative_to_the_full_model(compared):
    table = report_tables.table_3({"search": compared}, [SYSTEMS[0], SYSTEMS[2]])
    rows = rows_of(table)
    assert rows["USER"][0].note == "" and rows["USER"][0].best
    assert rows["JSR"][0].note == "-20.00 %" and rows["original order"][0].note == "-60.00 %"
    assert len(table.columns) == 4


def test_a_cost_that_is_not_known_is_a_dash():
    known = {"parameters": 1200, "groups": 10.0, "seconds": 90.0, "groups_per_second": 5.4}
    unknown = dict.fromkeys([*known, "peak_gib"])
    found = {"user": known | {"peak_gib": None}, "jsr": unknown}
    rows = rows_of(report_tables.costs(found, [SYSTEMS[0], SYSTEMS[2]]))
    assert [cell.text for cell in rows["USER"]] == ["1", "1,200", "10", "5", "1.5", "–"]
    assert [cell.text for cell in rows["JSR"]] == ["1", *["–"] * 5]
