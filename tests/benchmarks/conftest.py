"""Grids and a tuning as their commands leave them, and their JSON from benchmarks.grid_summaries."""

import json
import shutil

import pytest

from benchmarks import grid_summaries
from benchmarks.results_page.grid_results import ROOT
from tests.user_tf.reporting import made_grid
from user_tf.run_folder import write_json

# Name, label, scenario, model, noise of its scores, seeds.
SYSTEMS = (
    ("user_s", "USER-S", "search", "user", 0.8, 2),
    ("user_r", "USER-R", "recommendation", "user", 0.8, 2),
    ("hrnn", "HRNN", "search", "hrnn", 1.5, 1),
    ("user", "USER", "unified", "user", 0.5, 2),
    ("user_no_session", "USER w/o session encoder", "unified", "user", 0.7, 1),
    ("released_no_knrm", "Released: no KNRM", "unified", "user", 0.7, 1),
)
TRIALS = (("user", 0, (0.5, 0.4)), ("hrnn", 1, (0.3, 0.35)))


@pytest.fixture(name="work", scope="session")
def _work(tmp_path_factory):
    """Grids of the worlds linked and independent, and a tuning."""
    work = tmp_path_factory.mktemp("work")
    for world, systems in (("linked", SYSTEMS), ("independent", [SYSTEMS[0], SYSTEMS[3]])):
        folder = work / "grids" / world
        folder.mkdir(parents=True)
        made_grid.write(folder, 60, systems)
        grid = json.loads((folder / "grid.json").read_text(encoding="utf-8"))
        write_json(folder / "grid.json", grid | {"title": f"World {world}", "parallel": 2})
    write_tuning(work / "tuning" / "simulated")
    return work


def write_tuning(folder):
    systems = []
    for name, chosen, maps in TRIALS:
        trials = []
        for number, value in enumerate(maps):
            done = {"seconds": 60.0, "groups": 100}
            write_json(folder / name / f"trial{number}" / "pretrain" / "done.json", done)
            flags = ["--model.dropout=0.3"] if number else []
            trials.append({"flags": flags, "validation_map": value})
        systems.append({"system": name, "ranker": name, "chosen": chosen, "trials": trials})
    origin = {
        "command": "python -m user_tf.tune",
        "machine": {"cpu": "a CPU", "cores": 2},
        "versions": {"tensorflow": "2"},
        "date": "2026-01-01",
    }
    write_json(folder / "tuning.json", {**origin, "common": "common.flags", "systems": systems})


@pytest.fixture(name="results", scope="session")
def _results(work, tmp_path_factory):
    """The JSON files."""
    output = tmp_path_factory.mktemp("results")
    settings = grid_summaries.GridsSettings(
        grids=str(work / "grids"),
        tunings=str(work / "tuning"),
        output=str(output),
        other_load="tests",
        samples=50,
    )
    names = ["grid_independent.json", "grid_linked.json", "tuning_simulated.json"]
    assert [path.name for path in grid_summaries.collect(settings)] == names
    return output


@pytest.fixture(name="root")
def _root(tmp_path):
    """A copy of what benchmarks.results_page.readme writes."""
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path
