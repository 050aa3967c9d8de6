"""LambdaMART on a dataset written in a moment, whose first feature tells the relevant document."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipeline.batching.batches import evaluation_batches
from data_pipeline.common.codes import Task
from tests.user_tf.training import tiny_dataset
from user_tf.config import DataConfig
from user_tf.evaluation import evaluated_targets, evaluator
from user_tf.experiments import lambdamart_system


def settings_of(dataset, run, **others):
    data = DataConfig(dataset=str(dataset.path))
    return lambdamart_system.LambdaMartSettings(
        run=str(run), data=data, samples=20, threads=1, **others
    )


@pytest.fixture(name="dataset", scope="module")
def _dataset(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture(name="run", scope="module")
def _run(dataset, tmp_path_factory):
    """Folder of a finished run evaluated on the validation split, and the JSON."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = settings_of(dataset, folder, split="validation")
    return folder, lambdamart_system.run_lambdamart(settings, "command")


def test_trees_find_the_feature_that_tells_the_relevant_document(run):
    rankings = run[1]["tasks"]["search"]["rankings"]
    assert rankings["lambdamart"]["metrics"]["map"] > 0.6
    assert rankings["lambdamart"]["metrics"]["map"] > rankings["original order"]["metrics"]["map"]


def test_the_files_are_those_of_an_evaluation(run):
    folder, content = run
    assert json.loads((folder / "evaluation" / "validation.json").read_text()) == content
    assert content["model"] == "lambdamart" and content["protocol"]["name"] == "shown"
    assert "lightgbm" in content["versions"]
    assert list(content["tasks"]) == ["search", "recommendation"]
    for task, found in content["tasks"].items():
        assert found["phase"] == task and found["queries"] == 10
        assert {"original order", "random", "lambdamart"} < set(found["rankings"])
    rows = pq.read_table(folder / "evaluation" / "validation-queries.parquet")
    assert len(rows) == 20 and {"map", "original order: map"} < set(rows.column_names)
    assert json.loads((folder / "config.json").read_text())["seed"] == 1


def test_the_trees_are_kept_and_score_as_they_did(run, dataset):
    folder, content = run
    columns, trees = lambdamart_system.read_trees(folder)
    chosen = json.loads((folder / "lambdamart.json").read_text())
    assert columns == chosen["columns"] and list(trees) == ["search", "recommendation"]
    of_split = evaluated_targets.load(dataset, "validation")
    batches = evaluation_batches(dataset, "unified", "validation", DataConfig().batch)
    values = lambdamart_system.candidate_columns(batches, of_split)
    for task, booster in trees.items():
        assert booster.num_trees() == chosen["tasks"][task]["trees"]
        rows = of_split.task == Task.from_label(task)
        lists = [booster.predict(matrix) for matrix in values[rows]]
        found = evaluator.evaluate(of_split, of_split.target_id[rows], np.stack(lists)).summary()[
            task
        ]["map"]
        expected = content["tasks"][task]["rankings"]["lambdamart"]["metrics"]["map"]
        assert found == pytest.approx(expected)
    (folder / "lambdamart-search.txt").rename(folder / "away.txt")
    with pytest.raises(
        FileNotFoundError, match=r"`run` must hold its trees.*lambdamart-search.*Fix:"
    ):
        lambdamart_system.read_trees(folder)
    (folder / "away.txt").rename(folder / "lambdamart-search.txt")


def test_the_best_of_the_grid_on_validation_is_kept(run):
    folder, content = run
    chosen = json.loads((folder / "lambdamart.json").read_text())
    assert chosen["columns"] == ["telling", "noise", *lambdamart_system.LIST_COLUMNS]
    for task, report in chosen["tasks"].items():
        assert len(report["grid"]) == 4 and report["seconds"] > 0
        maps = [entry["validation_map"] for entry in report["grid"]]
        best = report["grid"][int(np.argmax(maps))]
        assert {name: report[name] for name in best} == best
        assert 1 <= report["trees"] <= lambdamart_system.TREES
        # LightGBM's MAP of whole lists is the evaluator's.
        evaluated = content["tasks"][task]["rankings"]["lambdamart"]["metrics"]["map"]
        assert report["validation_map"] == pytest.approx(evaluated)


