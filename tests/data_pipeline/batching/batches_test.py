"""Batches of a simulated dataset: epochs are pure, resumable, sharded, and nothing is lost."""

import dataclasses

import numpy as np
import pytest

from data_pipeline.batching.batches import evaluation_batches, training_batches, windows_in_epoch
from data_pipeline.common.codes import Task
from data_pipeline.settings import BatchSettings

SETTINGS = BatchSettings(windows_per_batch=3, evaluation_windows_per_batch=2)


@pytest.fixture(scope="module")
def dataset(batch_dataset):
    return batch_dataset


def rows(batches, name):
    return np.concatenate(
        [batch[name].numpy()[batch["target_weight"].numpy() > 0] for batch in batches]
    )


def keys(batches):
    batches = list(batches)
    positive = (rows(batches, "candidate_rank") * rows(batches, "labels")).sum(1).astype(int)
    return list(zip(rows(batches, "target_id").tolist(), positive.tolist(), strict=True))


def all_groups(dataset, split="train"):
    table = dataset.targets(columns=["target_id", "split", "labels"]).to_pylist()
    return {
        (row["target_id"], slot + 1)
        for row in table
        if row["split"] == split
        for slot, label in enumerate(row["labels"])
        if label
    }


def test_an_epoch_holds_every_group_once(dataset):
    found = keys(training_batches(dataset, "unified", SETTINGS, seed=1, epoch=0))
    assert len(found) == len(set(found))
    assert set(found) == all_groups(dataset)


def test_a_list_is_one_group_with_all_its_positives(dataset):
    whole = dataclasses.replace(SETTINGS, negatives=dataset.max_candidates, multi_positive=True)
    batches = list(training_batches(dataset, "unified", whole, seed=1, epoch=0))
    table = dataset.targets(columns=["target_id", "split", "labels"]).to_pylist()
    expected = {
        row["target_id"]: row["labels"]
        for row in table
        if row["split"] == "train" and sum(row["labels"])
    }
    targets, labels = rows(batches, "target_id").tolist(), rows(batches, "labels")
    masks = rows(batches, "candidate_mask")
    assert sorted(targets) == sorted(expected)
    assert max(map(sum, expected.values())) > 1
    for target, found, mask in zip(targets, labels, masks, strict=True):
        assert found[mask].tolist() == expected[target] and not found[~mask].any()


def test_several_positives_without_whole_lists_are_refused(dataset):
    settings = dataclasses.replace(SETTINGS, multi_positive=True)
    with pytest.raises(ValueError, match=r"Fix: set --data.batch.negatives="):
        training_batches(dataset, "unified", settings, seed=1, epoch=0)


def test_more_negatives_than_a_list_has_give_whole_lists_without_padding_for_the_rest(dataset):
    longest = dataset.max_candidates
    whole, many = (
        list(
            training_batches(
                dataset, "unified", dataclasses.replace(SETTINGS, negatives=count), seed=1, epoch=0
            ).take(3)
        )
        for count in (longest - 1, 2 * longest)
    )
    assert many[0]["candidate_doc"].shape[1] == longest
    for batch, expected in zip(many, whole, strict=True):
        for name, value in expected.items():
            np.testing.assert_array_equal(batch[name], value, err_msg=name)


def test_evaluation_holds_every_target_once_with_its_complete_list(dataset):
    batches = list(evaluation_batches(dataset, "unified", "validation", SETTINGS))
    labels = dict(zip(rows(batches, "target_id").tolist(), rows(batches, "labels"), strict=True))
    masks = dict(
        zip(rows(batches, "target_id").tolist(), rows(batches, "candidate_mask"), strict=True)
    )
    table = dataset.targets(columns=["target_id", "split", "labels"]).to_pylist()
    wanted = {row["target_id"]: row["labels"] for row in table if row["split"] == "validation"}
    assert set(labels) == set(wanted) and len(labels) == len(rows(batches, "target_id"))
    for target, expected in wanted.items():
        assert labels[target][masks[target]].tolist() == expected


def test_epochs_differ_in_order_and_draws_but_repeat_by_seed(dataset):
    def epoch(seed, number):
        batches = list(training_batches(dataset, "unified", SETTINGS, seed, number))
        return rows(batches, "target_id"), rows(batches, "candidate_doc")

    first, again, second = epoch(1, 0), epoch(1, 0), epoch(1, 1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].tolist() != second[0].tolist()
    by_target = [dict(zip(t.tolist(), d.tolist(), strict=True)) for t, d in (first, second)]
    assert by_target[0] != by_target[1]


def test_skipping_windows_continues_the_epoch(dataset):
    complete = list(training_batches(dataset, "unified", SETTINGS, seed=1, epoch=2))
    rest = list(training_batches(dataset, "unified", SETTINGS, seed=1, epoch=2, skip_windows=6))
    assert len(complete) == -(-windows_in_epoch(dataset, "unified") // 3)
    assert len(rest) == len(complete) - 2
    for one, other in zip(complete[2:], rest, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_workers_share_an_epoch_without_overlap(dataset):
    parts = [
        keys(training_batches(dataset, "unified", SETTINGS, 1, 0, worker=worker, workers=2))
        for worker in range(2)
    ]
    assert set(parts[0]).isdisjoint(parts[1])
    assert set(parts[0]) | set(parts[1]) == all_groups(dataset)


def test_exact_sizes_hold_the_same_groups_without_a_padded_row(dataset):
    settings = dataclasses.replace(SETTINGS, fixed_sizes="on")
    exact = list(training_batches(dataset, "unified", SETTINGS, seed=1, epoch=0))
    padded = list(training_batches(dataset, "unified", settings, seed=1, epoch=0))
    assert set(keys(padded)) == all_groups(dataset)
    np.testing.assert_array_equal(rows(exact, "target_id"), rows(padded, "target_id"))
    assert all(batch["target_weight"].numpy().all() for batch in exact)


def test_tasks_split_the_groups(dataset):
    parts = [
        list(training_batches(dataset, "unified", SETTINGS, 1, 0, tasks=(task,)))
        for task in ("search", "recommendation")
    ]
    assert set(rows(parts[0], "task")) == {Task.SEARCH}
    assert set(rows(parts[1], "task")) == {Task.RECOMMENDATION}
    assert set(keys(parts[0])) | set(keys(parts[1])) == all_groups(dataset)


def test_a_single_task_scenario_holds_that_tasks_targets_with_the_same_lists(dataset):
    alone = list(evaluation_batches(dataset, "search", "test", SETTINGS))
    unified = list(evaluation_batches(dataset, "unified", "test", SETTINGS, tasks=("search",)))
    lists = [
        dict(zip(rows(b, "target_id").tolist(), rows(b, "candidate_doc").tolist(), strict=True))
        for b in (alone, unified)
    ]
    assert lists[0] == lists[1] and lists[0]


def test_a_limit_keeps_that_many_targets_of_each_task_always_the_same(dataset):
    limited = [
        rows(evaluation_batches(dataset, "unified", "validation", SETTINGS, limit=5), name)
        for name in ("task", "target_id", "target_id")
    ]
    assert sorted(limited[0].tolist()) == [1] * 5 + [2] * 5
    assert limited[1].tolist() == limited[2].tolist()


def test_features_of_recommendations_are_zero_and_those_of_searches_standardised(dataset):
    batches = list(training_batches(dataset, "unified", SETTINGS, seed=1, epoch=0))
    task, features = rows(batches, "task"), rows(batches, "features")
    assert not features[task == Task.RECOMMENDATION].any()
    assert abs(features[task == Task.SEARCH].mean()) < 0.2
