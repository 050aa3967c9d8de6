"""Names of protocols, and which datasets a run may be evaluated on."""

import copy
import pathlib

import pytest

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.evaluation import protocol

FILES = ("vocabulary.txt", "text_tokens.npy", "documents.parquet", "users.parquet")


def dataset_of(path="own", **candidates):
    manifest = {
        "settings": {
            "eval_candidates": {"protocol": "shown", "count": 99, "drawn_by": "uniform"}
            | candidates,
            "pseudo_negatives": {"count": 9},
            "sequence": {"session_minutes": 30.0},
            "windows": {"targets_per_window": 32},
        },
        "features": {"names": ["clicks"], "mean": [0.5], "std": [1.0]},
        "boundaries": {"train": 0, "validation": 5, "test": 9},
        "files": {name: {"sha256": f"sum of {name}"} for name in (*FILES, "targets.parquet")},
    }
    return Dataset(pathlib.Path(path), manifest)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "shown"),
        ({"protocol": "pseudo"}, "pseudo-9"),
        ({"protocol": "sampled"}, "sampled-99-uniform"),
        (
            {"protocol": "sampled", "count": 999, "drawn_by": "popularity"},
            "sampled-999-popularity",
        ),
    ],
)
def test_a_protocol_is_named_by_its_settings(settings, expected):
    dataset = dataset_of(**settings)
    assert protocol.name(dataset) == expected
    assert protocol.describe(dataset) == {"name": expected, "sha256": "sum of targets.parquet"}


def test_other_lists_and_windows_of_the_same_log_are_accepted():
    other = dataset_of("other", protocol="sampled")
    other.manifest["settings"]["windows"]["targets_per_window"] = 1
    other.manifest["files"]["targets.parquet"]["sha256"] = "another"
    protocol.check_same_inputs(dataset_of(), other)


def changed(*path):
    other = copy.deepcopy(dataset_of("other"))
    node = other.manifest
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = "another"
    return other


@pytest.mark.parametrize(
    ("path", "part"),
    [
        *(((("files", name, "sha256")), name) for name in FILES),
        (("settings", "sequence", "session_minutes"), "settings.sequence"),
        (("features", "mean"), "features"),
        (("boundaries", "test"), "boundaries"),
    ],
)
def test_what_a_model_was_not_trained_on_is_refused(path, part):
    with pytest.raises(ValueError, match=rf"`dataset`.*'other', whose {part} is not.*'own'"):
        protocol.check_same_inputs(dataset_of(), changed(*path))
