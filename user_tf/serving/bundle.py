"""Write a version of a served model: the SavedModel, its manifest and an example request.

A version gets its number by one rename, since a server that watches the folder loads a numbered
folder as soon as it appears. `layout.py` lists the files.
"""

import dataclasses
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_pipeline.batching.batches import tables_of
from data_pipeline.common.output_folder import UnfinishedFolder
from data_pipeline.features.count_snapshot import CountSnapshot
from data_pipeline.text.tokenizers import build_tokenizer
from user_tf.serving.example_requests import write_server_files
from user_tf.serving.graph.count_tables import CountTables, write_counts
from user_tf.serving.graph.document_table import DocumentTable
from user_tf.serving.graph.history_selection import HistoryLimits
from user_tf.serving.graph.ranking import Graph
from user_tf.serving.graph.request_checks import RequestCaps
from user_tf.serving.graph.request_features import RequestFeatures
from user_tf.serving.graph.user_table import UserTable, write_users
from user_tf.serving.layout import EXAMPLE, EXAMPLE_INPUTS, EXTRA, MANIFEST
from user_tf.serving.loading import as_tensors
from user_tf.serving.request import Request, to_arrays
from user_tf.serving.request_json import to_json
from user_tf.serving.server.model_card import write_card
from user_tf.serving.signatures import ServedModel

# Row subsets save a quarter of a large request at width 100, and cost more than they save at 32.
_WIDE = 64


def make_graph(
    dataset: Any,
    config: Any,
    folder: str | os.PathLike[str],
    snapshot: CountSnapshot | None = None,
    caps: RequestCaps | None = None,
) -> Graph:
    """Return the path from strings to Batches for the models of a run.

    Args:
        dataset: The run's opened dataset.
        config: The run's `Config`.
        folder: Where to write the files of tables; they must exist until the model is saved.
        snapshot: Counts of the log, for F. Default: none.
        caps: The largest request. Default: as in `RequestCaps`.
    """
    users_file = pathlib.Path(folder) / "users.txt"
    write_users(users_file, dataset.user_ids)
    # The setting, not the longest text of the dataset: a served text may be longer than that.
    text_length = dataset.manifest["settings"]["text"]["text_length"]
    tokenizer = build_tokenizer(
        dataset.tokenizer, dataset.vocabulary_file, dataset.oov_buckets, text_length
    )
    features = None
    if config.data.batch.features:
        write_counts(folder, snapshot)
        features = RequestFeatures(
            dataset.feature_names, dataset.word_vectors, tokenizer.encode, CountTables(folder)
        )
    return Graph(
        tokenizer=tokenizer,
        users=UserTable(users_file),
        limits=HistoryLimits(
            config.data.scenario,
            dataset.session_behaviors,
            dataset.past_sessions,
            dataset.clicked_titles,
        ),
        tables=tables_of(dataset),
        settings=config.data.batch,
        features=features,
        words=dataset.vocabulary_size,
        caps=caps or RequestCaps(),
        row_subsets=config.model.width >= _WIDE,
    )


def write(
    final: pathlib.Path,
    dataset: Any,
    config: Any,
    copies: Mapping[str, Any],
    example: Request,
    origin: Mapping[str, Any],
    snapshot: CountSnapshot | None = None,
    caps: RequestCaps | None = None,
    documents: Mapping[str, str] | None = None,
) -> None:
    """Write a version under a temporary name and rename it when it is complete.

    Args:
        final: DIR/<version>, from `layout.check_export`.
        dataset: The run's opened dataset.
        config: The run's `Config`.
        copies: Built rankers by task, as for `signatures.ServedModel`.
        example: The request put beside the model, without its F where the model takes none.
        origin: Source of the model, for the manifest.
        snapshot: Counts of the log, for F. Default: none; F's counts over all users are then their
            means.
        caps: The largest request. Default: as in `RequestCaps`.
        documents: Titles by id of the documents to encode. Default: none.
    """
    with UnfinishedFolder(final, f".{final.name}.unfinished") as unfinished:
        extra = unfinished.folder / EXTRA
        extra.mkdir()
        with tempfile.TemporaryDirectory() as assets:
            graph = make_graph(dataset, config, assets, snapshot, caps)
            table = None
            if documents and all(ranker.staged for ranker in copies.values()):
                table = DocumentTable(assets, documents, graph, copies)
            model = ServedModel(graph, copies, table)
            model.write(unfinished.folder)
        if not graph.feature_count:
            example = dataclasses.replace(example, features=None)
        features = None if example.features is None else graph.feature_count
        arrays = to_arrays([example], features)
        np.savez(
            extra / EXAMPLE_INPUTS,
            allow_pickle=False,
            **{name: _bytes(value) for name, value in arrays.items()},
        )
        (extra / EXAMPLE).write_text(to_json(example) + "\n", encoding="utf-8")
        manifest = {
            **origin,
            "tasks": sorted(copies),
            "scenario": graph.limits.scenario,
            "tokenizer": dataset.tokenizer,
            "signatures": model.names,
            "features": dataset.feature_names if graph.feature_count else [],
            "contributions": model.contribution_names,
            "documents": table.count if table else 0,
            "limits": {
                "session_behaviors": graph.limits.session_behaviors,
                "past_sessions": graph.limits.past_sessions,
                "clicked_titles": graph.limits.clicked_titles,
                "text_length": graph.tokenizer.text_length,
                **dataclasses.asdict(graph.caps),
            },
            "counts": describe_snapshot(snapshot),
            "sequence": dataset.manifest["settings"]["sequence"],
            "session_minutes": dataset.manifest["settings"]["sequence"]["session_minutes"],
            "known_users": len(dataset.user_ids) - 1,
            "data": _describe_data(dataset.manifest),
        }
        (extra / MANIFEST).write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        write_server_files(
            extra, example, manifest, lambda name, arrays: model.compute(name, as_tensors(arrays))
        )
        write_card(unfinished.folder, extra, manifest)
        unfinished.rename()


def describe_snapshot(snapshot: CountSnapshot | None) -> dict[str, Any] | None:
    """Return the date and size of a snapshot, for the manifest; None without one."""
    if snapshot is None:
        return None
    return {
        "until": str(np.datetime64(snapshot.time, "us")),
        "until_microseconds": snapshot.time,
        "titles": len(snapshot.titles),
        "queries": len(snapshot.queries),
        "pairs": len(snapshot.pair_queries),
    }


def _describe_data(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return logs, boundaries and figures of a dataset, for the manifest and the card."""
    reported = ("first_time", "last_time", "users", "searches", "recommendations")
    figures = ("users", "search_targets", "recommendation_targets")
    return {
        "logs": [
            {
                "source": log["source"].get("name", "unknown"),
                "masked": log["masked"],
                "report": {name: log["report"][name] for name in reported},
            }
            for log in manifest["logs"]
        ],
        "boundaries": manifest["boundaries"],
        "statistics": {
            split: {name: values[name] for name in figures}
            for split, values in manifest["statistics"].items()
        },
    }


def _bytes(value: np.ndarray) -> np.ndarray:
    """Return strings as fixed-width UTF-8 bytes, which need no pickle; other arrays unchanged."""
    if value.dtype != object:
        return value
    flat = [text.encode("utf-8") for text in value.ravel().tolist()]
    return np.array(flat, dtype=np.bytes_).reshape(value.shape)
