"""A run of a grid, around stand-ins for the commands."""

import pytest
from absl import flags as absl_flags

from data_pipeline.common import flagtree
from data_pipeline.settings import BatchSettings
from user_tf.config import Config, DataConfig, ModelConfig, RuntimeConfig
from user_tf.evaluate import EvaluateSettings
from user_tf.experiments import grid_run, results
from user_tf.experiments.commands import Cost
from user_tf.experiments.lambdamart_system import LambdaMartSettings
from user_tf.run_folder import write_json


@pytest.fixture(name="called")
def _called(monkeypatch):
    """Modules called, by a stand-in that writes what the evaluation would."""
    called = []

    def call(module_and_flags, log, cores):
        module = module_and_flags.split()[0]
        called.append(module)
        if module != "user_tf.train":
            folder = log.with_suffix("") / "evaluation"
            rankings = {"user": {"metrics": {"map": 0.5}}}
            content = {"model": "user", "tasks": {"search": {"rankings": rankings}}}
            write_json(folder / "test.json", content)
            (folder / "test-queries.parquet").touch()
        return Cost(seconds=2.0, peak_gib=0.5)

    monkeypatch.setattr(grid_run, "call", call)
    return called


def test_a_run_is_made_once(called, tmp_path):
    config = Config(run=str(tmp_path / "seed1"), data=DataConfig(dataset="dataset"))
    assert grid_run.train_and_evaluate(config, "test", "", [0]) == "4 s, search MAP 0.5000"
    assert grid_run.train_and_evaluate(config, "test", "", [0]) == "done before"
    assert called == ["user_tf.train", "user_tf.evaluate"]
    cost = {"seconds": 2.0, "peak_gib": 0.5}
    assert results.read_cost(tmp_path / "seed1") == dict.fromkeys(called, cost)


def test_an_evaluation_that_was_cut_off_is_made_again(called, tmp_path):
    config = Config(run=str(tmp_path / "seed1"), data=DataConfig(dataset="dataset"))
    grid_run.train_and_evaluate(config, "test", "", [0])
    (tmp_path / "seed1" / "evaluation" / "test-queries.parquet").unlink()
    grid_run.train_and_evaluate(config, "test", "", [0])
    assert len(called) == 4


def test_lambdamart_has_a_command_of_its_own(called, tmp_path):
    config = Config(
        run=str(tmp_path / "seed2"),
        data=DataConfig(dataset="dataset", batch=BatchSettings(features=False)),
        model=ModelConfig(name="lambdamart"),
        runtime=RuntimeConfig(seed=2),
    )
    (command,) = grid_run.list_commands(config, "test", "truth.parquet")
    assert command[0] == "user_tf.lambdamart"
    assert sorted(command[1:]) == sorted(
        [
            "--data.dataset=dataset",
            "--nodata.batch.features",
            "--seed=2",
            f"--run={config.run}",
            "--split=test",
            "--truth=truth.parquet",
        ]
    )
    grid_run.train_and_evaluate(config, "test", "truth.parquet", [0])
    assert called == ["user_tf.lambdamart"]


def test_the_commands_know_the_flags_they_are_given():
    trees = {
        "user_tf.train": Config,
        "user_tf.evaluate": EvaluateSettings,
        "user_tf.lambdamart": LambdaMartSettings,
    }
    data = DataConfig(dataset="a dataset", scenario="search", batch=BatchSettings(negatives=2))
    for name in ("hrnn", "lambdamart"):
        config = Config(run="run", data=data, model=ModelConfig(name=name, width=8))
        for module, *flags in grid_run.list_commands(config, "validation", "truth.parquet"):
            values = absl_flags.FlagValues()
            flagtree.define(trees.pop(module), values=values)
            assert values([module, *flags]) == [module]
            assert values["run"].value == "run"
    assert not trees
