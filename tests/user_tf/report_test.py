"""The command `python -m user_tf.report` on hand-made results."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.user_tf.reporting import made_grid
from user_tf.reporting import contents, figures, grid_report
from user_tf.reporting.grid_folder import read_grid


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    folder = made_grid.write(tmp_path_factory.mktemp("runs"))
    settings = grid_report.ReportSettings(slice=("past_behaviors:2:6", "known_user"), samples=50)
    grid_report.write_report(folder, settings, "python -m user_tf.report runs")
    return folder


def read(folder, ending):
    return (folder / f"report.{ending}").read_text(encoding="utf-8")


def line(text, start):
    return next(line for line in text.splitlines() if line.startswith(f"| {start} |"))


class Tags(HTMLParser):
    """Checks that tags close in the order they open, and collects ids and links."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        self.ids += [names["id"]] if "id" in names else []
        self.links += [names[n] for n in ("src", "href", "xlink:href") if n in names]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_beside_it(folder):
    page = read(folder, "html")
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and page.count("<svg") == 2
    assert all(link.startswith("#") and link[1:] in tags.ids for link in tags.links)
    assert len(set(tags.ids)) == len(tags.ids)
    assert "@import" not in page and "url(http" not in page and "<script" not in page
    addresses = set(re.findall(r"https?://[^\s\"<]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}


def test_page_and_markdown_tell_the_same_tables(folder):
    page, text = read(folder, "html"), read(folder, "md")
    for heading in ("Overall performance", "Ablations", "Parts of the queries", "Training", "Cost"):
        assert f"<h2>{heading}</h2>" in page and f"## {heading}\n" in text
    assert "# Systems & noise\n" in text and "<h1>Systems &amp; noise</h1>" in page
    assert "user/seed3" in page and "user/seed3" in text
    assert r"USER \| no session" in text and "USER | no session" in page


def test_table_2_has_every_system_of_its_data_the_best_in_bold(folder):
    text, numbers = read(folder, "md"), json.loads(read(folder, "json"))
    found = numbers["tasks"]["search"]["all_queries"]["rankings"]
    table = text[text.index("Table 2, search") : text.index("Table 2, recommendation")]
    user = found["user"]["metrics"]["map"]
    expected = f"**{user['mean']:.4f} ± {user['std']:.4f}** <br> {user['improvement']:+.1f} %"
    cells = line(table, "USER").split(" | ")
    assert cells[1] == "2" and cells[2] == expected.replace("0.", ".", 1).replace(" 0.", " .")
    assert "▼" in line(table, "HRNN") and "▼" not in line(table, "USER")
    assert "NRMS" not in table and "no session" not in table
    places = [table.index(f"| {name} |") for name in ("HRNN", "USER-S", "USER", "best known")]
    assert places == sorted(places)
    assert line(table, "best known").rstrip(" |").endswith("1.00")
    for name in ("original order", "random", "popularity", "most recently touched"):
        assert line(table, name)
    counts = numbers["tasks"]["search"]["all_queries"]
    assert f"{counts['queries']} queries of {counts['users']} users" in table
    assert f"{counts['left_out']} left out" in table


def test_table_3_sets_the_variants_of_the_reference_beside_it(folder):
    text, numbers = read(folder, "md"), json.loads(read(folder, "json"))
    table = text[text.index("Table 3") : text.index("## Parts")]
    found = numbers["tasks"]["recommendation"]["all_queries"]["rankings"]
    full, part = (found[n]["metrics"]["map"]["mean"] for n in ("user", "user_no_session"))
    assert f"{100 * (part / full - 1):+.2f} %" in line(table, r"USER \| no session")
    assert line(table, "USER-S").count("–") == 3
    assert "HRNN" not in table and line(table, "best known")


def test_slices_asked_for_stand_beside_the_default_ones(folder):
    text, numbers = read(folder, "md"), json.loads(read(folder, "json"))
    found = numbers["tasks"]["search"]["slices"]
    assert list(found) == ["Slices", "By past_behaviors:2:6", "By known_user"]
    part = found["By past_behaviors:2:6"]["2 <= past_behaviors < 6"]
    assert f"2 <= past_behaviors < 6 ({part['queries']})" in text
    whole = numbers["tasks"]["search"]["all_queries"]["queries"]
    assert sum(part["queries"] for part in found["By known_user"].values()) == whole


def test_figure_4_draws_the_first_queries_and_the_mixed_sessions_of_both_tasks(folder):
    page = read(folder, "html")
    for title in (
        "first search of each user",
        "recommendation, sessions with both behaviors",
    ):
        assert f"{title}: " in page


def test_cost_and_training_are_told(folder):
    text = read(folder, "md")
    cost = text[text.index("## Cost") :]
    assert line(cost, "HRNN") == "| HRNN | 1 | 12 | 1,000 | 100 | 0.3 | 1.50 |"
    training = text[text.index("## Training") : text.index("## Cost")]
    assert line(training, "USER") == "| USER" + " | .5000 <br> step 20" * 3 + " |"
    assert line(training, "HRNN") == "| HRNN | – | .5000 <br> step 20 | – |"


def test_a_single_system_makes_a_report(tmp_path):
    made_grid.write(tmp_path, queries=40)
    grid = json.loads((tmp_path / "grid.json").read_text())
    grid["systems"] = grid["systems"][:1]
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    settings = grid_report.ReportSettings(output=str(tmp_path / "out"), reference="hrnn", samples=5)
    grid_report.write_report(tmp_path, settings, "command")
    text = read(tmp_path / "out", "md")
    assert "Ablations" not in text and "HRNN" in text


def test_the_reference_may_be_a_system_of_one_task(folder, tmp_path):
    settings = grid_report.ReportSettings(output=str(tmp_path), reference="user_s", samples=5)
    grid_report.write_report(folder, settings, "command")
    text = read(tmp_path, "md")
    assert "▲" in line(text[text.index("Differences in MAP to USER-S, search") :], "USER")
    table = text[text.index("Table 3: USER-S") : text.index("## Parts")]
    assert "recommendation" not in table and line(table, "USER")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "usr"}, "`reference`.*'usr'.*hrnn, user_s, nrms, user"),
        ({"samples": 0}, "`samples` must be at least 1"),
        ({"slice": ("age",)}, "`slice`.*'age'"),
    ],
)
def test_impossible_settings_are_refused(folder, changes, message):
    with pytest.raises(ValueError, match=message):
        grid_report.write_report(folder, grid_report.ReportSettings(**changes), "command")


