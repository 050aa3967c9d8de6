"""A run knows its dataset: it refuses another one everywhere, and finds one that was moved."""

import json
import os
import pathlib
import re
import shutil

import pytest

from data_pipeline.common.checksums import checksum
from data_pipeline.dataset.dataset_folder import open_dataset
from tests.user_tf.reporting.made_runs import make_run
from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.api.evaluate_run import evaluate
from user_tf.api.export_run import export
from user_tf.api.fit import train_run
from user_tf.api.trained_run import Run
from user_tf.config import Config, DataConfig
from user_tf.experiments import grids, lambdamart_system, tuning
from user_tf.reporting.attention_of_target import explain_target
from user_tf.serving import bundle
from user_tf.training import warm_start

BOTH_CHECKSUMS = r"SHA-256 [0-9a-f]{64}.*Got .* with [0-9a-f]{64}.* Fix: "


def prepare_again(dataset):
    """Put another dataset at the place of the first one."""
    shutil.rmtree(dataset)
    return tiny_dataset.write(dataset, seed=1)


@pytest.fixture(name="work")
def _work(tmp_path):
    """Make a run with its dataset, both in one folder."""
    folder = tmp_path / "work"
    make_run(folder / "run", tiny_dataset.write(folder / "dataset"), "nrms")
    return folder


def first_target(dataset, split="test"):
    rows = dataset.targets(["target_id", "split"]).to_pylist()
    return next(row["target_id"] for row in rows if row["split"] == split)


# Everything that opens the dataset of a run, as callables of the run, a dataset elsewhere, a folder.
def _resume(run, moved, _):
    config = Config.load(run)
    place = str(moved or config.data.dataset)
    run_folder.open_run(Config(**vars(config) | {"data": DataConfig(dataset=place)}))


OPENING = {
    "evaluate": lambda run, moved, _: evaluate(run, dataset=moved, samples=5),
    "export": lambda run, moved, out: export(run, out / "model", dataset=moved),
    "explain": lambda run, moved, _: explain_target([run], 70, "test", str(moved)),
    "load_model": lambda run, moved, _: Run(run).load_model("search", dataset=moved),
    "resume": _resume,
}


@pytest.mark.parametrize("name", OPENING)
def test_a_dataset_prepared_again_is_refused(work, name, tmp_path):
    prepare_again(work / "dataset")
    with pytest.raises(ValueError, match=BOTH_CHECKSUMS) as error:
        OPENING[name](work / "run", "", tmp_path)
    assert str(work / "dataset") in str(error.value) and "another dataset" in str(error.value)
    assert not (tmp_path / "model").exists() and not (work / "run" / "evaluation").exists()


@pytest.mark.parametrize("name", OPENING)
def test_a_missing_dataset_is_said_to_be_missing_there(work, name, tmp_path):
    (work / "dataset").rename(work / "new")
    with pytest.raises(FileNotFoundError) as error:
        OPENING[name](work / "run", "", tmp_path)
    text = str(error.value)
    assert str(work / "dataset") in text and "dataset to the folder it was moved to" in text
    assert "prepare" not in text


@pytest.mark.parametrize("name", OPENING)
def test_the_same_dataset_elsewhere_is_accepted(work, name, tmp_path, monkeypatch):
    # The tiny dataset has no F that a served model could compute.
    written = []
    monkeypatch.setattr(bundle, "write", lambda _, dataset, *rest: written.append(dataset.path))
    shutil.copytree(work / "dataset", tmp_path / "new")
    shutil.rmtree(work / "dataset")
    assert first_target(open_dataset(tmp_path / "new")) <= 70
    OPENING[name](work / "run", tmp_path / "new", tmp_path)
    assert written == ([tmp_path / "new"] if name == "export" else [])
    if name == "evaluate":
        assert sorted(os.listdir(work / "run" / "evaluation")) == [
            "test-queries.parquet",
            "test.json",
        ]


def test_a_run_resumed_with_a_moved_dataset_finds_it_from_then_on(work, tmp_path):
    shutil.move(work / "dataset", tmp_path / "new")
    _resume(work / "run", tmp_path / "new", tmp_path)
    assert run_folder.find_dataset(work / "run") == tmp_path / "new"


