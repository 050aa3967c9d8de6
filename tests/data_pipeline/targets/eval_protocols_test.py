"""Datasets of other evaluation protocols: changed lists, unchanged targets, features and files."""

import collections
import itertools

import numpy as np
import pytest

from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.features.feature_columns import FEATURES, RANK_FEATURES
from data_pipeline.preparation.prepare_folder import prepare
from data_pipeline.settings import EvalCandidateSettings, PseudoNegativeSettings


def log_of(log_builder, lists):
    """Searches of four results, one satisfying and one not, and recommendations or browses."""
    log = log_builder()
    for number in range(30):
        log.document(f"d{number:02d}", published=4000 if number > 27 else None)
    for user, session in itertools.product(range(4), range(6)):
        at = session * 7200 + user * 60
        first = 5 * user + session
        docs = [f"d{(first + step) % 28:02d}" for step in range(8)]
        clicked = [(docs[0], at + 5, 90.0), docs[1], (docs[2], at + 9, 3.0), docs[3]]
        log.request(f"s{user}-{session}", f"u{user}", at, "red shoes", *clicked)
        if lists:
            shown = [docs[4], (docs[5], at + 70, 90.0), docs[6], (docs[7], at + 75, 90.0)]
            log.request(f"r{user}-{session}", f"u{user}", at + 60, "", *shown)
        else:
            log.browse(f"u{user}", at + 60, docs[5], 90.0)
    return log


@pytest.fixture(scope="module")
def dataset_of(log_builder, small_settings, tmp_path_factory):
    """`dataset_of(lists, shuffle, **settings of candidates)`: a prepared dataset, made once."""
    made = {}

    def make(lists, shuffle=0, **settings):
        key = (lists, shuffle, *settings.items())
        if key not in made:
            folder = tmp_path_factory.mktemp("protocol")
            log_of(log_builder, lists).write(folder / "log", shuffle=shuffle)
            prepare(
                small_settings(
                    folder / "log",
                    folder / "dataset",
                    scenarios=("unified",),
                    eval_candidates=EvalCandidateSettings(**settings),
                )
            )
            made[key] = open_dataset(folder / "dataset", verify=True)
        return made[key]

    return make


LISTS = ("candidates", "labels", "popularity", "last_touch", "pseudo")


def test_another_protocol_changes_validation_and_test_lists_and_nothing_else(dataset_of):
    shown = dataset_of(True)
    other = dataset_of(True, protocol="sampled", count=9)
    changed = 0
    rows = zip(shown.targets().to_pylist(), other.targets().to_pylist(), strict=True)
    for before, after in rows:
        if before["split"] == "train":
            assert after == before
            continue
        changed += 1
        for name in before.keys() - set(LISTS):
            assert after[name] == before[name], name
        relevant = {
            doc for doc, label in zip(before["candidates"], before["labels"], strict=True) if label
        }
        labels = dict(zip(after["candidates"], after["labels"], strict=True))
        assert {doc for doc, label in labels.items() if label} == relevant
        assert len(labels) == len(after["candidates"]) == len(relevant) + 9
        short = before["candidates"][2] if before["task"] == 2 else None
        assert short not in labels
        assert after["pseudo"]
    assert changed >= 10
    assert other.manifest["features"] == shown.manifest["features"]
    files = ("vocabulary.txt", "text_tokens.npy", "documents.parquet", "users.parquet")
    train = [name for name in shown.manifest["files"] if "/train-" in name]
    for name in (*files, *train):
        assert other.manifest["files"][name] == shown.manifest["files"][name], name


def test_drawn_lists_hide_ranks_and_keep_all_other_features(dataset_of, resolve):
    dataset = dataset_of(True, protocol="sampled", count=9)
    shown, drawn = (
        {inputs["target_id"]: inputs for inputs in resolve(one, "unified").values()}
        for one in (dataset_of(True), dataset)
    )
    places = [feature.name in RANK_FEATURES for feature in FEATURES]
    assert sum(places) == len(RANK_FEATURES)
    both = 0
    for target, inputs in shown.items():
        if inputs["split"] == "train":
            continue
        other = drawn[target]
        values = np.array(other["features"])
        mean = np.broadcast_to(dataset.feature_mean[places], values[:, places].shape)
        np.testing.assert_array_equal(values[:, places], mean)
        for doc in set(inputs["candidates"]) & set(other["candidates"]):
            ours = np.array(inputs["features"])[inputs["candidates"].index(doc)]
            theirs = values[other["candidates"].index(doc)]
            np.testing.assert_array_equal(ours[np.invert(places)], theirs[np.invert(places)])
            both += 1
    assert both >= 10


def test_the_same_log_gives_the_same_lists_whatever_the_order_of_its_rows(dataset_of):
    one, other = (dataset_of(True, shuffle, protocol="sampled", count=9) for shuffle in (0, 1))
    assert one.manifest["files"] == other.manifest["files"]


def test_pseudo_negatives_of_logged_lists_are_drawn_and_none_is_relevant_to_its_user(dataset_of):
    rows = dataset_of(True, protocol="pseudo").targets().to_pylist()
    liked = collections.defaultdict(set)
    for row in dataset_of(True).targets().to_pylist():
        for doc, label in zip(row["candidates"], row["labels"], strict=True):
            liked[row["user_id"]] |= {doc} if label else set()
    for row in rows:
        assert row["pseudo"] == (row["split"] != "train")
        if row["pseudo"]:
            negatives = [
                d for d, label in zip(row["candidates"], row["labels"], strict=True) if not label
            ]
            assert len(negatives) == PseudoNegativeSettings().count
            assert not set(negatives) & liked[row["user_id"]]


def test_lists_of_pseudo_negatives_stay_as_they_are_under_pseudo(dataset_of):
    shown, pseudo = dataset_of(False), dataset_of(False, protocol="pseudo")
    browsed = 0
    rows = zip(shown.targets().to_pylist(), pseudo.targets().to_pylist(), strict=True)
    for before, after in rows:
        if before["pseudo"]:
            assert after == before
            browsed += before["split"] != "train"
    assert browsed


def test_a_browse_is_ranked_among_sampled_documents_too(dataset_of):
    rows = dataset_of(False, protocol="sampled", count=12).targets().to_pylist()
    lists = [row for row in rows if row["task"] == 1 and row["split"] != "train"]
    assert lists
    for row in lists:
        assert len(set(row["candidates"])) == 13 and sum(row["labels"]) == 1
