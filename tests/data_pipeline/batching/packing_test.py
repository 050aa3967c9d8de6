"""The packed tables say of every target exactly what its window said."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching import packing
from data_pipeline.batching.parsing import Tables, parse, select
from data_pipeline.common.codes import Task
from data_pipeline.settings import BatchSettings

TEXTS, DOCUMENTS, FEATURES, LISTS = 60, 40, 3, 7
SETTINGS = BatchSettings(negatives=4, unknown_user_rate=0.0)


def tables() -> Tables:
    rng = np.random.default_rng(0)
    document_texts = rng.integers(1, TEXTS, DOCUMENTS).astype(np.int32)
    document_texts[0] = 0
    return Tables(
        # The token of a text is its id, so a resolved text can be recognised.
        text_tokens=np.repeat(np.arange(TEXTS, dtype=np.int32)[:, None], 2, 1),
        document_texts=document_texts,
        feature_mean=np.array([1, 2, 3], np.float32),
        feature_std=np.array([2, 2, 4], np.float32),
        query_free=np.array([True, False, True]),
        session_behaviors=5,
        past_sessions=20,
        clicked_titles=3,
        max_candidates=LISTS,
    )


def random_window(rng: np.random.Generator, first_target: int) -> dict:
    behaviors, sessions, targets = rng.integers(0, 9), rng.integers(0, 4), rng.integers(0, 6)

    def pointers(rows: int, width: int, largest: int) -> np.ndarray:
        counts = rng.integers(0, width + 1, rows) if largest else np.zeros(rows, int)
        values = rng.integers(1, max(largest, 1) + 1, [rows, width])
        return np.where(np.arange(width) < counts[:, None], values, 0)

    kinds = rng.integers(1, 3, behaviors)
    task = rng.integers(1, 3, targets)
    counts = rng.integers(2, LISTS + 1, targets)
    positive = rng.integers(0, counts) if targets else np.zeros(0, int)
    labels = [
        (np.arange(c) == p) | (rng.random(c) < 0.2) for c, p in zip(counts, positive, strict=True)
    ]
    return {
        "user": np.array([rng.integers(0, 5)]),
        "behavior_type": kinds,
        "behavior_text": rng.integers(1, TEXTS, behaviors),
        "behavior_doc": np.where(kinds == 1, rng.integers(1, DOCUMENTS, behaviors), 0),
        "behavior_clicked_docs": pointers(behaviors, 3, DOCUMENTS - 1) * (kinds == 2)[:, None],
        "session_behaviors": pointers(sessions, 5, behaviors),
        "target_id": first_target + np.arange(targets),
        "target_task": task,
        "target_positive": positive,
        "query_text": np.where(task == 2, rng.integers(1, TEXTS, targets), 0),
        "next_query_text": rng.integers(0, TEXTS, targets),
        "current_behaviors": pointers(targets, 5, behaviors),
        "past_sessions": pointers(targets, 20, sessions),
        "candidate_count": counts,
        "candidate_doc": rng.integers(1, DOCUMENTS, counts.sum()),
        "candidate_label": np.concatenate([*labels, np.zeros(0)]).astype(int),
        "candidate_features": rng.normal(size=counts.sum() * FEATURES).astype(np.float32),
    }


def serialise(window: dict) -> bytes:
    feature = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=value))
        if name == "candidate_features"
        else tf.train.Feature(int64_list=tf.train.Int64List(value=value.ravel()))
        for name, value in window.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def windows(count: int = 6, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    return [random_window(rng, 100 * i) for i in range(count)]


def pack(
    records: list[dict],
    settings=SETTINGS,
    epoch=0,
    training=True,
    ladder=None,
    task=None,
    text_tokens=None,
):
    ladder = np.zeros([0, 4], np.int32) if ladder is None else ladder
    constant = tables()
    if text_tokens is not None:
        constant = dataclasses.replace(constant, text_tokens=text_tokens)

    @tf.function
    def graph(serialised):
        parsed = parse(serialised, constant)
        if task:
            parsed = select(parsed, parsed["task"] == task)
        if training:
            parsed = packing.draw_group(parsed, settings, 1, epoch)
        else:
            parsed = packing.whole_lists(parsed)
        parsed = packing.standardise(parsed, constant, settings)
        return packing.pad(packing.collect(parsed, constant, settings), tf.constant(ladder))

    batch = graph(tf.constant([serialise(record) for record in records]))
    return {name: value.numpy() for name, value in batch.items()}


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


def test_each_distinct_text_session_and_behavior_stands_once():
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
    whole = pack(records)
    again = pack(records, epoch=1)
    assert (whole["candidate_rank"] != again["candidate_rank"]).any()
    alone = np.concatenate(
        [pack([record])["candidate_rank"] for record in records if len(record["target_id"])]
    )
    np.testing.assert_array_equal(whole["candidate_rank"], alone)


def test_padding_reaches_the_smallest_rung_that_fits():
    batch = pack(windows())
    exact = packing.sizes(batch).numpy()
    ladder = np.stack([exact - 1, exact + 3, exact + 9]).astype(np.int32)
    padded = pack(windows(), ladder=ladder)
    assert packing.sizes(padded).numpy().tolist() == (exact + 3).tolist()
    for name, value in batch.items():
        if name.endswith("_place"):
            continue
        np.testing.assert_array_equal(padded[name][: len(value)], value)
        rest = padded[name][len(value) :]
        assert (rest == (-1 if name == "target_id" else 0)).all()


def test_a_batch_larger_than_every_rung_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="no rung holds the batch"):
        pack(windows(), ladder=np.ones([2, 8], np.int32))


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
