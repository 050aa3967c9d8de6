"""Tests of the object of a run."""

import json

import pytest

from tests.user_tf.training import tiny_dataset
from user_tf.api.trained_run import Run
from user_tf.config import Config, DataConfig, TrainConfig
from user_tf.run_folder import DONE, METRICS, open_run, write_json


@pytest.fixture(name="run")
def _run(tmp_path):
    """Make a run of two phases, the second not finished."""
    tiny_dataset.write(tmp_path / "dataset")
    config = Config(
        run=str(tmp_path / "a&b"),
        data=DataConfig(dataset=str(tmp_path / "dataset")),
        train=TrainConfig(phases=("pretrain", "search")),
    )
    folder = open_run(config)
    done = {"phase": "pretrain", "best_map": 0.5, "best_step": 3, "steps": 6, "seconds": 1.25}
    write_json(folder / "pretrain" / DONE, done)
    lines = [json.dumps({"step": step, "validation": {"map": 0.5}}) for step in (3, 6)]
    (folder / "pretrain" / METRICS).write_text("\n".join(lines) + "\n")
    return Run(folder)


def test_results_and_history_are_by_phase(run):
    assert run.phases == ("pretrain", "search")
    assert run.metrics.keys() == {"pretrain"} and run.metrics["pretrain"]["best_map"] == 0.5
    assert [row["step"] for row in run.history["pretrain"]] == [3, 6]
    assert Run(run) == Run(str(run.path)) == run


def test_it_prints_as_a_table_in_a_terminal_and_in_a_notebook(run):
    lines = str(run).splitlines()
    assert lines[0] == f"Run {run.path}"
    assert lines[2].split() == ["pretrain", "6", "3", "0.5000", "1"]
    assert lines[3].split() == ["search", "not", "finished"]
    page = run._repr_html_()
    assert "<td>0.5000</td>" in page and "a&amp;b" in page and "a&b" not in page


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`run` must be a folder made by user_tf[.]train"):
        _ = Run(tmp_path).phases