@pytest.mark.parametrize("what", ["both moved", "run moved", "run copied"])
def test_a_dataset_is_found_after_a_move(work, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    if what == "both moved":
        work.rename(tmp_path / "deep" / "moved")
        run, dataset = tmp_path / "deep/moved/run", tmp_path / "deep/moved/dataset"
    else:
        (shutil.move if what == "run moved" else shutil.copytree)(work / "run", tmp_path / "deep/r")
        run, dataset = tmp_path / "deep/r", work / "dataset"
    assert run_folder.find_dataset(run).samefile(dataset)
    assert run_folder.find_dataset(pathlib.Path(os.path.relpath(run))).samefile(dataset)


def test_relative_paths_are_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = tiny_dataset.write(pathlib.Path("dataset"))
    make_run(pathlib.Path("run"), dataset, "nrms")
    assert (
        json.loads((tmp_path / "run/run.json").read_text())["dataset"]["relative"] == "../dataset"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run_folder.find_dataset(pathlib.Path("../run")).samefile("../dataset")


def test_the_copy_with_the_right_checksum_is_taken(work, tmp_path):
    """Copy a run beside another dataset: the recorded one is used."""
    shutil.copytree(work / "run", tmp_path / "other" / "run")
    tiny_dataset.write(tmp_path / "other" / "dataset", seed=1)
    assert run_folder.find_dataset(tmp_path / "other" / "run") == work / "dataset"


def test_runs_on_two_datasets_are_not_explained_together(work):
    prepare_again(work / "dataset")
    other = make_run(work / "other", open_dataset(work / "dataset"), "user")
    with pytest.raises(ValueError, match=r"`run` must name runs of one dataset.*SHA-256.*SHA-256"):
        explain_target([str(work / "run"), other], 70, "test")


def test_a_run_without_a_record_is_refused(work):
    (work / "run" / run_folder.RECORD).unlink()
    with pytest.raises(FileNotFoundError, match=r"`run` must say .* no run\.json\. Fix: train"):
        run_folder.find_dataset(work / "run")


def test_a_warm_start_compares_the_dataset_of_the_earlier_run(work):
    dataset = open_dataset(work / "dataset")
    model = run_folder.build_model(Config.load(work / "run"), dataset)
    assert warm_start.start_from(str(work / "run"), "pretrain", model, dataset) == 0
    prepare_again(work / "dataset")
    with pytest.raises(ValueError, match=BOTH_CHECKSUMS):
        warm_start.start_from(str(work / "run"), "pretrain", model, dataset)


def test_training_refuses_another_dataset_before_any_work(work):
    config = Config.load(work / "run")
    prepare_again(work / "dataset")
    before = sorted((work / "run").rglob("*"))
    with pytest.raises(ValueError, match=r"`data.dataset` " + f".*{BOTH_CHECKSUMS}"):
        train_run(config)
    assert sorted((work / "run").rglob("*")) == before


def test_lambdamart_compares_its_dataset(work):
    settings = lambdamart_system.LambdaMartSettings(
        run=str(work / "trees"), data=DataConfig(dataset=str(work / "dataset"))
    )
    lambdamart_system.open_run(settings)
    shutil.copytree(work / "dataset", work / "new")
    moved = lambdamart_system.LambdaMartSettings(
        run=str(work / "trees"), data=DataConfig(dataset=str(work / "new"))
    )
    lambdamart_system.open_run(moved)
    prepare_again(work / "dataset")
    with pytest.raises(ValueError, match=BOTH_CHECKSUMS):
        lambdamart_system.open_run(settings)


def test_a_grid_compares_its_dataset(work):
    (work / "common.flags").write_text("--model.width=8\n")
    settings = grids.GridSettings(
        dataset=str(work / "dataset"),
        runs=str(work / "runs"),
        common=str(work / "common.flags"),
        systems=(),
    )
    grid = grids.describe(settings, [], "command")
    assert grid["dataset_manifest_sha256"] == checksum(work / "dataset" / "manifest.json")
    run_folder.write_json(work / "runs" / grids.GRID, grid)
    grids.describe(settings, [], "command")
    prepare_again(work / "dataset")
    with pytest.raises(ValueError, match=r"`dataset` must be .*[0-9a-f]{64}.*[0-9a-f]{64}.*Fix"):
        grids.describe(settings, [], "command")


def test_tuning_compares_the_dataset_of_finished_trials(work):
    run = Config.load(work / "run")
    run_folder.write_json(work / "run/pretrain" / run_folder.DONE, {"best_map": 0.5})
    assert tuning.train_trial(run, [0]) == "done before"
    prepare_again(work / "dataset")
    with pytest.raises(ValueError, match=re.compile(BOTH_CHECKSUMS)):
        tuning.train_trial(run, [0])


def test_no_source_opens_the_dataset_of_a_run_without_comparing_it():
    """Only `fit` opens the path of the settings, after `run_folder.check_run`."""
    opening = re.compile(r"open_dataset\([^()]*config\.data\.dataset")
    sources = sorted((pathlib.Path(__file__).parents[3] / "user_tf").rglob("*.py"))
    found = [path.name for path in sources if opening.search(path.read_text(encoding="utf-8"))]
    assert found == ["fit.py"]
