"""README.md, RESULTS.md and the results of the flagfiles, made from JSON files."""

import json
import re
import shutil

import pytest

from benchmarks.results_page import flagfile_headers, known_answers, readme
from benchmarks.results_page.flagfile_headers import with_result
from benchmarks.results_page.grid_results import read_grids
from benchmarks.results_page.notes import fill_notes
from user_tf.experiments.systems import resolve


def line(text, start):
    return next(line for line in text.splitlines() if line.startswith(f"| {start} |"))


def section(text, heading):
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def map_of(results, world, name, task="search"):
    content = json.loads((results / f"grid_{world}.json").read_text(encoding="utf-8"))
    return content["tasks"][task]["all_queries"]["rankings"][name]["metrics"]["map"]


def test_readme_has_one_table_of_results(results):
    block = readme.block(results)
    assert line(block, "MAP on test targets").count("linked") == 2 and "independent" not in block
    number = map_of(results, "linked", "user")
    cells = line(block, "USER").strip("| ").split(" | ")
    assert cells[1] == f"{number['mean']:.4f} ± {number['std']:.4f}".replace("0.", ".")
    best = map_of(results, "linked", "hrnn")
    rival = line(block, "best baseline of the paper").strip("| ").split(" | ")
    assert f"{best['mean']:.4f}".replace("0.", ".") in rival[1] and rival[1].endswith("(HRNN)")
    # USER's variants are no baselines; a system that was not trained has a dash.
    assert rival[2] == "–" and line(block, "LambdaMART over F") == "| LambdaMART over F | – | – |"
    for name in ("original order", "most recently touched"):
        found = map_of(results, "linked", name)["mean"]
        assert f"{found:.4f}".replace("0.", ".") in line(block, name)
    assert line(block, "oracle (simulator's click probabilities)")
    assert "(RESULTS.md)" in block and "groups/s" not in block


