"""The packed tables hold for every target exactly what its window holds."""

import dataclasses

import numpy as np
import pytest

from data_pipeline.common.codes import Task
from tests.data_pipeline.batching.random_windows import FEATURES, SETTINGS, pack, tables, windows


def behavior_of_batch(batch: dict, row: int):
    text = batch["text_tokens"][:, 0]
    return (
        batch["behavior_type"][row],
        text[batch["behavior_text"][row]],
        tuple(text[batch["behavior_clicked"][row]]),
        batch["behavior_doc"][row],
        tuple(batch["behavior_clicked_docs"][row]),
    )


def behavior_of_window(window: dict, row: int):
    if row == 0:
        return (0, 0, (0, 0, 0), 0, (0, 0, 0))
    clicked = window["behavior_clicked_docs"][row - 1]
    return (
        window["behavior_type"][row - 1],
        window["behavior_text"][row - 1],
        tuple(tables().document_texts[clicked]),
        window["behavior_doc"][row - 1],
        tuple(clicked),
    )


def session_of_window(window: dict, row: int):
    rows = window["session_behaviors"][row - 1] if row else np.zeros(5, int)
    return [behavior_of_window(window, r) for r in rows]


@pytest.mark.parametrize("training", [True, False])
def test_every_target_reads_what_its_window_says(training):
    records = windows()
    batch = pack(records, training=training)
    text = batch["text_tokens"][:, 0]
    row = 0
    for window in records:
        starts = np.concatenate([[0], np.cumsum(window["candidate_count"])])
        for t, target in enumerate(window["target_id"]):
            assert batch["target_id"][row] == target
            assert batch["target_weight"][row] == 1
            assert batch["task"][row] == window["target_task"][t]
            assert batch["user"][row] == window["user"][0]
            assert text[batch["query_text"][row]] == window["query_text"][t]
            assert [behavior_of_batch(batch, b) for b in batch["current_behaviors"][row]] == [
                behavior_of_window(window, b) for b in window["current_behaviors"][t]
            ]
            for got, wanted in zip(
                batch["past_sessions"][row], window["past_sessions"][t], strict=True
            ):
                assert [behavior_of_batch(batch, b) for b in batch["session_behaviors"][got]] == (
                    session_of_window(window, wanted)
                )
            mask = batch["candidate_mask"][row]
            slots = starts[t] + batch["candidate_rank"][row][mask] - 1
            docs = window["candidate_doc"][slots]
            np.testing.assert_array_equal(batch["candidate_doc"][row][mask], docs)
            np.testing.assert_array_equal(
                text[batch["candidate_text"][row][mask]], tables().document_texts[docs]
            )
            features = window["candidate_features"].reshape(-1, FEATURES)[slots]
            wanted = (features - [1, 2, 3]) / [2, 2, 4] if batch["task"][row] == 2 else 0 * features
            np.testing.assert_allclose(batch["features"][row][mask], wanted, rtol=1e-6)
            labels = window["candidate_label"][slots]
            if training:
                positive = window["target_positive"][t]
                assert batch["labels"][row].sum() == 1
                assert slots[batch["labels"][row][mask] == 1] == starts[t] + positive
                assert labels.sum() == 1, "another relevant document was drawn as a negative"
                count = window["candidate_count"][t]
                irrelevant = count - window["candidate_label"][starts[t] : starts[t + 1]].sum()
                assert mask.sum() == 1 + min(4, irrelevant)
            else:
                np.testing.assert_array_equal(batch["labels"][row][mask], labels)
                assert mask.sum() == window["candidate_count"][t]
            row += 1
    assert row == len(batch["target_id"])


def test_each_distinct_text_session_and_behavior_has_one_row():
    batch = pack(windows())
    text = batch["text_tokens"][:, 0]
    assert len(set(text)) == len(text)
    assert batch["text_tokens"][0].sum() == 0
    assert batch["behavior_type"][0] == 0 and (batch["session_behaviors"][0] == 0).all()
    used = set(batch["past_sessions"].ravel())
    assert used | {0} == set(range(len(batch["session_behaviors"])))


def test_without_sharing_every_occurrence_has_a_row_of_its_own():
    shared, own = pack(windows()), pack(windows(), dataclasses.replace(SETTINGS, share_texts=False))
    pointers = np.concatenate(
        [
            own[n].ravel()
            for n in ("behavior_text", "behavior_clicked", "query_text", "candidate_text")
        ]
    )
    pointers = pointers[pointers > 0]
    assert len(set(pointers)) == len(pointers)
    assert len(own["text_tokens"]) == 1 + len(pointers), "empty slots were given rows"
    for name in ("query_text", "candidate_text"):
        np.testing.assert_array_equal(
            own["text_tokens"][own[name]], shared["text_tokens"][shared[name]]
        )


def test_draws_change_with_the_epoch_but_not_with_the_batch():
    records = windows()
    together = pack(records)
    again = pack(records, epoch=1)
    assert (together["candidate_rank"] != again["candidate_rank"]).any()
    alone = np.concatenate(
        [pack([record])["candidate_rank"] for record in records if len(record["target_id"])]
    )
    np.testing.assert_array_equal(together["candidate_rank"], alone)


def test_selecting_a_task_drops_what_only_the_other_needed():
    records = windows()
    batch = pack(records, task=Task.SEARCH)
    assert set(batch["task"]) == {Task.SEARCH}
    used = set(batch["session_behaviors"].ravel()) | set(batch["current_behaviors"].ravel())
    assert used | {0} == set(range(len(batch["behavior_type"])))


def test_unknown_users_are_drawn_for_recommendations_only():
    records = [window for seed in range(12) for window in windows(seed=seed)]
    for i, window in enumerate(records):
        window["user"] = np.array([1 + i % 4])
        window["target_id"] = 1000 * i + np.arange(len(window["target_id"]))
    batch = pack(records, dataclasses.replace(SETTINGS, unknown_user_rate=0.5))
    unknown = batch["user"] == 0
    assert not unknown[batch["task"] == Task.SEARCH].any()
    assert 0.3 < unknown[batch["task"] == Task.RECOMMENDATION].mean() < 0.7


def test_query_free_features_reach_recommendations_only_when_asked():
    asked = pack(windows(), dataclasses.replace(SETTINGS, recommendation_features=True))
    rows = asked["task"] == Task.RECOMMENDATION
    assert (asked["features"][rows][..., 1] == 0).all()
    assert (asked["features"][rows][..., 0] != 0).any()


def test_features_can_be_left_out():
    assert pack(windows(), dataclasses.replace(SETTINGS, features=False))["features"].shape[-1] == 0
