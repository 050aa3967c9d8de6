"""Two writers of one output: the second is refused, and changes nothing."""

import dataclasses

import pytest

from data_pipeline.common.output_folder import FolderInUse, FolderLock
from tests.user_tf.reporting import made_grid
from tests.user_tf.reporting.made_runs import make_run
from tests.user_tf.training import tiny_dataset
from user_tf.api.evaluate_run import evaluate
from user_tf.api.fit import train_run
from user_tf.config import Config, DataConfig
from user_tf.experiments import grid_run, grids, lambdamart_system, tuning
from user_tf.explain import ExplainSettings, write_explanation
from user_tf.reporting import grid_report
from user_tf.serving.request_file import rank_file


@pytest.fixture(name="work", scope="module")
def _work(tmp_path_factory):
    """Make a run, its dataset, a grid of results and a file of requests."""
    work = tmp_path_factory.mktemp("work")
    make_run(work / "run", tiny_dataset.write(work / "dataset"), "nrms")
    (work / "grid").mkdir()
    made_grid.write(work / "grid", queries=40)
    (work / "requests.jsonl").write_text("")
    return work


def _train(work):
    train_run(Config.load(work / "run"))


def _evaluate(work):
    evaluate(work / "run", samples=5)


def _lambdamart(work):
    data = DataConfig(dataset=str(work / "dataset"))
    settings = lambdamart_system.LambdaMartSettings(run=str(work / "trees"), data=data)
    lambdamart_system.run_lambdamart(settings, "command")


def _experiment(work):
    grid_run.run_grid(grids.GridSettings(runs=str(work / "runs")), [], {})


def _tune(work):
    settings = tuning.TuneSettings(runs=str(work / "trials"), output=str(work / "tuned"))
    tuning.run_trials(settings, [], {}, "command")


def _report(work):
    settings = grid_report.ReportSettings(output=str(work / "report"), samples=5)
    grid_report.write_report(work / "grid", settings, "command")


def _explain(work):
    rows = tiny_dataset.open_dataset(work / "dataset").targets(["target_id", "split"]).to_pylist()
    target = next(row["target_id"] for row in rows if row["split"] == "test")
    settings = ExplainSettings(
        run=(str(work / "run"),), target=target, output=str(work / "explained")
    )
    write_explanation(settings, "command")


def _predict(work):
    rank_file(work / "model", work / "requests.jsonl", work / "answers.jsonl")


WRITERS = {
    "train": (_train, "run"),
    "evaluate": (_evaluate, "run/evaluation-test"),
    "lambdamart": (_lambdamart, "trees"),
    "experiment": (_experiment, "runs"),
    "tune, its runs": (_tune, "trials"),
    "tune, its flagfiles": (_tune, "tuned"),
    "report": (_report, "report/report"),
    "explain": (_explain, "explained/attention"),
    "predict": (_predict, "answers.jsonl"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_second_writer_is_refused_in_a_sentence(work, name):
    write, output = WRITERS[name]
    with FolderLock(work / output):
        before = {path for path in work.rglob("*") if path.is_file()}
        with pytest.raises(FolderInUse, match=r"must be written by one run at a time.* Fix: wait"):
            write(work)
        new = {path.name for path in work.rglob("*") if path.is_file()} - {p.name for p in before}
    # LambdaMART names its run before it fits.
    assert new <= {"config.json", "run.json"}
    assert not (work / output).with_name((work / output).name + ".lock").exists()


def test_the_lock_of_a_run_is_free_after_an_error(work):
    config = dataclasses.replace(Config.load(work / "run"), run=str(work / "other"))
    config = dataclasses.replace(config, data=DataConfig(dataset=str(work / "absent")))
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"`data\.dataset`"):
            train_run(config)
    assert not list(work.glob("other*"))
