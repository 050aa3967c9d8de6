"""Phases that a dataset cannot train or validate are refused before the run folder is made."""

import dataclasses
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.user_tf.training import tiny_dataset
from user_tf.api.fit import train_run
from user_tf.config import Config, DataConfig, TrainConfig
from user_tf.training.run_checks import check_phases


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    return tiny_dataset.write(tmp_path_factory.mktemp("data") / "dataset")


def config(dataset, *phases, scenario="unified"):
    data = DataConfig(dataset=str(dataset.path), scenario=scenario)
    return Config(run="run", data=data, train=TrainConfig(phases=phases))


def change(dataset, tmp_path, alter):
    """A dataset like another one with other rows in targets.parquet, which no checksum guards."""
    folder = tmp_path / "changed"
    folder.mkdir()
    rows = [alter(row) for row in dataset.targets().to_pylist()]
    kept = pa.Table.from_pylist([row for row in rows if row], dataset.targets().schema)
    pq.write_table(kept, folder / "targets.parquet")
    shutil.copy(dataset.path / "manifest.json", folder)
    (folder / "windows").symlink_to(dataset.path / "windows")
    return dataclasses.replace(dataset, path=folder)


def without(task, split):
    return lambda row: None if (row["task"], row["split"]) == (task, split) else row


def with_labels(task, label):
    def alter(row):
        changed = row["task"] == task and row["split"] == "validation"
        return row | {"labels": [label] * len(row["labels"])} if changed else row

    return alter


def test_phases_with_data_pass(complete):
    check_phases(config(complete, "pretrain", "search", "recommendation"), complete)


@pytest.mark.parametrize(
    ("alter", "what"),
    [
        (without(1, "train"), "training targets of recommendation"),
        (without(1, "validation"), "validation lists .* of recommendation"),
        (with_labels(1, 0), "validation lists .* of recommendation"),
        (with_labels(1, 1), "validation lists .* of recommendation"),
    ],
)
@pytest.mark.parametrize("phases", [("pretrain",), ("search", "recommendation")])
def test_a_phase_without_data_is_refused_with_the_flags_that_help(
    complete, tmp_path, alter, what, phases
):
    dataset = change(complete, tmp_path, alter)
    check_phases(config(dataset, "search"), dataset)
    fix = "--train.phases=search --data.scenario=search"
    with pytest.raises(ValueError, match=f"`train.phases` .* must have {what}.*{fix}"):
        check_phases(config(dataset, *phases), dataset)


def test_a_refused_training_makes_no_run_folder(complete, tmp_path):
    dataset = change(complete, tmp_path, without(2, "validation"))
    settings = dataclasses.replace(config(dataset, "pretrain"), run=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="validation lists"):
        train_run(settings, dataset)
    assert not (tmp_path / "run").exists()


def test_the_warnings_of_the_dataset_are_printed(complete, capsys):
    manifest = complete.manifest | {"warnings": [{"name": "one_task", "message": "All. Fix: x."}]}
    dataset = dataclasses.replace(complete, manifest=manifest)
    check_phases(config(dataset, "search"), dataset)
    assert capsys.readouterr().out == "warning (one_task): All. Fix: x.\n"
