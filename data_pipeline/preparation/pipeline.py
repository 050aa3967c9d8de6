"""Preparation: the steps from a behavior log to a dataset, in the order of the paper.

A request passes these types:

    log folder(s)
    -> LogTables        the log in numbers (`PreparedLog` adds the strings behind them)
    -> UserEvents       behaviors in sessions, and when each fact is known
    -> SelectedTargets  valid targets with their splits
    -> CandidateLists   targets with their candidates and labels
    -> CandidateFeatures    F of the candidates
    -> WindowInputs     all of that, as the windows of every scenario read it
    -> ScenarioEvents   behaviors and sessions of one scenario
    -> VisibleHistory   the history each target may see
    -> a window, one tf.train.Example

Every step is a pure function of the results of earlier steps. `step_cache` keeps the results, so that a
killed preparation resumes after the last finished step and memory holds the work of one step.
"""

import contextlib
import dataclasses
import functools
import importlib
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from data_pipeline.common.codes import Split
from data_pipeline.common.data_warnings import to_plain
from data_pipeline.common.sorted_arrays import sorted_unique
from data_pipeline.dataset.dataset_folder import FEATURES_FILE
from data_pipeline.dataset.parquet_tables import write_tables
from data_pipeline.dataset.window_shards import write_windows
from data_pipeline.dataset.windows import WindowInputs
from data_pipeline.description import histograms, table_1
from data_pipeline.engine.base import Engine
from data_pipeline.events import sessions, splits, visible_history
from data_pipeline.events.event_shards import build_events
from data_pipeline.events.log_tables import read_tables
from data_pipeline.events.prepared_log import PreparedLog, open_prepared_log
from data_pipeline.events.user_blocks import cut_behaviors
from data_pipeline.events.user_events import UserEvents
from data_pipeline.features.feature_columns import FEATURES
from data_pipeline.features.relevance_features import CandidateFeatures, relevance_features
from data_pipeline.features.shared_counts import count_shared
from data_pipeline.preparation.checks import list_dataset_settings
from data_pipeline.preparation.data_checks import judge_dataset, require_training_targets
from data_pipeline.preparation.step_cache import Steps
from data_pipeline.settings import PrepareSettings
from data_pipeline.targets import candidate_lists, eval_candidates
from data_pipeline.targets.build_lists import build_candidate_lists, needs_catalogue
from data_pipeline.targets.candidate_lists import CandidateLists
from data_pipeline.targets.eligible_targets import SelectedTargets, choose_targets
from data_pipeline.targets.pseudo_lists import build_catalogue
from data_pipeline.text import corpus
from data_pipeline.text.corpus import TextTable


def prepare_dataset(
    settings: PrepareSettings, engine: Engine, folder: pathlib.Path, steps: Steps
) -> dict[str, Any]:
    """Prepare a dataset.

    Args:
        settings: Checked settings.
        engine: The engine for relational work.
        folder: Folder of the dataset.
        steps: Runs steps and keeps their results.

    Returns:
        The manifest without log, files and checksums.

    Raises:
        ValueError: The log has no training target.
    """
    tables = steps.run("log", lambda: read_tables(engine, settings.log, settings.sequence))
    log = open_prepared_log(engine, tables, settings.log, settings.sequence)
    with _importing_tensorflow():
        events = steps.run(
            "sessions",
            lambda: build_events(
                engine,
                tables,
                log.document_text,
                settings.sequence,
                steps.open_scratch("sessions"),
                settings.shards,
                settings.threads,
            ),
        )
        selected = steps.run(
            "targets",
            lambda: choose_targets(
                events, tables.empty_requests, settings.split, steps.open_scratch("targets")
            ),
        )
    require_training_targets(selected.rows["split"], selected.left_out)
    texts = _encode_texts(settings, log, events, selected, folder, steps)
    lists = steps.run(
        "candidates",
        lambda: _build_lists(
            settings, log, events, selected, texts, steps.open_scratch("candidates")
        ),
    )
    require_training_targets(lists.rows["split"], lists.left_out)
    features = steps.run(
        "features",
        lambda: _compute_features(
            settings, engine, events, lists, texts, folder, steps.open_scratch("features")
        ),
    )
    inputs = steps.run("tables", lambda: write_tables(folder, log, events, lists, features))
    statistics = steps.run(
        "statistics",
        lambda: _count_statistics(events, lists, inputs, selected.boundaries, len(texts.tokens)),
    )
    windows = {
        scenario: steps.run(
            f"windows of {scenario}",
            functools.partial(
                write_windows,
                folder,
                scenario,
                events,
                inputs,
                settings.sequence,
                settings.windows,
                settings.threads,
            ),
        )
        for scenario in settings.scenarios
    }
    warnings = steps.run(
        "warnings",
        lambda: to_plain(
            judge_dataset(
                events, lists, inputs.targets["past_behaviors"], texts, features, settings
            )
        ),
    )
    counts = _count_contents(log, texts, lists, inputs) | {"windows": windows}
    vocabulary_size = (folder / "vocabulary.txt").read_bytes().count(b"\n")
    return {
        **_describe_choices(settings, selected),
        **statistics,
        "warnings": warnings,
        "counts": counts,
        "left_out": lists.left_out,
        "features": _describe_features(features),
        "vocabulary_size": vocabulary_size,
        "text_length": int(texts.tokens.shape[1]),
        "max_candidates": int(np.diff(lists.offsets).max()),
    }


