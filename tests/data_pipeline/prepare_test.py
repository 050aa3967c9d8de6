"""Preparation from end to end: determinism, scenarios, windows, wrong settings."""

import dataclasses
import itertools

import pytest
import tensorflow as tf

from data_pipeline import settings as data_settings
from data_pipeline.dataset import window_shards
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.checks import check_settings
from data_pipeline.preparation.prepare_folder import prepare
from tests.data_pipeline.preparation.altered_logs import random_log


def test_the_same_log_gives_the_same_bytes_whatever_the_order_of_its_rows(
    log_builder, tmp_path, small_settings
):
    log = random_log(log_builder, seed=6)
    checksums = []
    for number, threads in enumerate((1, 2)):
        folder = tmp_path / str(number)
        settings = small_settings(log.write(folder / "log", shuffle=number), folder / "dataset")
        prepare(dataclasses.replace(settings, threads=threads))
        checksums.append(open_dataset(folder / "dataset", verify=True).manifest)
    assert checksums[0] == checksums[1]


def test_single_task_scenarios_keep_targets_and_lists_and_see_one_task_only(
    log_builder, tmp_path, resolve, small_settings
):
    prepare(
        small_settings(random_log(log_builder, 9).write(tmp_path / "log"), tmp_path / "dataset")
    )
    dataset = open_dataset(tmp_path / "dataset")
    unified = resolve(dataset, "unified")
    for scenario, task, other in (("search", 2, "browse"), ("recommendation", 1, "search")):
        alone = resolve(dataset, scenario)
        assert alone.keys() == {key for key, inputs in unified.items() if inputs["task"] == task}
        assert alone
        for key, inputs in alone.items():
            for name in ("candidates", "labels", "features", "popularity", "split", "target_id"):
                assert inputs[name] == unified[key][name]
            kinds = {b[0] for b in itertools.chain(inputs["current"], *inputs["past"])}
            assert other not in kinds


def test_no_window_crosses_splits_or_users_and_none_is_too_large(
    log_builder, tmp_path, small_settings, monkeypatch
):
    monkeypatch.setattr(window_shards, "WINDOWS_PER_SHARD", 2)
    settings = small_settings(
        random_log(log_builder, 10).write(tmp_path / "log"),
        tmp_path / "dataset",
        windows=data_settings.WindowSettings(targets_per_window=3),
    )
    prepare(settings)
    dataset = open_dataset(tmp_path / "dataset")
    rows = dataset.targets().to_pylist()
    for scenario in dataset.scenarios:
        for split in ("train", "validation", "test"):
            files = dataset.window_files(scenario, split)
            sizes = dataset.window_sizes(scenario, split)
            assert len(files) == max(1, -(-len(sizes) // 2))
            records = [r.numpy() for r in tf.data.TFRecordDataset(files)]
            assert len(records) == len(sizes)
            for record, size in zip(records, sizes.tolist(), strict=True):
                feature = tf.train.Example.FromString(record).features.feature
                ids = feature["target_id"].int64_list.value
                assert 1 <= len(ids) <= 3
                assert {rows[i]["split"] for i in ids} == {split}
                assert len({rows[i]["user_id"] for i in ids}) == 1
                assert list(ids) == sorted(ids)
                assert size[1:] == [
                    len(feature["behavior_type"].int64_list.value),
                    len(feature["session_behaviors"].int64_list.value) // 5,
                    len(ids),
                    len(feature["candidate_doc"].int64_list.value),
                ]
    sessions = {}
    for row in rows:
        assert sessions.setdefault(row["session"], row["split"]) == row["split"]


def test_training_targets_are_written_once_a_positive_and_all_others_once(
    log_builder, tmp_path, resolve, small_settings
):
    prepare(
        small_settings(random_log(log_builder, 11).write(tmp_path / "log"), tmp_path / "dataset")
    )
    dataset = open_dataset(tmp_path / "dataset")
    positions = {}
    for key, inputs in resolve(dataset, "unified").items():
        positions.setdefault(key[:-1], (inputs, []))[1].append(key[-1])
    several = 0
    for inputs, positive in positions.values():
        relevant = [place for place, label in enumerate(inputs["labels"]) if label]
        assert positive == (relevant if inputs["split"] == "train" else relevant[:1])
        several += len(relevant) > 1
    assert several


def test_a_log_without_targets_is_refused(builder, tmp_path, small_settings):
    builder.document("d1").document("d2").request("r1", "u", 0, "red", "d1", "d2")
    with pytest.raises(ValueError, match="at least one session with a target"):
        prepare(small_settings(builder.write(tmp_path / "log"), tmp_path / "dataset"))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_log_that_names_an_unknown_document_is_refused(builder, tmp_path, small_settings):
    builder.document("d1").request("r1", "u", 0, "red", ("d1", 3, None), "d2")
    settings = small_settings(
        builder.write(tmp_path / "log"),
        tmp_path / "dataset",
        split={"validation_parts": 0, "test_parts": 0},
    )
    with pytest.raises(ValueError, match=r"requests.*unknown doc_id"):
        prepare(settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log": ()}, "`log` must be given"),
        ({"shards": -1}, r"`shards` must be at least 0\. Got -1"),
        ({"scenarios": ("both",)}, r"`scenarios` must be some of .* --scenarios"),
        ({"sequence": data_settings.SequenceSettings(past_sessions=0)}, "past_sessions` must be"),
        ({"windows": data_settings.WindowSettings(targets_per_window=0)}, "targets_per_window`"),
    ],
)
def test_impossible_settings_are_refused_before_any_work(change, message, small_settings):
    with pytest.raises(ValueError, match=message):
        check_settings(dataclasses.replace(small_settings("log", "dataset"), **change))


def test_an_existing_output_is_refused(tmp_path, small_settings):
    with pytest.raises(FileExistsError, match="`output` must not exist"):
        check_settings(small_settings("log", tmp_path))
