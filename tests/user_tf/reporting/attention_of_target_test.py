"""The attention of a target in runs with random weights."""

import json

import numpy as np
import pytest

from data_pipeline.batching.batches import evaluation_batches
from data_pipeline.common.codes import Task
from data_pipeline.settings import BatchSettings
from tests.user_tf.reporting.made_runs import make_run
from tests.user_tf.training import tiny_dataset
from user_tf import run_folder
from user_tf.models.batch_ops import padded_history, padded_session
from user_tf.models.contributions import COSINES
from user_tf.reporting import attention_of_target


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory):
    """A dataset, and runs of four models on it."""
    work = tmp_path_factory.mktemp("explain")
    dataset = tiny_dataset.write(work / "dataset")
    return dataset, {
        name: make_run(work / name, dataset, name) for name in ("user", "user_plus", "nrms", "hrnn")
    }


def seen_by(dataset, run, target):
    """Types, texts and weights of a target, straight from the batch and the model."""
    model, config, _ = run_folder.load_model(run, "pretrain")
    for batch in evaluation_batches(dataset, "unified", "test", config.data.batch):
        for row in np.flatnonzero(batch["target_id"].numpy() == target):
            sequences = (padded_history(batch), padded_session(batch))
            behaviors = np.concatenate([np.asarray(s.behaviors)[row] for s in sequences])
            real = np.flatnonzero(behaviors)
            return (
                batch["behavior_type"].numpy()[behaviors[real]],
                batch["text_tokens"].numpy()[batch["behavior_text"].numpy()[behaviors[real]]],
                np.asarray(model.attention(batch))[row][real],
            )
    raise AssertionError(target)


def targets_of(dataset, split="test", task="search"):
    """Targets whose relevant candidate is a document of the dataset."""
    rows = dataset.targets().to_pylist()
    return [
        row["target_id"]
        for row in rows
        if row["split"] == split and row["task"] == Task.from_label(task) and not row["labels"][0]
    ]


def explain(*folders, target, split="test"):
    return attention_of_target.explain_target(folders, target, split)


@pytest.mark.parametrize("task", ["search", "recommendation"])
def test_behaviors_come_in_their_order_with_the_weights_of_every_run(made, task):
    dataset, folders = made
    target = targets_of(dataset, task=task)[0]
    content = explain(folders["user"], folders["nrms"], target=target)
    assert content["target"]["task"] == task and len(content["target"]["opened"]) == 1
    assert [run["label"] for run in content["runs"]] == ["user", "nrms"]
    assert [b["order"] for b in content["behaviors"]] == list(
        range(1, len(content["behaviors"]) + 1)
    )
    for name in ("user", "nrms"):
        types, tokens, weights = seen_by(dataset, folders[name], target)
        assert len(types) == len(content["behaviors"]) > 0
        found = [b["weights"][name] for b in content["behaviors"]]
        np.testing.assert_allclose(found, weights, rtol=1e-5)
        assert [b["type"] for b in content["behaviors"]] == [
            {1: "browse", 2: "search"}[kind] for kind in types
        ]
        for behavior, words in zip(content["behaviors"], tokens, strict=True):
            expected = [f"word{t}" if t < tiny_dataset.WORDS else "▯" for t in words if t]
            assert behavior["text"].split() == expected
    parts = [b["part"] for b in content["behaviors"]]
    assert parts == sorted(parts, reverse=True)
    json.dumps(content, allow_nan=False)


def test_candidates_of_user_plus_name_the_behaviors_that_changed_their_scores_most(made):
    dataset, folders = made
    target = targets_of(dataset)[0]
    content = explain(folders["user_plus"], target=target)
    [run] = content["runs"]
    model, config, _ = run_folder.load_model(folders["user_plus"], "pretrain")
    for batch in evaluation_batches(dataset, "unified", "test", config.data.batch):
        for place in np.flatnonzero(batch["target_id"].numpy() == target):
            scores = np.asarray(model(batch))[place]
    found = [candidate["score"] for candidate in run["candidates"]]
    np.testing.assert_allclose(found, scores[: len(found)], atol=1e-5)
    count, changed = len(content["behaviors"]), 0
    for candidate in run["candidates"]:
        named = candidate["behaviors"]
        assert len(named) == min(3, count)
        sizes = [abs(behavior["change"]) for behavior in named]
        assert sizes == sorted(sizes, reverse=True)
        changed += sizes[0] > 1e-4
        for behavior in named:
            text = content["behaviors"][behavior["order"] - 1]["text"].split()
            assert set(behavior["behavior_words"]) <= set(text)
            assert set(behavior["candidate_words"]) <= set(candidate["text"].split())
    assert changed > 1
    json.dumps(content, allow_nan=False)


