"""README.md, RESULTS.md and the heads of the flagfiles, made of JSON files."""

import json
import re
import shutil

import pytest

from benchmarks.results_page import flagfile_headers, known_answers, readme
from benchmarks.results_page.flagfile_headers import Header, with_header
from benchmarks.results_page.grid_results import read_grids
from benchmarks.results_page.notes import fill_notes
from user_tf.experiments.systems import resolve


def line(text, start):
    return next(line for line in text.splitlines() if line.startswith(f"| {start} |"))


def section(text, heading):
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def map_of(results, world, name, task="search"):
    content = json.loads((results / f"grid_{world}.json").read_text(encoding="utf-8"))
    return content["tasks"][task]["whole"]["rankings"][name]["metrics"]["map"]


def test_readme_has_a_table_of_each_main_world(results):
    block = readme.block(results)
    number = map_of(results, "linked", "user")
    row = line(block, "USER").split(" | ")
    assert row[1] == "2"
    assert row[2] == f"**{number['mean']:.4f} ± {number['std']:.4f}**".replace("0.", ".")
    single = line(block, "HRNN").split(" | ")
    assert single[1] == "1" and "±" not in single[2]
    assert line(block, "USER-R").split(" | ")[2] == "–"
    for name in ("popularity", "anti-popularity", "most recently touched", "best known"):
        assert line(block, name)
    # The best known ranking is better, but not a system's.
    assert "**" not in line(block, "best known")
    after = block[block.index("### Real rows") :]
    assert after.splitlines()[2].startswith("The grid is not measured yet")
    assert "no KNRM" not in block


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
    assert readme.block(tmp_path).count("The grid is not measured yet") == 2


def test_a_world_of_known_answers_has_one_table_of_all_its_systems(results):
    text = section(readme.page(results), "Simulated, independent services")
    assert line(text, "USER-S") and "Figure 4" not in text
    assert "Not measured in this world yet: user_r, user_no_history." in text
    answers = section(readme.page(results), "Where the answer is known")
    gain = -map_of(results, "independent", "user_s")["difference"]
    (told,) = (row for row in answers.splitlines() if row.startswith("| independent | search |"))
    assert f"{gain:+.4f}" in told and re.search(r"\| (yes|\*\*no\*\*) \|$", told)


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
    with pytest.raises(ValueError, match=rf"Received: {{{re.escape(wrong)}}} in .*linked\.md"):
        fill_notes("linked", read_grids(results), tmp_path)


def test_every_flagfile_tells_time_and_result(root, results):
    # What user_tf.tune wrote has a head of its own.
    written = (path for path in root.rglob("*.flags") if "tuned" not in path.parts)
    before = {path: path.read_text(encoding="utf-8") for path in written}
    after = readme.contents(root, results)
    assert set(before) <= set(after)
    for path, text in after.items():
        if path.suffix == ".flags":
            flags = [row for row in text.splitlines() if not row.startswith("#")]
            assert flags == [r for r in before[path].splitlines() if not r.startswith("#")]
            assert text.count("\n# Time: ") == text.count("\n# Result: ") == 1
            assert max(map(len, (r for r in text.splitlines() if r.startswith("#")))) <= 110


def test_a_head_tells_what_was_measured(root, results):
    heads = {
        str(path.relative_to(root / "configs")): text
        for path, text in readme.contents(root, results).items()
        if path.suffix == ".flags"
    }
    number = map_of(results, "linked", "user_s")
    told = f"{number['mean']:.4f} ± {number['std']:.4f}".replace("0.", ".")
    head = " ".join(heads["systems/user_s.flags"].replace("\n#", "").split())
    assert f"linked (2 seeds): search {told}; independent (2 seeds)" in head
    assert " Time: a run in linked 0.3 minutes and 1.5 GiB" in head
    assert "# Result:   not measured yet." in heads["systems/npa.flags"]
    assert "# Result:   not measured yet." in heads["datasets/trivago.flags"]
    assert "(1 to 2 seeds; 3 other systems)" in heads["experiments/table2.flags"]
    answers = known_answers.answers(read_grids(results))
    holding = [answer.holds for answer in answers if answer.holds is not None]
    told = f"# Result:   {sum(holding)} of {len(holding)} answers are the expected ones."
    assert len(holding) == 3 and told in heads["experiments/known_answers.flags"]
    assert "1 of 2 systems keep the common settings" in heads["tuning/simulated.flags"]
    parts = json.loads((results / "grid_linked.json").read_text(encoding="utf-8"))
    first = parts["tasks"]["search"]["slices"]["first of the user"]["rankings"]["user"]
    told = f"search, first of the user: USER {first['metrics']['map']['mean']:.4f}"
    figure = " ".join(heads["experiments/figure4.flags"].replace("\n#", "").split())
    assert told.replace("0.", ".") in figure
    # Made systems have no JSON of a study.
    assert "# Result:   not measured yet." in heads["train/simulated.flags"]


def test_a_head_is_replaced_whole():
    head = with_header("# A.\n# Hardware: x.\n#           y.\n#\n# Why.\n--a=1\n", Header("1", "2"))
    expected = (
        "# A.\n# Hardware: x.\n#           y.\n# Time:     1\n# Result:   2\n#\n# Why.\n--a=1\n"
    )
    assert head == expected
    long = Header("words " * 40, "more " * 50)
    assert with_header(with_header(head, long), Header("1", "2")) == expected
    assert (
        with_header("# A.\n--a=1\n", Header("1", "2")).splitlines()[1:3]
        == expected.splitlines()[3:5]
    )


def test_what_was_written_is_not_written_anew(root, results):
    for path, text in readme.contents(root, results).items():
        path.write_text(text, encoding="utf-8")
    again = readme.contents(root, results)
    assert all(path.read_text(encoding="utf-8") == text for path, text in again.items())
    resolve([f"--flagfile={root / 'configs' / 'train' / 'simulated.flags'}"])


def test_a_study_tells_its_flagfile():
    head = flagfile_headers.headers()["train/simulated"]
    content = json.loads((readme.RESULTS / "simulated.json").read_text(encoding="utf-8"))
    found = content["systems"]["USER, linked"]["tasks"]["search"]["rankings"]["user"]["map"]
    assert f"search {found['mean']:.4f}".replace("0.", ".") in head.result
    assert "3 seeds" in head.result
