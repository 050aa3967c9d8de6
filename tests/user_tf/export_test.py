"""A run on real dataset rows, exported: the served scores of raw strings are those of evaluation."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching.batches import evaluation_batches
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import PrepareSettings, PseudoNegativeSettings, TextSettings
from data_pipeline.simulator.folder import write_simulated_log
from data_pipeline.simulator.world_settings import SessionSettings, SimulateSettings, WorldSettings
from user_tf import run_folder
from user_tf.api.evaluate_run import evaluate_run
from user_tf.api.served_evaluation import evaluate_served
from user_tf.api.trained_run import Run
from user_tf.config import Config, DataConfig, ModelConfig, TrainConfig
from user_tf.evaluation.evaluator import score_targets
from user_tf.serving.count_update import update_counts
from user_tf.serving.layout import cli_command
from user_tf.serving.logged_requests import read_dataset_events, target_requests
from user_tf.serving.model_summary import summary
from user_tf.serving.request_file import rank_file
from user_tf.serving.request_json import from_json, to_json
from user_tf.serving.run_export import export_run
from user_tf.serving.saved_ranker import SavedRanker
from user_tf.training.phases import by_task

PHASES = ("search", "recommendation")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log, its dataset, and a run whose two phases have different random weights."""
    root = tmp_path_factory.mktemp("export")
    write_simulated_log(
        SimulateSettings(
            output=str(root / "log"),
            users=25,
            world=WorldSettings(topics=8, subtopics=3, documents=400),
            session=SessionSettings(sessions=12.0),
        )
    )
    prepare(
        PrepareSettings(
            log=(str(root / "log"),),
            output=str(root / "dataset"),
            scenarios=("unified",),
            text=TextSettings(width=16, word2vec_epochs=0, minimum_count=3, oov_buckets=50),
            pseudo_negatives=PseudoNegativeSettings(count=4),
        )
    )
    config = Config(
        run=str(root / "run"),
        data=DataConfig(dataset=str(root / "dataset")),
        model=ModelConfig(width=16, num_heads=2, key_dim=8, intermediate_dim=32),
        train=TrainConfig(phases=PHASES),
    )
    run, dataset = run_folder.open_run(config), open_dataset(config.data.dataset)
    for number, phase in enumerate(PHASES):
        keras.utils.set_random_seed(number)
        model = run_folder.build_model(config, dataset)
        draw = np.random.default_rng(number)
        for variable in model.trainable_variables:
            variable.assign(variable + draw.normal(0, 0.2, variable.shape))
        (run / phase).mkdir()
        model.save_weights(run / phase / run_folder.BEST)
    return root


@pytest.fixture(scope="module")
def version(folder):
    run = folder / "run"
    phases = by_task(Config.load(run))
    return export_run(run, folder / "served", phases, 3, folder / "log", "the command")


@pytest.fixture(scope="module")
def requests(folder):
    """Every test target as raw strings, by target id."""
    dataset = open_dataset(folder / "dataset")
    logged = read_dataset_events(dataset, folder / "log")
    return dict(target_requests(dataset, logged, "unified", "test"))


def test_the_requests_cover_what_a_request_may_hold(requests):
    assert len(requests) > 20
    behaviors = [item for request in requests.values() for item in request.history]
    assert {len(item.titles) for item in behaviors if item.query} >= {0, 1}
    assert any(not item.query for item in behaviors)
    assert any(
        sum(item.session == request.session for item in request.history) > 1
        for request in requests.values()
    )