def test_readme_has_one_table_of_speed(results, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    rates = {"median": 2.0, "least": 1.0, "most": 3.0, "rounds": [2.0, 1.0, 3.0]}
    layout = {
        "history": 30,
        "groups_per_second": {"user": rates | {"median": 1500.0}, "released_layout": rates},
        "ratio": rates | {"median": 85.0},
        "texts_encoded_a_group": {"user": 2.5, "released_layout": 150},
    }
    content = {
        "command": "python -m benchmarks.layout_speed",
        "machine": {"cpu": "a CPU", "cores": 2},
        "versions": {"tensorflow": "2"},
        "date": "2026-01-01",
        "workload": "`simulate`",
        "other_load": "a test",
        "layouts": [layout],
    }
    (folder / "layout_speed.json").write_text(json.dumps(content), encoding="utf-8")
    row = "| 30 | 1,500 (1 to 3) | 2.0 (1.0 to 3.0) | 85 (1 to 3) |"
    block = readme.block(folder)
    assert row in block.splitlines() and "Meanwhile: a test." in block
    text = section(readme.page(folder), "Speed against the layout of the released code")
    assert row in text and "2.5 and 150 at 30 behaviors" in text


def test_the_page_has_all_tables_of_a_world_and_names_what_is_missing(results):
    text = section(readme.page(results), "Simulated, linked services")
    for name in ("Table 2, search", "Table 3", "Departures of the released code", "Figure 4"):
        assert f"**{name}" in text
    table_3 = text[text.index("**Table 3") : text.index("**Departures")]
    assert "w/o session encoder" in table_3 and "no KNRM" not in table_3
    assert "Not measured in this world yet: user_no_history, user_no_pretraining." in text
    assert "Not finished and left out: user/seed3." in text
    assert "2 runs at a time, each on its share of the cores; tests" in text
    assert line(text[text.index("**Cost") :], "HRNN").split(" | ")[2] == "12"


def test_figure_5_stands_in_the_section_of_its_world(results, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    (folder / "figure5_linked").mkdir()
    drawn = {"target": {"task": "search"}, "command": "python -m user_tf.explain --target=7"}
    (folder / "figure5_linked/attention.json").write_text(json.dumps(drawn), encoding="utf-8")
    text = section(readme.page(folder), "Simulated, linked services")
    assert "**Figure 5**: attention of a search" in text and f"`{drawn['command']}`" in text
    assert "(benchmarks/results/figure5_linked/attention.svg)" in text
    assert "Figure 5" not in readme.page(results)


def test_worlds_without_results_say_so(tmp_path):
    text = readme.page(tmp_path, tmp_path)
    for heading in readme._WORLD_TITLES.values():
        assert "not measured yet" in section(text, heading)
    assert section(text, "Tuning").strip() == "not measured yet."
    assert (
        readme.block(tmp_path)
        == "All tables, with their costs and tuning: [RESULTS.md](RESULTS.md).\n"
    )


def test_a_world_of_known_answers_has_one_table_of_all_its_systems(results):
    text = section(readme.page(results), "Simulated, independent services")
    assert line(text, "USER-S") and "Figure 4" not in text
    assert "Not measured in this world yet: user_r, user_no_history." in text
    answers = section(readme.page(results), "Where the answer is known")
    gain = -map_of(results, "independent", "user_s")["difference"]
    (found,) = (row for row in answers.splitlines() if row.startswith("| independent | search |"))
    assert f"{gain:+.4f}" in found and re.search(r"\| (yes|\*\*no\*\*) \|$", found)


def test_the_tuning_tells_budget_and_choice(results):
    text = section(readme.page(results), "Tuning")
    assert "Every system has the same 2 trials" in text
    assert "* trial 1: `--model.dropout=0.3`" in text
    assert line(text, "hrnn") == "| hrnn | .3000 | **.3500** | 1 | 2 |"


def test_notes_are_filled_from_the_results(results, tmp_path):
    (tmp_path / "linked.md").write_text(
        "USER-S: {search.user_s.map.change}, {independent:search.user_s.map.mean}, "
        "{search.most recently touched.map}, {cost.user.parameters} numbers.\n"
    )
    (filled,) = fill_notes("linked", read_grids(results), tmp_path)
    one, user = (map_of(results, "linked", name)["mean"] for name in ("user_s", "user"))
    other = map_of(results, "independent", "user_s")["mean"]
    touched = map_of(results, "linked", "most recently touched")["mean"]
    change = f"{100 * (one / user - 1):+.2f} %"
    numbers = f"{other:.4f}, {touched:.4f}".replace("0.", ".")
    assert filled == f"USER-S: {change}, {numbers}, 12 numbers."
    text = section(readme.page(results, tmp_path), "Simulated, linked services")
    assert text.index(filled) < text.index("**Table 2")


@pytest.mark.parametrize(
    "wrong",
    ["search.htps.map", "search.user.map.change", "trivago:search.user.map", "search.user", "x"],
)
def test_a_note_of_what_was_not_measured_is_refused(results, tmp_path, wrong):
    (tmp_path / "linked.md").write_text("{" + wrong + "}")
    with pytest.raises(ValueError, match=rf"Got {{{re.escape(wrong)}}} in .*linked\.md"):
        fill_notes("linked", read_grids(results), tmp_path)


def test_every_flagfile_begins_with_its_command_and_its_result(root, results):
    # What user_tf.tune wrote has a result of its own.
    written = (path for path in root.rglob("*.flags") if "tuned" not in path.parts)
    before = {path: path.read_text(encoding="utf-8").splitlines() for path in written}
    after = readme.contents(root, results)
    assert set(before) <= set(after)
    for path, lines in before.items():
        command, result, *rest = after[path].splitlines()
        assert command == lines[0] and command.startswith("# Command: ")
        assert result.startswith("# Result: ") and rest == lines[2:]


def test_a_result_is_that_of_the_json_files(root, results):
    found = {
        str(path.relative_to(root / "configs")): text.splitlines()[1]
        for path, text in readme.contents(root, results).items()
        if path.suffix == ".flags"
    }
    number = map_of(results, "linked", "user_s")
    number = f"{number['mean']:.4f} ± {number['std']:.4f}".replace("0.", ".")
    expected = f"# Result: test MAP in linked (2 seeds): search {number}."
    assert found["systems/user_s.flags"] == expected
    assert found["systems/npa.flags"] == "# Result: not measured yet."
    assert found["datasets/trivago.flags"] == "# Result: not measured yet."
    assert "(1 to 2 seeds): search: USER " in found["experiments/table2.flags"]
    answers = known_answers.answers(read_grids(results))
    holding = [answer.holds for answer in answers if answer.holds is not None]
    expected = f"# Result: {sum(holding)} of {len(holding)} answers are the expected ones."
    assert len(holding) == 3 and found["experiments/known_answers.flags"].startswith(expected)
    assert "1 of 2 systems keep the common settings" in found["tuning/simulated.flags"]
    parts = json.loads((results / "grid_linked.json").read_text(encoding="utf-8"))
    first = parts["tasks"]["search"]["slices"]["first of the user"]["rankings"]["user"]
    expected = f"search, first of the user: USER {first['metrics']['map']['mean']:.4f}"
    assert expected.replace("0.", ".") in found["experiments/figure4.flags"]
    # Made systems have no JSON of a study.
    assert found["train/simulated.flags"] == "# Result: not measured yet."


@pytest.mark.parametrize("text", ["# A.\n# Result: 1\n", "# Command: a\n# B.\n", "--a=1\n", ""])
def test_a_flagfile_without_command_and_result_is_refused(text):
    with pytest.raises(ValueError, match=r"must begin with lines .*Got .*Fix: write both lines"):
        with_result(text, "2")


def test_what_was_written_is_not_written_anew(root, results):
    for path, text in readme.contents(root, results).items():
        path.write_text(text, encoding="utf-8")
    again = readme.contents(root, results)
    assert all(path.read_text(encoding="utf-8") == text for path, text in again.items())
    resolve([f"--flagfile={root / 'configs' / 'train' / 'simulated.flags'}"])


def test_a_study_tells_its_flagfile():
    result = flagfile_headers.expected_results()["train/simulated"]
    content = json.loads((readme.RESULTS / "simulated.json").read_text(encoding="utf-8"))
    found = content["systems"]["USER, linked"]["tasks"]["search"]["rankings"]["user"]["map"]
    assert f"search {found['mean']:.4f}".replace("0.", ".") in result
    assert "3 seeds" in result
