"""Checks of settings, logs and vocabulary before any work starts."""

import os
from collections.abc import Sequence as Items
from typing import Any

from data_pipeline.common import flagtree
from data_pipeline.common.codes import Scenario
from data_pipeline.dataset.dataset_folder import open_dataset
from data_pipeline.events import splits
from data_pipeline.log.log_folder import Log, open_log
from data_pipeline.settings import PrepareSettings

_OF_THE_MACHINE = (
    "log",
    "vocabulary",
    "output",
    "engine",
    "spark_master",
    "threads",
    "memory_gib",
    "shards",
)


def check_settings(settings: PrepareSettings) -> None:
    """Refuse impossible settings.

    Raises:
        ValueError: Names the setting, the rule, the value and the fix.
        FileExistsError: `output` exists.
    """
    for name in ("log", "output"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` must be given. Got nothing. Fix: set --{name}.")
    unknown = [name for name in settings.scenarios if name not in list(Scenario)]
    if unknown or not settings.scenarios:
        raise ValueError(
            f"`scenarios` must be some of {', '.join(Scenario)}. Got "
            f"{list(settings.scenarios)}. Fix: set --scenarios to one or more of them, "
            "comma-separated."
        )
    for name, (value, lowest) in _list_minimums(settings).items():
        if value < lowest:
            raise ValueError(
                f"`{name}` must be at least {lowest}. Got {value}. Fix: set --{name} to {lowest} "
                "or more."
            )
    splits.find_given(settings.split)
    if settings.text.tokenizer == "wordpiece" or settings.text.wordpiece_vocabulary:
        from data_pipeline.text import wordpiece

        wordpiece.check(settings.text)
    if os.path.exists(settings.output):
        raise FileExistsError(
            f"`output` must not exist. Got {settings.output!r}. Fix: set --output to a new folder, "
            "or remove this one."
        )


def _list_minimums(settings: PrepareSettings) -> dict[str, tuple[float, float]]:
    """Return (value, minimum) of numeric settings by name."""
    return {
        "sequence.session_minutes": (settings.sequence.session_minutes, 0),
        "sequence.satisfied_seconds": (settings.sequence.satisfied_seconds, 0),
        "sequence.session_behaviors": (settings.sequence.session_behaviors, 1),
        "sequence.past_sessions": (settings.sequence.past_sessions, 1),
        "sequence.clicked_titles": (settings.sequence.clicked_titles, 1),
        "text.text_length": (settings.text.text_length, 1),
        "text.minimum_count": (settings.text.minimum_count, 1),
        "text.wordpiece_limit": (settings.text.wordpiece_limit, 3),
        "text.oov_buckets": (settings.text.oov_buckets, 1),
        "text.width": (settings.text.width, 1),
        "text.word2vec_epochs": (settings.text.word2vec_epochs, 0),
        "eval_candidates.count": (settings.eval_candidates.count, 1),
        "pseudo_negatives.exact_documents": (settings.pseudo_negatives.exact_documents, 1),
        "windows.targets_per_window": (settings.windows.targets_per_window, 1),
        "shards": (settings.shards, 0),
    }


def list_dataset_settings(settings: PrepareSettings) -> dict[str, Any]:
    """Return the settings a dataset depends on, as plain values.

    Paths and the settings of the machine are left out: they do not change the dataset.
    """
    plain = flagtree.to_dict(settings)
    for name in _OF_THE_MACHINE:
        del plain[name]
    plain["text"]["wordpiece_vocabulary"] = os.path.basename(settings.text.wordpiece_vocabulary)
    return plain


def open_inputs(settings: PrepareSettings, checksums: bool = True) -> list[Log]:
    """Open the logs, and check that the dataset of `--vocabulary` has the same text settings.

    Args:
        settings: Checked settings.
        checksums: Also compare the checksums of the logs' files. Default: True.

    Raises:
        LogError: A folder of `log` is no complete log.
        ValueError: A text setting differs, or the logs were masked with different keys.
        FileNotFoundError: `vocabulary` is no complete dataset.
    """
    logs = [open_log(folder, checksums) for folder in settings.log]
    keys = {log.key_fingerprint for log in logs if log.key_fingerprint}
    if len(keys) > 1:
        raise ValueError(
            "`log` must name logs whose users were masked with one key. Got keys with the fingerprints "
            f"{', '.join(sorted(keys))}. Fix: import them again with one key."
        )
    if settings.vocabulary:
        theirs = open_dataset(settings.vocabulary).manifest["settings"]
        taken = dict(_list_leaves("text", theirs["text"]))
        for name, value in _list_leaves("text", list_dataset_settings(settings)["text"]):
            if taken.get(name) != value:
                raise ValueError(
                    f"`{name}` must be that of the dataset of --vocabulary, {taken.get(name)!r}. "
                    f"Got {value!r}. Fix: set --{name} back, or prepare without --vocabulary."
                )
    return logs


def _list_leaves(name: str, value: Any) -> Items[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _list_leaves(f"{name}.{key}", value[key])]
    return [(name, value)]
