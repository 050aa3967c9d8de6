"""The candidate lists of an evaluation, and the datasets that a run may be evaluated on."""

import os
from collections.abc import Mapping
from typing import Any

from data_pipeline.dataset.dataset_folder import Dataset

LISTS = "targets.parquet"
_SHARED_FILES = ("vocabulary.txt", "text_tokens.npy", "documents.parquet", "users.parquet")


def name(dataset: Dataset) -> str:
    """Return the protocol of a dataset's validation and test lists as part of a file name.

    Example:
        >>> import pathlib
        >>> sampled = {"protocol": "sampled", "count": 99, "drawn_by": "uniform"}
        >>> name(Dataset(pathlib.Path(), {"settings": {"eval_candidates": sampled}}))
        'sampled-99-uniform'
    """
    settings = dataset.manifest["settings"]
    lists = settings["eval_candidates"]
    if lists["protocol"] == "sampled":
        return f"sampled-{lists['count']}-{lists['drawn_by']}"
    if lists["protocol"] == "pseudo":
        return f"pseudo-{settings['pseudo_negatives']['count']}"
    return "shown"


def describe(dataset: Dataset) -> dict[str, Any]:
    """Return `name` of the lists' protocol, and `sha256` of the file that holds them."""
    return {"name": name(dataset), "sha256": dataset.manifest["files"][LISTS]["sha256"]}


def check_same_inputs(trained: Dataset, other: Dataset) -> None:
    """Refuse a dataset on which a model trained on another one cannot be evaluated.

    Args:
        trained: The dataset a run was trained on.
        other: One of the same log, prepared alike but for its candidate lists and windows.

    Raises:
        ValueError: Texts, documents, users, sequences, splits or features differ; the error names
            the first that does.
    """
    ours, theirs = _inputs(trained.manifest), _inputs(other.manifest)
    for part, value in ours.items():
        if theirs[part] != value:
            raise ValueError(
                "`dataset` must be prepared from the log of the run's dataset with the same "
                "settings, except --eval_candidates and --windows. Got "
                f"{os.fspath(other.path)!r}, whose {part} is not that of "
                f"{os.fspath(trained.path)!r}. Fix: prepare it with the settings in the latter's "
                "manifest.json."
            )


def _inputs(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a manifest that must agree by name."""
    return {
        **{file: manifest["files"][file]["sha256"] for file in _SHARED_FILES},
        "settings.sequence": manifest["settings"]["sequence"],
        "features": manifest["features"],
        "boundaries": manifest["boundaries"],
    }
