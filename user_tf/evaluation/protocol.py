"""Which candidate lists an evaluation was made on, and which datasets a run may be evaluated on."""

import os
from collections.abc import Mapping
from typing import Any

from data_pipeline.dataset.dataset_folder import Dataset

LISTS = "targets.parquet"
_SHARED_FILES = ("vocabulary.txt", "text_tokens.npy", "documents.parquet", "users.parquet")


def name(dataset: Dataset) -> str:
    """The protocol of a dataset's validation and test lists, fit for a file name.

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
    """What an evaluation says of its lists: `name`, and `sha256` of the file that holds them."""
    return {"name": name(dataset), "sha256": dataset.manifest["files"][LISTS]["sha256"]}


def check_same_inputs(trained: Dataset, other: Dataset) -> None:
    """Refuses a dataset that a model trained on another one cannot be evaluated on.

    Args:
        trained: The dataset a run was trained on.
        other: One of the same log, prepared alike but for its candidate lists and windows.

    Raises:
        ValueError: Texts, documents, users, sequences, splits or features differ; the first that
            does is named.
    """
    ours, theirs = _inputs(trained.manifest), _inputs(other.manifest)
    for part, value in ours.items():
        if theirs[part] != value:
            raise ValueError(
                "`dataset` should be prepared from the log of the run's dataset with the same "
                "settings, all but --eval_candidates and --windows. Received: "
                f"{os.fspath(other.path)!r}, whose {part} is not that of "
                f"{os.fspath(trained.path)!r}. Prepare it with the settings in the latter's "
                "manifest.json."
            )


def _inputs(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """All of a manifest that must agree, by name."""
    return {
        **{file: manifest["files"][file]["sha256"] for file in _SHARED_FILES},
        "settings.sequence": manifest["settings"]["sequence"],
        "features": manifest["features"],
        "boundaries": manifest["boundaries"],
    }
