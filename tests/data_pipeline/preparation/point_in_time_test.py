"""Leakage: a fact that is not yet known changes no input, no feature and no list of a target."""

import copy
import random

import numpy as np
import pytest

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.text import word_vectors
from tests.data_pipeline.preparation.altered_logs import (
    ALTERATIONS,
    alter_query,
    alter_search_click_dwell,
    cut_the_end,
    random_log,
    remove_search,
    seconds,
)

INPUTS = (
    "task",
    "query",
    "current",
    "past",
    "candidates",
    "candidate_texts",
    "features",
    "popularity",
    "last_touch",
    "first_of_task",
    "query_seen",
    "past_behaviors",
)


@pytest.fixture
def fixed_vectors(monkeypatch):
    """Word vectors that depend on the word only: what texts teach is another test's matter."""

    def by_word(tokens, vocabulary, settings, seed):
        rows = np.zeros((len(vocabulary) + settings.oov_buckets, settings.width), np.float32)
        for row, word in enumerate(vocabulary[1:], 1):
            rows[row] = np.random.default_rng(list(word.encode())).normal(size=settings.width)
        return rows

    monkeypatch.setattr(word_vectors, "word_vectors", by_word)


def prepared(log, folder, resolve, settings, scenarios=("unified", "search", "recommendation")):
    """Writes and prepares a log; {scenario: inputs of every target by its key}."""
    prepare(
        settings(
            log.write(folder / "log"),
            folder / "dataset",
            scenarios=scenarios,
            split={"validation_parts": 0, "test_parts": 0},
        )
    )
    dataset = open_dataset(folder / "dataset")
    result = {}
    for scenario in scenarios:
        # One entry a target: which document was its positive is a label, not an input.
        result[scenario] = {key[:-1]: inputs for key, inputs in resolve(dataset, scenario).items()}
    return result


def altered_just_after_a_target(log, alter, targets):
    """(altered log, last microsecond at which the alteration is unknown).

    Of many alterations the one nearest to targets of the same user on both sides: the one before
    must not see it, the one after should.
    """
    best = None
    for seed in range(60):
        altered = copy.deepcopy(log)
        user, known = alter(altered, random.Random(seed))
        limit = log.micro(0) + min(known, 1e9) * 1e6
        times = [key[1] for key in targets if key[0] == user]
        before = [limit - time for time in times if time <= limit]
        after = [time - limit for time in times if time > limit]
        known_to = sum(key[1] <= limit for key in targets)
        if (
            before
            and after
            and known_to >= 10
            and (best is None or min(before) + min(after) < best[0])
        ):
            best = min(before) + min(after), altered, limit
    assert best is not None
    return best[1:]


@pytest.fixture(scope="module")
def originals():
    return {}


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
def test_facts_not_yet_known_change_no_input_and_no_feature(
    alter, log_builder, tmp_path, resolve, small_settings, fixed_vectors, originals
):
    log = random_log(log_builder, seed=5, users=5)
    if not originals:
        originals.update(prepared(log, tmp_path / "original", resolve, small_settings))
    altered, limit = altered_just_after_a_target(log, alter, originals["unified"])
    after = prepared(altered, tmp_path / "altered", resolve, small_settings)
    queries = {row["request_id"]: row["query"] for row in altered.rows["requests"]}
    same = {
        r["request_id"] for r in log.rows["requests"] if queries.get(r["request_id"]) == r["query"]
    }
    compared = 0
    for scenario, before in originals.items():
        for key, inputs in before.items():
            # A target's own query is known to it.
            if key[1] > limit or key not in after[scenario] or key[2] not in same:
                continue
            compared += 1
            for name in INPUTS:
                assert after[scenario][key][name] == inputs[name], (scenario, key, name)
    assert compared >= 3
    assert after["unified"] != originals["unified"]


@pytest.mark.parametrize(
    "alter", [alter_query, remove_search, alter_search_click_dwell, cut_the_end]
)
def test_pseudo_negatives_do_not_depend_on_the_future(
    alter, log_builder, tmp_path, resolve, small_settings, fixed_vectors
):
    log = random_log(log_builder, seed=8, lists=False)
    scenarios = ("unified",)
    before = prepared(log, tmp_path / "original", resolve, small_settings, scenarios)["unified"]
    altered, limit = altered_just_after_a_target(log, alter, before)
    after = prepared(altered, tmp_path / "altered", resolve, small_settings, scenarios)["unified"]
    compared = 0
    for key in before.keys() & after.keys():
        # A user's own relevant documents of any time are no negatives of that user: labels.
        # A target's own query is known to it.
        if key[1] <= limit and (alter is not alter_query or not before[key]["query"]):
            lists = sorted(before[key]["candidates"]), sorted(after[key]["candidates"])
            names = INPUTS if lists[0] == lists[1] else ("current", "past", "query")
            compared += lists[0] == lists[1]
            for name in names:
                assert after[key][name] == before[key][name], (key, name)
    assert compared >= 3


def test_vocabulary_and_vectors_are_learned_before_the_validation_period(
    log_builder, tmp_path, small_settings
):
    log = random_log(log_builder, seed=5, users=4)
    folders = []
    for number, word in enumerate(("red shoes", "zebra crossing")):
        changed = copy.deepcopy(log)
        # Every query of the last two sessions; the boundary lies before them.
        for row in changed.rows["requests"]:
            if row["query"] and seconds(log, row) >= 2 * 7200:
                row["query"] = word
        folder = tmp_path / str(number)
        settings = small_settings(
            changed.write(folder / "log"),
            folder / "dataset",
            split={"train_parts": 1, "validation_parts": 1, "test_parts": 1},
        )
        manifest = prepare(settings)
        assert manifest["boundaries"]["validation"] <= log.micro(2 * 7200)
        folders.append(folder / "dataset")
    first, second = (open_dataset(folder) for folder in folders)
    assert first.vocabulary == second.vocabulary
    assert "zebra" not in second.vocabulary
    assert np.array_equal(first.word_vectors, second.word_vectors)
    assert first.manifest["features"] == second.manifest["features"]
    assert first.user_ids == second.user_ids