@pytest.mark.parametrize("task", ["search", "recommendation"])
def test_the_parts_of_a_score_have_names_and_sum_to_it(made, task):
    dataset, folders = made
    target = targets_of(dataset, task=task)[0]
    content = explain(folders["user"], folders["nrms"], target=target)
    user, nrms = content["runs"]
    assert nrms["candidates"] == []
    model, _, _ = run_folder.load_model(folders["user"], "pretrain")
    row = next(row for row in dataset.targets().to_pylist() if row["target_id"] == target)
    assert [c["opened"] for c in user["candidates"]] == [bool(label) for label in row["labels"]]
    for batch in evaluation_batches(dataset, "unified", "test", BatchSettings()):
        for place in np.flatnonzero(batch["target_id"].numpy() == target):
            scores = np.asarray(model(batch))[place][: len(row["labels"])]
    np.testing.assert_allclose([c["score"] for c in user["candidates"]], scores, atol=1e-5)
    kernel = np.asarray(model.scorer.linear.kernel)[:, 0]
    cosines = list(zip(COSINES, kernel[:4], strict=True))
    for candidate in user["candidates"]:
        parts = candidate["contributions"]
        assert list(parts)[:5] == [*COSINES, "knrm"]
        assert list(parts)[5:] == list(dataset.feature_names) and len(parts) == len(kernel)
        assert sum(parts.values()) == pytest.approx(candidate["score"], abs=1e-5)
        assert all(abs(parts[name]) <= abs(weight) + 1e-6 for name, weight in cosines)
        assert all(word.startswith(("word", "▯")) for word in candidate["text"].split())
    json.dumps(content, allow_nan=False)


def test_runs_of_different_scenarios_share_the_rows_of_common_behaviors():
    def behavior(kind, text, weight, part="past sessions"):
        return {"part": part, "type": kind, "text": text, "clicked": [], "weight": weight}

    both = [
        behavior("search", "sushi", 0.5),
        behavior("browse", "fish", 0.5),
        behavior("search", "fish", 1.0, "current session"),
    ]
    searches = [
        behavior("search", "rice", 0.7),
        behavior("search", "sushi", 0.3),
        behavior("search", "fish", 0.0),
    ]
    rows = attention_of_target.merge({"user": both, "htps": searches})
    assert [(row["order"], row["text"], row["part"]) for row in rows] == [
        (1, "rice", "past sessions"),
        (2, "sushi", "past sessions"),
        (3, "fish", "past sessions"),
        (4, "fish", "current session"),
    ]
    assert [row["weights"] for row in rows] == [
        {"user": None, "htps": 0.7},
        {"user": 0.5, "htps": 0.3},
        {"user": 0.5, "htps": None},
        {"user": 1.0, "htps": 0.0},
    ]


def test_a_run_of_one_task_sees_a_target_of_the_other_task_in_the_unified_scenario(made, tmp_path):
    dataset, folders = made
    single = make_run(tmp_path / "nrms", dataset, "nrms", "recommendation")
    target = targets_of(dataset, task="search")[0]
    content = explain(folders["user"], single, target=target)
    weights = [row["weights"]["nrms"] for row in content["behaviors"]]
    clicks = [row["type"] == "browse" and bool(row["text"]) for row in content["behaviors"]]
    assert [weight > 0 for weight in weights] == clicks
    assert sum(weights) == pytest.approx(1)


def test_order_and_parts_are_those_of_the_unified_scenario(made, tmp_path, monkeypatch):
    dataset, folders = made
    single = make_run(tmp_path / "nrms", dataset, "nrms", "recommendation")

    def seen(folder, config, target, moved):
        part = "current session" if config.data.scenario == "unified" else "past sessions"
        behavior = {"part": part, "type": "browse", "text": "hat", "clicked": [], "weight": 1.0}
        return [behavior], []

    monkeypatch.setattr(attention_of_target, "_read_run", seen)
    target = targets_of(dataset, task="recommendation")[0]
    content = explain(single, folders["user"], target=target)
    assert [run["label"] for run in content["runs"]] == ["nrms", "user"]
    assert [row["part"] for row in content["behaviors"]] == ["current session"]


def test_runs_of_one_model_are_named_by_the_end_of_their_paths(made, tmp_path):
    dataset, folders = made
    twin = make_run(tmp_path / "twin" / "seed1", dataset, "user")
    target = targets_of(dataset)[0]
    content = explain(folders["user"], twin, target=target)
    assert [run["label"] for run in content["runs"]][1] == "twin/seed1"
    (tmp_path / "more" / "twin").mkdir(parents=True)
    again = make_run(tmp_path / "more" / "twin" / "seed1", dataset, "user")
    with pytest.raises(ValueError, match=r"different labels.*twin/seed1"):
        explain(twin, again, target=target)


@pytest.mark.parametrize(
    ("names", "changes", "message"),
    [
        ((), {}, "`run` must name a folder"),
        (("user", "hrnn"), {}, r"models with attention: user,.*'hrnn'.*--run"),
        (("user",), {"split": "validation"}, r"`target` .* validation split.*--split"),
        (("user",), {"target": 10**6}, "`target` .* test split"),
    ],
)
def test_impossible_settings_are_refused(made, names, changes, message):
    dataset, folders = made
    with pytest.raises(ValueError, match=message):
        explain(*(folders[name] for name in names), **{"target": targets_of(dataset)[0], **changes})


def test_runs_of_different_datasets_are_refused(made, tmp_path):
    dataset, folders = made
    other = make_run(tmp_path / "nrms", tiny_dataset.write(tmp_path / "other", seed=2), "nrms")
    with pytest.raises(ValueError, match=r"runs of one dataset.*other"):
        explain(folders["user"], other, target=targets_of(dataset)[0])