def test_recommendations_see_no_feature_unless_told_so(run, dataset):
    _, columns = read(dataset, "recommendation")
    assert not columns[..., :2].any()
    _, columns = read(dataset, "search")
    assert columns[..., 0].std() > 0


def read(dataset, task):
    from data_pipeline.batching.batches import evaluation_batches

    rows = evaluated_targets.load(dataset, "train").select_task(task)
    settings = DataConfig().batch
    batches = evaluation_batches(dataset, "unified", "train", settings, tasks=(task,))
    return rows, lambdamart_system.candidate_columns(batches, rows)


def hand_made(pseudo=False):
    """Two targets of three and two candidates, and batches that hold them the other way round."""
    table = evaluated_targets.example_table()
    table = table.set_column(
        table.schema.get_field_index("pseudo"), "pseudo", pa.array([pseudo, False])
    )
    batches = [
        {"target_id": np.array([8, -1]), "features": np.full((2, 3, 1), 8.0)},
        {"target_id": np.array([3]), "features": np.array([[[1.0], [2.0], [3.0], [9.0]]])},
    ]
    return evaluated_targets.from_table(table), batches


def test_columns_are_features_rank_popularity_and_rank_by_touch_of_the_same_target():
    rows, batches = hand_made()
    columns = lambdamart_system.candidate_columns(batches, rows)
    # Target 3: popularity 2, 2, 7, the third touched; target 8: 5, 9, the second touched.
    assert columns[0].tolist() == [[1, 1, 2, 2], [2, 2, 2, 3], [3, 3, 7, 1]]
    assert columns[1].tolist() == [[8, 1, 5, 2], [8, 2, 9, 1], [0, 0, 0, 0]]


def test_a_list_that_was_never_shown_has_no_original_rank():
    rows, batches = hand_made(pseudo=True)
    columns = lambdamart_system.candidate_columns(batches, rows)
    assert np.isnan(columns[1, :2, 1]).all()
    assert np.isfinite(np.delete(columns, 1, axis=-1)).all() and np.isfinite(columns[0]).all()


def test_a_target_without_features_is_refused():
    rows, batches = hand_made()
    with pytest.raises(ValueError, match=r"`windows` must hold every target.*1 of 2"):
        lambdamart_system.candidate_columns(batches[:1], rows)


def test_lists_without_a_choice_cannot_be_learned_from():
    import lightgbm

    rows, batches = hand_made()
    columns = lambdamart_system.candidate_columns(batches, rows)
    rows.labels[:] = 0
    with pytest.raises(ValueError, match="Got none among 2 targets"):
        lambdamart_system.fit(lightgbm, (rows, columns), (rows, columns))


def test_a_missing_package_names_the_extra_before_anything_is_written(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ModuleNotFoundError, match=r"lightgbm.*\[evidence\]"):
        lambdamart_system.run_lambdamart(settings_of(dataset, tmp_path / "run"), "command")
    assert not (tmp_path / "run").exists()


def test_the_folder_of_another_run_is_refused(dataset, tmp_path):
    lambdamart_system.open_run(settings_of(dataset, tmp_path))
    lambdamart_system.open_run(settings_of(dataset, tmp_path, split="validation"))
    with pytest.raises(ValueError, match=r"`seed`.*1\. Got 2\. Fix:"):
        lambdamart_system.open_run(settings_of(dataset, tmp_path, seed=2))
    with pytest.raises(ValueError, match="`run` must name a folder"):
        lambdamart_system.open_run(lambdamart_system.LambdaMartSettings())


def test_flags_are_parsed_before_tensorflow_and_lightgbm_are_imported():
    code = (
        "import sys; from user_tf import lambdamart; "
        "print({'tensorflow', 'lightgbm'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr
