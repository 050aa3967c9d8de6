"""Known answers and the paper's, decided from numbers made by hand."""

import pytest

from benchmarks.results_page import known_answers, paper
from benchmarks.results_page.grid_results import Grid


def grid(world, **rankings):
    """A grid of one task whose rankings have the given numbers of MAP."""
    entries = {
        name.replace("_", " ") if name.startswith(("most", "original", "best")) else name: {
            "learned": name.startswith("user"),
            "metrics": {"map": number},
        }
        for name, number in rankings.items()
    }
    systems = [
        {"system": name, "label": name.upper(), "scenario": "unified", "runs": [], "unfinished": []}
        for name in rankings
        if name.startswith("user")
    ]
    compared = {"all_queries": {"rankings": entries}}
    return Grid(world, {"reference": "user", "systems": systems, "tasks": {"search": compared}})


def lacking(difference, p_value):
    bounds = [difference - 0.01, difference + 0.01]
    number = {"mean": 0.5 + difference, "difference": difference, "difference_interval": bounds}
    return number | {"p_value": p_value, "holm": 1.0}


def answer(grids, world, task="search"):
    (found,) = (a for a in known_answers.answers(grids) if (a.world, a.task) == (world, task))
    return found


@pytest.mark.parametrize(
    ("difference", "p_value", "significant_gain"),
    [(-0.02, 0.01, True), (-0.02, 0.06, False), (0.02, 0.01, False), (0.0, None, False)],
)
def test_a_gain_is_significant_where_the_other_is_worse(difference, p_value, significant_gain):
    numbers = {"user": {"mean": 0.5}, "user_s": lacking(difference, p_value)}
    grids = {world: grid(world, **numbers) for world in ("independent", "linked")}
    assert answer(grids, "independent").holds is not significant_gain
    assert answer(grids, "linked").holds is significant_gain


def test_a_gain_is_told_with_interval_and_p_from_the_side_of_the_reference():
    numbers = {"user": {"mean": 0.5}, "user_no_history": lacking(-0.03, 0.2)}
    found = answer({"session_only": grid("session_only", **numbers)}, "session_only")
    assert found.measured == "USER − USER_NO_HISTORY: +0.0300 (+0.0200 to +0.0400), p = 0.2000"
    assert found.holds


@pytest.mark.parametrize(
    ("low", "share", "in_linked", "holds"),
    [(0.55, 0.8, 0.5, True), (0.39, 0.8, 0.5, False), (0.55, 0.8, 0.9, False)],
)
def test_touched_is_strong_above_all_else_and_more_than_in_linked(low, share, in_linked, holds):
    touched = {"mean": 0.6, "interval": [low, 0.65], "fraction_of_oracle_gain": share}
    others = {"mean": 0.4, "interval": [0.35, 0.45]}
    best = {"mean": 0.9, "interval": [0.88, 0.92]}
    user = {"mean": 0.5}
    grids = {
        "refinding": grid(
            "refinding",
            user=user,
            original_order=others,
            most_recently_touched=touched | {"difference": 0.1, "p_value": 0.01},
            best_known=best,
        ),
        "linked": grid("linked", most_recently_touched={"fraction_of_oracle_gain": in_linked}),
    }
    found = answer(grids, "refinding")
    assert found.holds is holds
    assert "original order .4000" in found.measured and "+0.1000, p = 0.0100" in found.measured


def test_worlds_without_results_have_no_answer():
    found = known_answers.answers({})
    assert len(found) == 7
    assert all(a.holds is None and a.measured == known_answers.NOT_MEASURED for a in found)


def test_the_papers_direction_is_told_where_both_systems_are_there():
    claim = next(c for c in paper.CLAIMS if c.one == "user" and c.other == "user_s")
    measured = grid("linked", user={"mean": 0.55}, user_s={"mean": 0.5, "holm": 0.02})
    assert paper.measured(claim, measured) == ("+10.00 %", "same direction, p = 0.0200")
    worse = grid("linked", user={"mean": 0.45}, user_s={"mean": 0.5, "holm": 0.02})
    assert paper.measured(claim, worse) == ("-10.00 %", "other direction, p = 0.0200")
    assert paper.measured(claim, grid("linked", user={"mean": 0.45})) == ("–", "")
    assert paper.measured(claim, None) == ("–", "")