def test_without_matplotlib_the_extra_is_named_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"`matplotlib` .*user_tf\.report\..*\.\[evidence\]"
    ):
        grid_report.write_report(tmp_path, grid_report.ReportSettings(), "command")


def test_a_drawing_is_the_same_every_time():
    panels = {"one": [figures.Bar("a", 0.5, (0.4, 0.6), "system")]}
    assert figures.bars(panels, "MAP") == figures.bars(panels, "MAP")


def test_bars_show_the_systems_between_the_original_order_and_the_best_known(folder):
    grid = read_grid(folder)
    numbers = json.loads(read(folder, "json"))
    part = numbers["tasks"]["search"]["slices"]["Slices"]["first of the user"]
    found = contents.make_bars(part, grid.systems, "user")
    assert [bar.name for bar in found] == [
        "original order",
        "HRNN",
        "USER-S",
        "USER",
        "USER | no session",
        "best known",
    ]
    assert [bar.kind for bar in found][3:] == ["reference", "system", "best"]


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_the_folder_of_results_is_named_once(arguments):
    command = [sys.executable, "-m", "user_tf.report", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0 and "RUNS" in result.stderr + result.stdout


def test_a_report_needs_no_tensorflow(folder, tmp_path):
    code = (
        "import pathlib, sys\n"
        "from user_tf.reporting import grid_report\n"
        f"settings = grid_report.ReportSettings(output={str(tmp_path)!r}, samples=5)\n"
        f"grid_report.write_report(pathlib.Path({str(folder)!r}), settings, '')\n"
        "print('tensorflow' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "False", result.stderr[-2000:]