def test_predict_on_raw_strings_gives_the_scores_of_evaluation(folder, version, requests):
    lines = [to_json(request) for request in requests.values()]
    (folder / "requests.jsonl").write_text("\n".join(lines), encoding="utf-8")
    output = folder / "answers.jsonl"
    served, asked = folder / "served", folder / "requests.jsonl"
    assert rank_file(served, asked, output) == (len(requests), 0)
    answers = map(json.loads, output.read_text(encoding="utf-8").splitlines())
    scores = {int(answer["request_id"]): answer["scores"] for answer in answers}
    compared = 0
    for phase in PHASES:
        model, config, dataset = run_folder.load_model(folder / "run", phase)
        batches = evaluation_batches(dataset, "unified", "test", config.data.batch, tasks=(phase,))
        for target, expected in zip(*score_targets(model, batches), strict=True):
            assert requests[target].task == phase
            found = scores[target]
            np.testing.assert_allclose(found, expected[: len(found)], atol=1e-4)
            assert np.isnan(expected[len(found) :]).all()
            compared += 1
    assert compared == len(requests)


def test_the_example_beside_the_model_is_a_target_of_the_dataset(version, requests):
    line = (version / "assets.extra" / "example_request.jsonl").read_text(encoding="utf-8")
    example = from_json(line)
    assert line == to_json(requests[int(example.request_id)]) + "\n"
    assert example.query and example.history


@pytest.mark.slow
def test_predict_and_saved_model_cli_rank_the_example_alike(version):
    example = from_json((version / "assets.extra" / "example_request.jsonl").read_text("utf-8"))
    served = SavedRanker(version)
    with np.load(version / "assets.extra" / "example_inputs.npz") as inputs:
        feeds = {name: tf.constant(inputs[name]) for name in inputs.files}
    assert "--signature_def rank_with_features " in cli_command(version)
    signature = tf.saved_model.load(version).signatures["rank_with_features"]
    by_arrays = signature(**feeds)["scores"].numpy()[0]
    np.testing.assert_allclose(by_arrays, served.scores([example])[0], atol=1e-5)


def test_the_manifest_names_the_source_of_the_model(folder, version):
    manifest = json.loads((version / "assets.extra" / "export.json").read_text(encoding="utf-8"))
    assert manifest["command"] == "the command"
    assert manifest["phases"] == {phase: phase for phase in PHASES}
    assert manifest["tasks"] == sorted(PHASES)
    assert manifest["features"] == open_dataset(folder / "dataset").feature_names
    assert "of the test split" in manifest["example"]
    assert manifest["key_fingerprint"] is None and not manifest["data"]["logs"][0]["masked"]
    assert sorted(item.name for item in (folder / "served").iterdir()) == ["3"]


def test_the_summary_names_signatures_and_a_command(version):
    text = summary(version)
    arguments = "candidate_count, candidates, history_count, history_query"
    for part in (f"signature rank\n  from {arguments}", "signature rank_with_features\n"):
        assert part in text
    assert "\n  to   history_kept, known_user, scores, unknown_words\n" in text
    assert "saved_model_cli run --dir" in text


def test_the_user_table_is_an_asset_of_its_own(folder, version):
    users = (version / "assets" / "users.txt").read_text(encoding="utf-8").splitlines()
    assert users[1:] == open_dataset(folder / "dataset").user_ids[1:]
    assert not (version / "assets.extra" / "users.txt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": ""}, "`run` must name a folder"),
        ({"output": ""}, "`output` must name a folder"),
        ({"version": 3}, "must not hold version 3 yet"),
        ({"version": 0}, "`version` must be at least 1"),
        ({"log": "nowhere"}, "`log` must be the folder of a behavior log.*'nowhere'"),
        ({"run": "nowhere"}, "nowhere"),
    ],
)
def test_impossible_settings_are_refused(folder, version, changes, message):
    settings = {"run": str(folder / "run"), "output": str(folder / "served"), "version": 4}
    phases = {phase: phase for phase in PHASES}
    with pytest.raises((ValueError, OSError), match=message):
        export_run(**(settings | changes), phases=phases)


def test_another_log_is_refused(folder, tmp_path):
    write_simulated_log(
        SimulateSettings(
            output=str(tmp_path / "log"),
            users=3,
            world=WorldSettings(topics=8, subtopics=3, documents=400),
        )
    )
    dataset = open_dataset(folder / "dataset")
    with pytest.raises(ValueError, match="`log` must be the log the dataset was prepared from"):
        read_dataset_events(dataset, tmp_path / "log")


