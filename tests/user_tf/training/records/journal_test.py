"""Tests of the reports of a phase."""

import json

import pytest

from user_tf.config import Config
from user_tf.training.records import journal
from user_tf.training.records.checkpoints import Position


def test_lines_of_evaluations_to_be_repeated_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 3}\n{"step": 6}\n{"st')
    journal.drop_metrics_after(path, 3)
    assert path.read_text() == '{"step": 3}\n'


@pytest.mark.parametrize(("resumed", "kept"), [(True, '{"step": 0}\n'), (False, "")])
def test_a_phase_that_begins_again_drops_the_evaluation_before_its_first_step(
    tmp_path, resumed, kept
):
    (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n{"step": 3}\n')
    journal.Journal(tmp_path, None, Position("search"), resumed, steps=6, chief=True).close()
    assert (tmp_path / "metrics.jsonl").read_text() == kept


@pytest.mark.parametrize("chief", [True, False])
def test_only_the_chief_writes_a_line_for_each_evaluation(tmp_path, capsys, chief):
    position = Position("search", step=4, epoch=1, groups=8, seconds=2.0)
    reports = journal.Journal(
        tmp_path, tmp_path / "summaries", position, False, steps=6, chief=chief
    )
    reports.add_settings(Config())
    reports.add_losses(4, 0.5, 1.0)
    reports.add_evaluation(position, {"map": 0.25, "search": 0.25}, best=True)
    reports.close()
    assert "search: step 4, validation map 0.2500, search 0.2500 (best)" in capsys.readouterr().err
    assert list((tmp_path / "summaries").iterdir())
    path = tmp_path / "metrics.jsonl"
    assert path.exists() == chief
    if chief:
        [line] = map(json.loads, path.read_text().splitlines())
        assert line == {
            "step": 4,
            "epoch": 1,
            "groups": 8,
            "seconds": 2.0,
            "groups_per_second": 0.0,
            "input_share": 0.0,
            "validation": {"map": 0.25, "search": 0.25},
            "best": True,
        }
