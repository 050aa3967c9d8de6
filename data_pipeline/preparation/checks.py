"""Checks of a preparation's settings before any work starts."""

import os
from collections.abc import Sequence as Items
from typing import Any

from data_pipeline.common.codes import Scenario
from data_pipeline.settings import PrepareSettings


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
        "sequence.filter_neighbors": (settings.sequence.filter_neighbors, 0),
        "text.text_length": (settings.text.text_length, 1),
        "text.minimum_count": (settings.text.minimum_count, 1),
        "text.wordpiece_limit": (settings.text.wordpiece_limit, 3),
        "text.oov_buckets": (settings.text.oov_buckets, 1),
        "text.width": (settings.text.width, 1),
        "text.word2vec_epochs": (settings.text.word2vec_epochs, 0),
        "eval_candidates.count": (settings.eval_candidates.count, 1),
        "pseudo_negatives.exact_documents": (settings.pseudo_negatives.exact_documents, 1),
        "windows.targets_per_window": (settings.windows.targets_per_window, 1),
        "windows.windows_per_shard": (settings.windows.windows_per_shard, 1),
    }


def check_vocabulary(vocabulary: str, text: dict[str, Any]) -> None:
    """Refuse a dataset of `--vocabulary` that was prepared with other text settings.

    Args:
        vocabulary: Folder of the dataset.
        text: The text settings a dataset depends on, as plain values.

    Raises:
        ValueError: A text setting differs.
        FileNotFoundError: There is no complete dataset.
    """
    from data_pipeline.dataset.dataset_folder import open_dataset

    theirs = dict(_list_leaves("text", open_dataset(vocabulary).manifest["settings"]["text"]))
    for name, value in _list_leaves("text", text):
        if theirs[name] != value:
            raise ValueError(
                f"`{name}` must be that of the dataset of --vocabulary, {theirs[name]!r}. Got "
                f"{value!r}. Fix: set --{name} back, or prepare without --vocabulary."
            )


def _list_leaves(name: str, value: Any) -> Items[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _list_leaves(f"{name}.{key}", value[key])]
    return [(name, value)]
