"""The command `python -m data_pipeline.describe` on a small dataset."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.describe import describe
from data_pipeline.description import dataset_page
from data_pipeline.preparation.prepare_folder import prepare


@pytest.fixture(name="dataset", scope="module")
def _dataset(log_builder, small_settings, tmp_path_factory):
    """Three users with four searches and four browses each, in sessions of both kinds."""
    builder = log_builder()
    for doc in "abcdefghijkl":
        builder.document(doc)
    for user in "uvw":
        for n in range(4):
            at = 9_000 * n
            builder.request(f"{user}{n}", user, at, "red", "c", ("ab"[n % 2], at + 5, None))
            builder.browse(user, at + 60, "efgh"[n])
    folder = tmp_path_factory.mktemp("described") / "a<b"
    prepare(small_settings(builder.write(folder.with_name("log")), folder))
    return folder


@pytest.fixture(name="page", scope="module")
def _page(dataset):
    """The page and the short form."""
    output = dataset.parent / "pages" / "page.html"
    told = describe(dataset, output, "the command --x=<y>")
    return output.read_text(encoding="utf-8"), told


class Tags(HTMLParser):
    """Checks that tags close in the order they open; collects ids, links and rows of tables."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.rows = [], [], [], []

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        self.ids += [names["id"]] if "id" in names else []
        self.links += [names[n] for n in ("src", "href", "xlink:href") if n in names]
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def parsed(page):
    tags = Tags()
    tags.feed(page)
    return tags


def row(page, name):
    return next(cells for cells in parsed(page).rows if cells[:1] == [name])


def test_the_page_is_complete_and_needs_no_other_file(page):
    tags = parsed(page[0])
    assert tags.open == [] and page[0].count("<svg") == 3
    assert all(link.startswith("#") and link[1:] in tags.ids for link in tags.links)
    assert len(set(tags.ids)) == len(tags.ids)
    # The only addresses are names of name spaces.
    assert page[0].count("http") == page[0].count("http://www.w3.org/")


def test_names_from_outside_are_no_markup(page):
    assert "The dataset a&lt;b" in page[0] and "--x=&lt;y&gt;" in page[0]
    assert "a<b" not in page[0] and "<y>" not in page[0]


def test_table_1_is_that_of_the_manifest(page, dataset):
    statistics = open_dataset(dataset).manifest["statistics"]
    periods = ["history", "train", "validation", "test", "all"]
    assert periods in parsed(page[0]).rows
    assert periods in [line.split() for line in page[1].splitlines()]
    assert row(page[0], "searches")[1:] == [str(statistics[p]["searches"]) for p in periods]
    assert row(page[0], "behaviors per session")[-1] == "2.00"
    assert statistics["all"]["searches"] == 12
    short = next(line.split() for line in page[1].splitlines() if line.startswith("searches"))
    assert short[1:] == row(page[0], "searches")[1:]


def test_requests_that_are_no_targets_are_counted_by_reason(page, dataset):
    counts = open_dataset(dataset).manifest["left_out"]
    assert row(page[0], "no pseudo negative")[1:] == [
        str(counts[task]["no_pseudo_negative"]) for task in ("recommendation", "search")
    ]


def test_sessions_and_transitions_add_up_to_the_table(page, dataset):
    everything = open_dataset(dataset).manifest["statistics"]["all"]
    lengths = [cells for cells in parsed(page[0]).rows if len(cells) == 4]
    assert [cells for cells in lengths if cells[0] == "2"] == [["2", "0", "0", "12"]]
    assert everything["sessions"] == 12
    assert row(page[0], "after a search") == ["after a search", "0", "12", "0"]
    assert row(page[0], "after a browse") == ["after a browse", "0", "0", "12"]
    assert "after a search                      a browse 100.0%\n" in page[1]


def test_histories_are_those_of_the_targets(page, dataset):
    targets = open_dataset(dataset).targets(["task", "past_behaviors"])
    past = targets["past_behaviors"].to_numpy()[targets["task"].to_numpy() == 2]
    assert sorted(set(past)) == [0, 2, 4, 6]
    none = row(page[0], "0")
    assert none[-1] == f"{(past == 0).sum()} ({(past == 0).mean():.1%})"
    assert f"mean {past.mean():.1f}, median {np.quantile(past, 0.5, method='lower')}" in page[1]


def test_settings_are_shown_as_flags(page):
    assert "--text.word2vec_epochs=0" in page[0] and "--seed=1" in page[0]


def test_the_page_is_the_same_every_time_and_the_dataset_stays_as_it_was(page, dataset):
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    again = dataset.parent / "again.html"
    describe(dataset, again, "the command --x=<y>")
    assert again.read_text(encoding="utf-8") == page[0]
    assert before == {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}


def test_a_dataset_of_one_task_is_described(log_builder, small_settings, tmp_path):
    builder = log_builder().document("a").document("b")
    builder.request("r", "u", 0, "red", ("a", 5, None), "b")
    split = {"validation_parts": 0, "test_parts": 0}
    log = builder.write(tmp_path / "log")
    prepare(small_settings(log, tmp_path / "dataset", split=split))
    told = describe(tmp_path / "dataset", tmp_path / "page.html", "")
    assert "history of search targets" in told and "recommendation targets of" not in told
    assert "a browse" not in told and "none 100.0%" in told


def test_a_dataset_of_an_earlier_version_is_refused(dataset, tmp_path):
    opened = open_dataset(dataset)
    older = {name: value for name, value in opened.manifest.items() if name != "histograms"}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text(json.dumps({**older, "files": {}}))
    with pytest.raises(ValueError, match=r"`histograms`.*old.*data_pipeline\.prepare.*--output"):
        dataset_page.read(open_dataset(tmp_path / "old"))


def test_a_missing_package_is_an_error_that_names_the_extra(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"data_pipeline\.describe.*'\.\[evidence\]'"):
        describe(dataset, tmp_path / "page.html", "")
    assert not list(tmp_path.iterdir())


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "data_pipeline.describe", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_the_command_writes_next_to_the_dataset_or_to_its_output(dataset, tmp_path):
    done = command(dataset)
    assert done.returncode == 0 and done.stderr == ""
    page = dataset.parent / "a<b-description.html"
    assert page.exists() and done.stdout.splitlines()[-1] == f"Page: {page}"
    root = os.getcwd()
    environment = {**os.environ, "PYTHONPATH": root}
    done = command(".", f"--output={tmp_path / 'page.html'}", cwd=dataset, env=environment)
    assert done.returncode == 0 and "<h1>The dataset a&lt;b" in (tmp_path / "page.html").read_text()


def test_the_command_reports_mistakes_without_a_traceback(tmp_path):
    done = command(tmp_path / "none")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "a dataset must be a folder with a manifest.json" in done.stderr
    unnamed = command()
    assert unnamed.returncode == 2 and "`DATASET` must be one folder" in unnamed.stderr
    assert not list(tmp_path.iterdir())
