"""Logs that give nothing to learn from: an error before the work, or a named warning."""

import random

import numpy as np
import pytest

from data_pipeline.common.data_warnings import from_plain
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation import data_checks
from data_pipeline.preparation.prepare_folder import prepare

DAY = 86_400


def fill(builder, query="red", title=None, first=False, gap=DAY, user="u{}", browses=True):
    """A log of 60 requests of six users; arguments take something from it that learning needs."""
    draw = random.Random(3)
    documents = [f"d{number}" for number in range(8)]
    for number, doc in enumerate(documents):
        builder.document(doc, f"word{number} red" if title is None else title)
    for number in range(60):
        name = user.format(number % 6 if user == "u{}" else number)
        # Two requests of a user in a session.
        at = (number // 12 + number % 12 / 100) * gap
        listed = draw.sample(documents, 3)
        place = 0 if first else draw.randrange(3)
        listed[place] = (listed[place], at + 5, draw.choice([90.0, 40.0]))
        builder.request(f"r{number:02d}", name, at, query, *listed)
        if browses:
            builder.browse(name, at + 60, draw.choice(documents), 90.0)
    return builder


def find_names(builder, tmp_path, small_settings, **options):
    log = fill(builder, **options).write(tmp_path / "log")
    prepare(small_settings(log, tmp_path / "dataset"))
    warnings = from_plain(open_dataset(tmp_path / "dataset").manifest["warnings"])
    assert all("Fix: " in warning.message for warning in warnings)
    return {warning.name for warning in warnings}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("empty_titles", {"title": ""}),
        ("empty_queries", {"query": "!"}),
        ("relevant_at_first_rank", {"first": True}),
        ("constant_features", {"title": "same words"}),
    ],
)
def test_a_fault_of_the_data_has_a_warning_of_its_own(
    builder, tmp_path, small_settings, name, fault
):
    found = find_names(builder, tmp_path, small_settings, **fault)
    # Without words all similarities are the same.
    assert name in found and found <= {"few_targets", "constant_features", name}


def test_users_without_a_past_are_named(builder, tmp_path, small_settings):
    found = find_names(builder, tmp_path, small_settings, user="v{}", browses=False)
    assert {"one_session_users", "no_history", "one_task", "few_targets"} <= found


def test_a_log_to_learn_from_has_no_other_warning_than_of_its_size(
    builder, tmp_path, small_settings
):
    assert find_names(builder, tmp_path, small_settings) <= {"few_targets"}


def test_lists_without_a_negative_are_named(builder, tmp_path, small_settings):
    fill(builder)
    for number in range(200):
        at = number * 20_000 + 11
        builder.request(f"s{number:03d}", "u1", at, "blue", ("d1", at + 5, None))
    prepare(small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset"))
    warnings = open_dataset(tmp_path / "dataset").manifest["warnings"]
    assert "lists_without_negatives" in {warning["name"] for warning in warnings}


def test_constant_columns_are_found_across_blocks(monkeypatch):
    monkeypatch.setattr(data_checks, "_ROWS", 2)
    values = np.zeros((7, 3), np.float32)
    values[6, 0], values[1, 2] = 1, 1
    assert data_checks.find_constant_columns(values).tolist() == [False, True, False]


def test_a_log_in_one_instant_gives_an_error_and_leaves_nothing(builder, tmp_path, small_settings):
    log = fill(builder, gap=0, browses=False).write(tmp_path / "log")
    with pytest.raises(ValueError, match=r"`log` must give at least one training target.*Fix: "):
        prepare(small_settings(log, tmp_path / "dataset"))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
