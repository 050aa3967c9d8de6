"""The steps from a behavior log to a dataset, in their order.

Every step is a pure function of what earlier steps made; `data_pipeline.preparation.step_cache` keeps the results,
so that a killed preparation goes on after the last finished step and memory holds one step's work.
"""

import dataclasses
import functools
import importlib
import os
import pathlib
import threading
from typing import Any

import numpy as np

from data_pipeline.common import flagtree
from data_pipeline.common.sorted_arrays import sorted_unique
from data_pipeline.dataset.window_shards import WindowInputs
from data_pipeline.engine.base import Engine
from data_pipeline.events import sessions, splits, visible_history
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.prepared_log import open_prepared_log
from data_pipeline.events.user_events import build_events
from data_pipeline.features import relevance_features
from data_pipeline.preparation import stages
from data_pipeline.preparation.step_cache import Steps
from data_pipeline.settings import PrepareSettings
from data_pipeline.targets import candidate_lists, eval_candidates
from data_pipeline.text import corpus

_OF_THE_MACHINE = (
    "log",
    "earlier_logs",
    "extend",
    "vocabulary",
    "output",
    "engine",
    "spark_master",
    "threads",
    "memory_gib",
)


def settings_of_dataset(settings: PrepareSettings) -> dict[str, Any]:
    """The settings a dataset depends on, as plain values.

    Where the log lay, how fast it was read and what was taken over from an earlier dataset say
    nothing about the dataset.
    """
    plain = flagtree.to_dict(settings)
    for name in _OF_THE_MACHINE:
        del plain[name]
    plain["text"]["wordpiece_vocabulary"] = os.path.basename(settings.text.wordpiece_vocabulary)
    return plain


def prepare_dataset(
    settings: PrepareSettings, engine: Engine, folder: pathlib.Path, steps: Steps
) -> dict[str, Any]:
    """Prepares a dataset.

    Args:
        settings: Checked settings.
        engine: Where relational work runs.
        folder: Where the dataset's files go.
        steps: Keeps results.

    Returns:
        The manifest without log, files and checksums.

    Raises:
        ValueError: The log holds nothing to rank for.
    """
    log = steps.run(
        "log",
        lambda: read_tables(engine, settings.log, settings.sequence, settings.earlier_logs),
    )
    source = open_prepared_log(settings, engine, log)
    document_text = source.document_text
    earlier = stages.read_base(settings, source) if settings.extend else None

    # Its import takes seconds of one core, and the next step has work for one.
    threading.Thread(target=importlib.import_module, args=["tensorflow"]).start()
    sequence = steps.run(
        "sessions",
        lambda: build_events(engine, log, document_text, settings.sequence),
    )
    chosen = steps.run("targets", lambda: stages.choose_targets(settings, source, sequence))
    texts = steps.run(
        "texts",
        lambda: stages.encode_texts(settings, source, sequence, chosen, folder),
    )
    taken = stages.vocabulary_of(settings)
    text_table = steps.run(
        "word vectors", lambda: corpus.build_vectors(folder, texts, document_text, settings, taken)
    )
    lists = steps.run(
        "candidates",
        lambda: stages.lay_out_lists(settings, source, sequence, chosen, text_table, earlier),
    )
    found = steps.run(
        "features",
        lambda: stages.compute_features(settings, sequence, lists, text_table, earlier, folder),
    )
    made = steps.run("tables", lambda: stages.write_tables(source, sequence, lists, found, folder))
    material = WindowInputs(
        made.targets,
        made.user_row,
        lists.targets.offsets,
        lists.targets.candidates["doc"],
        lists.targets.candidates["label"],
        found.values,
        document_text,
        made.group_row,
        made.positive,
    )
    windows = {
        name: steps.run(
            f"windows of {name}",
            functools.partial(stages.write_windows, settings, sequence, material, name, folder),
        )
        for name in settings.scenarios
    }
    counted = steps.run(
        "statistics", lambda: stages.count_statistics(sequence, lists, material, chosen)
    )
    return {
        "settings": settings_of_dataset(settings),
        "choices": [
            *sessions.CHOICES,
            *splits.CHOICES,
            *candidate_lists.CHOICES,
            *eval_candidates.CHOICES,
            *visible_history.CHOICES,
            *corpus.CHOICES,
        ],
        "vocabulary_taken": taken is not None,
        "recommendation_lists_logged": chosen.lists,
        "boundaries": dataclasses.asdict(chosen.limits),
        "counts": {
            "documents": len(document_text),
            "users": len(source.users),
            "known_users": len(sorted_unique(material.user_row[material.user_row > 0])),
            "texts": len(text_table.tokens),
            "targets": len(lists.targets.rows["target_id"]),
            "groups": len(material.group_row),
            "candidates": int(lists.targets.offsets[-1]),
            "windows": windows,
        },
        "left_out": lists.targets.left_out,
        **counted,
        "features": {
            "names": [feature.name for feature in relevance_features.FEATURES],
            "query_free": [feature.query_free for feature in relevance_features.FEATURES],
            "mean": [float(value) for value in found.mean],
            "std": [float(value) for value in found.std],
        },
        "vocabulary_size": (folder / "vocabulary.txt").read_bytes().count(b"\n"),
        "oov_buckets": settings.text.oov_buckets,
        "text_length": int(text_table.tokens.shape[1]),
        "max_candidates": int(np.diff(lists.targets.offsets).max()),
    }
