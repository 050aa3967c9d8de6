"""The numbers kept of a grid's report and of a tuning."""

import json

import pytest

from tests.benchmarks.conftest import TRIALS
from user_tf.reporting.contents import FIGURE_4
from user_tf.reporting.report_tables import TABLE_2


@pytest.fixture(name="content")
def _content(results):
    return json.loads((results / "grid_linked.json").read_text(encoding="utf-8"))


def test_a_grid_keeps_its_numbers_to_six_digits(content, work):
    report = json.loads((work / "grids" / "linked" / "report.json").read_text(encoding="utf-8"))
    for task, keys in TABLE_2.items():
        found = content["tasks"][task]["all_queries"]
        expected = report["tasks"][task]["all_queries"]
        assert list(found["rankings"]) == list(expected["rankings"])
        for name in ("queries", "users", "left_out"):
            assert found[name] == expected[name]
        for name, entry in found["rankings"].items():
            assert list(entry["metrics"]) == list(keys)
            for key, number in entry["metrics"].items():
                full = expected["rankings"][name]["metrics"][key]
                for part, value in number.items():
                    whole_number = full[part]
                    close = None if whole_number is None else pytest.approx(whole_number, rel=1e-5)
                    assert value == close
        main = found["rankings"]["user_no_session"]["metrics"]["map"]
        assert {"interval", "difference_interval", "p_value", "fraction_of_oracle_gain"} <= set(
            main
        )


def test_of_the_slices_those_of_figure_4_are_kept(content):
    for found in content["tasks"].values():
        assert found["slices"] and set(found["slices"]) <= set(FIGURE_4)


def test_systems_seeds_and_provenance_are_kept(content):
    systems = {entry["system"]: entry for entry in content["systems"]}
    assert systems["user"]["runs"] == ["user/seed1", "user/seed2"]
    assert content["unfinished"] == systems["user"]["unfinished"] == ["user/seed3"]
    assert content["grid"]["command"] == "python -m user_tf.experiment"
    assert content["grid"]["machine"]["cores"] and content["other_load"] == "tests"
    assert content["costs"]["hrnn"]["peak_gib"] == 1.5


def test_a_metric_is_a_line(results):
    lines = (results / "grid_linked.json").read_text(encoding="utf-8").splitlines()
    (first, *_) = [line for line in lines if line.strip().startswith('"map": ')]
    assert first.rstrip(",").endswith("}") and '"interval": [' in first


def test_a_tuning_is_told_with_its_seconds(results):
    content = json.loads((results / "tuning_simulated.json").read_text(encoding="utf-8"))
    assert [entry["system"] for entry in content["systems"]] == [name for name, *_ in TRIALS]
    trial = content["systems"][1]["trials"][1]
    assert (trial["seconds"], trial["groups"], trial["validation_map"]) == (60, 100, 0.35)
