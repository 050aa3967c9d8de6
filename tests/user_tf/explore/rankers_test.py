"""Rankings of single targets are those of evaluation, and their reasons add up."""

import dataclasses
import os

import numpy as np
import pytest

from data_pipeline.batching import spec
from data_pipeline.batching.batches import evaluation_batches
from user_tf import run_folder
from user_tf.evaluation import evaluator
from user_tf.explore import rankers
from user_tf.explore.reasons import BEYOND, ONE_PART, WITHOUT_PARTS
from user_tf.explore.target_windows import Windows
from user_tf.reporting.left_out import leave_out
from user_tf.reporting.seen_behaviors import see_behaviors


def test_a_target_alone_has_the_scores_of_evaluation(exploration):
    model, config, dataset = run_folder.load_model(exploration.runs["user"], "pretrain")
    batches = evaluation_batches(dataset, "unified", "test", config.data.batch)
    ids, scores = evaluator.score_targets(lambda batch: model(batch), batches.take(1))
    chosen = list(zip(ids.tolist(), scores, strict=True))[:: len(ids) // 5]
    assert len({exploration.catalogue.find(target_id).task for target_id, _ in chosen}) == 2
    for target_id, expected in chosen:
        target = exploration.catalogue.find(target_id)
        found = exploration.rankers["user"].rank(target)
        np.testing.assert_allclose(found.scores, expected[: len(target.candidates)], atol=1e-5)


@pytest.mark.parametrize(("name", "beyond"), [("user", ()), ("user_plus", (BEYOND,))])
def test_contributions_add_up_to_the_scores(exploration, targets, name, beyond):
    for target in (targets["search"][0], targets["recommendation"][0]):
        found = exploration.rankers[name].rank(target)
        parts = np.array(found.reasons.contributions)
        assert parts.shape == (len(target.candidates), len(found.reasons.signals))
        np.testing.assert_allclose(parts.sum(axis=1), found.scores, atol=1e-5)
        assert found.reasons.signals[len(exploration.dataset.feature_names) + 5 :] == beyond
        weights = [item.weight for item in found.reasons.behaviors]
        assert len(weights) > 3 and 0.99 < sum(weights) < 2.01


def test_effects_are_scores_less_those_without_a_behavior(exploration, targets):
    ranker, target = exploration.rankers["user_plus"], targets["search"][0]
    found = ranker.rank(target)
    count = len(found.reasons.behaviors)
    assert np.shape(found.reasons.effects) == (len(target.candidates), count)
    assert exploration.rankers["user"].rank(target).reasons.effects == ()
    model, config, dataset = run_folder.load_model(exploration.runs["user_plus"], "pretrain")
    batch = Windows(dataset).batch(target, "unified", config.data.batch)
    behaviors = see_behaviors(batch, dataset.vocabulary)
    for place in (0, count // 2, count - 1):
        row = {
            name: tensor[place : place + 1]
            for name, tensor in leave_out(batch).items()
            if spec.BY_NAME[name].letters[0] == "T"
        }
        alone = {**leave_out(batch), **row}
        kept = see_behaviors(alone, dataset.vocabulary)
        assert [(b.type, b.text) for b in kept] == [
            (b.type, b.text) for n, b in enumerate(behaviors) if n != place
        ]
        scores = np.asarray(model(alone))[0, : len(target.candidates)]
        expected = np.array(found.scores) - scores
        np.testing.assert_allclose(np.array(found.reasons.effects)[:, place], expected, atol=1e-5)


def test_the_words_of_user_plus_belong_to_the_behaviors_that_raised_a_candidate(
    exploration, targets
):
    found = exploration.rankers["user_plus"].rank(targets["search"][0])
    raised = np.array(found.reasons.effects)
    raised -= raised.mean(axis=0)
    assert len(found.reasons.words) == len(found.scores)
    for row, sentences in zip(raised, found.reasons.words, strict=True):
        expected = [n for n in np.argsort(-row, kind="stable")[:3] if row[n] > 0]
        assert [int(said.split(".")[0]) - 1 for said in sentences] == expected
    number, words = found.reasons.words[0][0].split(". by aspect ")
    behavior, candidate = words.split(": ")[1].split(" ~ ")
    text = found.reasons.behaviors[int(number) - 1].text
    assert behavior and set(behavior.split()) <= set(text.split()) and candidate
    assert exploration.rankers["user"].rank(targets["search"][0]).reasons.words == ()


def test_what_a_ranker_cannot_explain_is_said_in_a_sentence(exploration, targets):
    search, read = targets["search"][0], targets["recommendation"][0]
    assert exploration.rankers["user"].rank(search).reasons.notes == ()
    assert exploration.rankers["user_plus"].rank(search).reasons.notes == (
        ONE_PART.format(name="user_plus"),
    )
    notes = exploration.rankers["nrms-r"].rank(read).reasons.notes
    assert notes[0] == WITHOUT_PARTS.format(name="nrms-r")


def test_a_run_of_another_task_is_refused(exploration, targets):
    with pytest.raises(ValueError, match=r"`run` must be trained on search.*'nrms-r'.*Fix:"):
        exploration.rankers["nrms-r"].rank(targets["search"][0])


def test_heuristics_are_those_of_evaluation(exploration, targets):
    target = targets["search"][0]
    original = exploration.rankers["original order"].rank(target).scores
    assert original == tuple(-float(n) for n in range(1, len(target.candidates) + 1))
    row = exploration.catalogue.targets("test").target_id.tolist().index(target.target_id)
    popularity = exploration.catalogue.targets("test").popularity[row]
    found = exploration.rankers["popularity"].rank(target).scores
    assert found == tuple(popularity[: len(found)].astype(float).tolist())


def test_runs_are_named_by_their_models_or_by_the_ends_of_their_paths(folder):
    user = folder / "user"
    assert list(rankers.label_runs([user, folder / "nrms"])) == ["user", "nrms-r"]
    parent = os.path.basename(folder)
    twice = rankers.label_runs([user, folder / "user_plus" / ".." / "user"])
    assert list(twice) == [f"{parent}/user", "../user"]
    with pytest.raises(ValueError, match=r"`run` must name runs with different names.*Fix:"):
        rankers.label_runs([user, user])


def test_a_target_outside_the_windows_is_refused(exploration, targets):
    absent = dataclasses.replace(targets["search"][0], target_id=10**9)
    with pytest.raises(ValueError, match=r"`target` must be in the windows.*unified"):
        exploration.rankers["user"].rank(absent)