def test_a_served_model_computes_f_and_newer_counts_need_no_training(folder, version, requests):
    search = next(request for request in requests.values() if request.query and request.opened)
    bare = dataclasses.replace(search, features=None)
    old = SavedRanker(version)
    [before] = old.scores([bare])
    [mean] = old.scores(
        [dataclasses.replace(search, features=tuple(map(tuple, means(folder, search))))]
    )
    assert np.abs(np.subtract(before, mean)).max() > 1e-3
    manifest = old.manifest["counts"]
    boundary = open_dataset(folder / "dataset").manifest["boundaries"]["test"]
    assert manifest["until_microseconds"] == boundary and manifest["titles"] > 10
    newer = update_counts(folder / "served", folder / "log", 5, 1, "the update")
    updated = SavedRanker(newer)
    assert updated.manifest["counts"]["until_microseconds"] > boundary
    assert updated.manifest["counts_command"] == "the update"
    [after] = updated.scores([bare])
    assert np.abs(np.subtract(before, after)).max() > 1e-4
    np.testing.assert_allclose(old.scores([bare])[0], before, atol=1e-5)
    [first], [second] = (ranker.scores([search]) for ranker in (old, updated))
    np.testing.assert_allclose(first, second, atol=1e-5)
    for ranker in (old, updated):
        example, expected = expected_scores(ranker.version)
        np.testing.assert_allclose(ranker.scores([example])[0], expected, atol=1e-4)
    assert expected_scores(old.version)[1] != expected_scores(updated.version)[1]
    shutil.rmtree(newer)


def expected_scores(version):
    """Return the example beside a version, without F, and its expected scores."""
    extra = version / "assets.extra"
    example = from_json((extra / "example_request.jsonl").read_text("utf-8"))
    scores = json.loads((extra / "expected_scores.json").read_text())["scores"]
    return dataclasses.replace(example, features=None), scores


def means(folder, request):
    mean = open_dataset(folder / "dataset").feature_mean.tolist()
    return [mean] * len(request.candidates)


def test_no_query_title_or_user_is_readable_in_the_counts(folder, version):
    dataset = open_dataset(folder / "dataset")
    for file in sorted((version / "assets").glob("counts_*")):
        content = file.read_text("ascii")
        assert set(content) <= set("0123456789-\t\n")
        assert not any(user in content for user in dataset.user_ids[1:])


def test_a_served_model_is_evaluated_through_raw_strings(folder, version):
    shutil.rmtree(folder / "run" / "evaluation", ignore_errors=True)
    run = Run(folder / "run")
    content = evaluate_run(run, "test", "", "", 20, "command").content
    result = evaluate_served(run, version, folder / "log", "test", content, "the command")
    written = json.loads((folder / "run" / "evaluation" / "served-test.json").read_text())
    assert written == result.content and written["command"] == "the command"
    for task in PHASES:
        rankings = written["tasks"][task]
        assert rankings["served"]["queries"] == content["tasks"][task]["queries"] > 0
    # Recommendations see no F, so that nothing differs; searches see what was opened.
    found = written["tasks"]["recommendation"]
    for name in ("served", "served without `opened`"):
        assert found[name]["map"] == pytest.approx(found["evaluation"]["map"], abs=1e-9)
    found = written["tasks"]["search"]
    assert found["served"]["auc_pooled"] != found["served without `opened`"]["auc_pooled"]
    assert "served without `opened`" in str(result)
    card = (version / "assets.extra" / "model_card.md").read_text("utf-8")
    assert (
        f"| search | served | {found['served']['queries']} | {found['served']['map']:.4f}" in card
    )
    with pytest.raises(ValueError, match="known before the validation split"):
        evaluate_served(run, version, folder / "log", "validation", content, "")
