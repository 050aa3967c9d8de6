"""Blocks of users, targets and candidates change no byte of a dataset."""

import pyarrow.parquet as pq
import pytest

from data_pipeline.dataset import parquet_tables
from data_pipeline.events import user_blocks
from data_pipeline.features import relevance_features, shared_counts
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import EvalCandidateSettings
from data_pipeline.targets import candidate_lists, eval_candidates
from tests.data_pipeline.preparation.altered_logs import random_log
from tests.data_pipeline.preparation.prepare_faults_test import contents

SIZES = (
    (user_blocks, "ACTIVITIES"),
    (candidate_lists, "ROWS"),
    (eval_candidates, "ROWS"),
    (relevance_features, "ROWS"),
    (shared_counts, "BLOCK"),
)


@pytest.mark.parametrize("lists", [True, False])
def test_blocks_of_a_few_rows_change_no_byte(
    log_builder, small_settings, tmp_path, monkeypatch, lists
):
    log = random_log(log_builder, seed=5, lists=lists, users=6).write(tmp_path / "log")
    sampled = EvalCandidateSettings("sampled", 3)

    def prepared(name):
        prepare(small_settings(log, tmp_path / name, eval_candidates=sampled))
        return contents(tmp_path / name)

    expected = prepared("one")
    for module, name in SIZES:
        monkeypatch.setattr(module, name, 5)
    assert prepared("several") == expected


def test_row_groups_of_targets_are_of_one_table(log_builder, small_settings, tmp_path, monkeypatch):
    log = random_log(log_builder, seed=6).write(tmp_path / "log")
    prepare(small_settings(log, tmp_path / "one"))
    monkeypatch.setattr(parquet_tables, "ROW_GROUP", 4)
    prepare(small_settings(log, tmp_path / "several"))
    one, several = (
        pq.ParquetFile(tmp_path / name / "targets.parquet") for name in ("one", "several")
    )
    assert one.num_row_groups == 1 < several.num_row_groups
    assert several.read().equals(one.read())