@contextlib.contextmanager
def _importing_tensorflow() -> Iterator[None]:
    """Import TensorFlow in a thread: it takes seconds of one core, and the steps inside use one."""
    thread = threading.Thread(target=importlib.import_module, args=["tensorflow"])
    thread.start()
    try:
        yield
    finally:
        # An error must not end the process while it is being imported, which prints another one.
        thread.join()


def _encode_texts(
    settings: PrepareSettings,
    log: PreparedLog,
    events: UserEvents,
    selected: SelectedTargets,
    folder: pathlib.Path,
    steps: Steps,
) -> TextTable:
    """Return tokens and vectors of the texts, learned before the validation period or taken."""
    taken = pathlib.Path(settings.vocabulary) if settings.vocabulary else None
    before = selected.boundaries.validation
    encoded = steps.run(
        "texts",
        lambda: corpus.encode_texts(folder, log, events, before, settings.text, taken),
    )
    return steps.run(
        "word vectors",
        lambda: corpus.build_vectors(folder, encoded, log.document_text, settings, taken),
    )


def _build_lists(
    settings: PrepareSettings,
    log: PreparedLog,
    events: UserEvents,
    selected: SelectedTargets,
    texts: TextTable,
    scratch: pathlib.Path,
) -> CandidateLists:
    """Return the candidate lists; documents to draw from are collected only if a list needs them."""
    catalogue = None
    if needs_catalogue(selected, settings):
        vectors = texts.vectors[texts.document_text]
        catalogue = build_catalogue(log, events.document_opens, vectors)
    requests = selected.rows["request"]
    requests = requests[requests > 0]
    return build_candidate_lists(
        selected,
        log.shown.read_lists(log.engine, requests, scratch, settings.shards, settings.threads),
        log.tables.find_log(selected.rows["time"]),
        catalogue,
        log.users[1:],
        settings,
        scratch,
    )


def _compute_features(
    settings: PrepareSettings,
    engine: Engine,
    events: UserEvents,
    lists: CandidateLists,
    texts: TextTable,
    folder: pathlib.Path,
    scratch: pathlib.Path,
) -> CandidateFeatures:
    opens, searches = events.document_opens, events.searches
    asked = lists.rows, lists.candidates["doc"], lists.offsets
    work = scratch, settings.shards, settings.threads
    return relevance_features(
        opens,
        searches,
        *asked,
        lists.redrawn,
        count_shared(engine, opens, searches, *asked, *work),
        texts,
        scratch,
        folder / FEATURES_FILE,
        workers=settings.threads,
    )


def _count_statistics(
    events: UserEvents,
    lists: CandidateLists,
    inputs: WindowInputs,
    limits: splits.Boundaries,
    texts: int,
) -> dict[str, Any]:
    """Return Table 1 of the paper and the histograms, for the manifest."""
    return {
        "statistics": table_1.table_1(events, texts, lists, inputs.group_row, limits),
        "histograms": {
            "session_lengths": histograms.session_lengths(cut_behaviors(events.behaviors)),
            "transitions": histograms.transitions(cut_behaviors(events.behaviors)),
        },
    }


def _count_contents(
    log: PreparedLog, texts: TextTable, lists: CandidateLists, inputs: WindowInputs
) -> dict[str, Any]:
    known = inputs.user_row[inputs.user_row > 0]
    return {
        "documents": len(log.document_text),
        "users": len(log.users),
        "known_users": len(sorted_unique(known)),
        "texts": len(texts.tokens),
        "targets": len(lists.rows["target_id"]),
        "unlabeled": int((lists.rows["split"] == Split.UNLABELED.number).sum()),
        "groups": len(inputs.group_row),
        "candidates": int(lists.offsets[-1]),
    }


def _describe_choices(settings: PrepareSettings, selected: SelectedTargets) -> dict[str, Any]:
    return {
        "settings": list_dataset_settings(settings),
        "choices": [
            *sessions.CHOICES,
            *splits.CHOICES,
            *candidate_lists.CHOICES,
            *eval_candidates.CHOICES,
            *visible_history.CHOICES,
            *corpus.CHOICES,
        ],
        "vocabulary_taken": bool(settings.vocabulary),
        "recommendation_lists_logged": selected.lists_logged,
        "boundaries": dataclasses.asdict(selected.boundaries),
        "oov_buckets": settings.text.oov_buckets,
    }


def _describe_features(features: CandidateFeatures) -> dict[str, Any]:
    return {
        "names": [feature.name for feature in FEATURES],
        "query_free": [feature.query_free for feature in FEATURES],
        "mean": [float(value) for value in features.mean],
        "std": [float(value) for value in features.std],
    }
