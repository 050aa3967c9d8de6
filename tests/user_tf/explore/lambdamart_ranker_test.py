"""LambdaMART on a page: the trees of a run, on features of one target."""

import json

import numpy as np
import pytest

from data_pipeline.common import flagtree
from user_tf import run_folder
from user_tf.config import DataConfig
from user_tf.experiments import lambdamart_system
from user_tf.explore.rankers import is_lambdamart, label_runs, open_rankers

lightgbm = pytest.importorskip("lightgbm", reason="the extra evidence is not installed")


@pytest.fixture(name="run", scope="module")
def _run(folder, exploration):
    """Write the run of a few trees over random columns, which rank searches."""
    run, data = folder / "lambdamart", DataConfig(dataset=str(folder / "dataset"))
    names = [*exploration.dataset.feature_names, *lambdamart_system.LIST_COLUMNS]
    settings = lambdamart_system.LambdaMartSettings(run=str(run), data=data)
    run_folder.record_dataset(run, folder / "dataset")
    run_folder.write_json(run / "config.json", flagtree.to_dict(settings))
    content = {"columns": names, "tasks": {"search": {"trees": 3}}}
    run_folder.write_json(run / "lambdamart.json", content)
    draw = np.random.default_rng(1)
    values, labels = draw.normal(size=(200, len(names))), draw.integers(0, 2, 200)
    parameters = {"objective": "lambdarank", "verbosity": -1, "min_data_in_leaf": 2}
    rows = lightgbm.Dataset(values, labels, group=[10] * 20)
    lightgbm.train(parameters, rows, 3).save_model(run / "lambdamart-search.txt")
    return run


def test_scores_and_their_parts_are_those_of_the_trees(run, exploration, targets):
    assert is_lambdamart(run) and list(label_runs([run])) == ["lambdamart"]
    rankers = open_rankers({"lambdamart": run}, exploration.dataset, exploration.catalogue)
    ranker, target = rankers["lambdamart"], targets["search"][0]
    found = ranker.rank(target)
    assert len(found.scores) == len(target.candidates) and len(set(found.scores)) > 1
    parts = np.array(found.reasons.contributions)
    assert found.reasons.signals[-3:] == lambdamart_system.LIST_COLUMNS
    gaps = np.array(found.scores) - parts.sum(axis=1)
    np.testing.assert_allclose(gaps, gaps[0], atol=1e-6)
    assert found.reasons.behaviors == () and "no past behaviors" in found.reasons.notes[0]
    with pytest.raises(ValueError, match=r"`run` must be fitted on recommendation.*Fix:"):
        ranker.rank(targets["recommendation"][0])


def test_a_run_of_another_dataset_is_refused(run, exploration):
    record = json.loads((run / "run.json").read_text())
    record["dataset"]["manifest_sha256"] = "0"
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="`dataset` must be the dataset that the run"):
        open_rankers({"lambdamart": run}, exploration.dataset, exploration.catalogue)
    run_folder.record_dataset(run, exploration.dataset.path)
