"""Write a version of a served model: the SavedModel, its manifest and an example request.

A version gets its number by one rename, since a server that watches the folder loads a numbered
folder as soon as it appears. `layout.py` lists the files.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_pipeline.batching.batches import tables_of
from data_pipeline.common.output_folder import UnfinishedFolder
from data_pipeline.text.tokenizers import build_tokenizer
from user_tf.serving.history_selection import HistoryLimits
from user_tf.serving.layout import EXAMPLE, EXAMPLE_INPUTS, EXTRA, MANIFEST
from user_tf.serving.request import Request, to_arrays
from user_tf.serving.request_json import to_json
from user_tf.serving.signatures import Graph, archive
from user_tf.serving.user_table import UserTable, write_users


def make_graph(dataset: Any, config: Any, users_file: str | os.PathLike[str]) -> Graph:
    """Return the path from strings to Batches for the models of a run.

    Args:
        dataset: The run's opened dataset.
        config: The run's `Config`.
        users_file: Where to write the user table's ids; it must exist until the model is saved.
    """
    write_users(users_file, dataset.user_ids)
    # The setting, not the longest text of the dataset: a served text may be longer than that.
    text_length = dataset.manifest["settings"]["text"]["text_length"]
    return Graph(
        tokenizer=build_tokenizer(
            dataset.tokenizer, dataset.vocabulary_file, dataset.oov_buckets, text_length
        ),
        users=UserTable(users_file),
        limits=HistoryLimits(
            config.data.scenario,
            dataset.session_behaviors,
            dataset.past_sessions,
            dataset.clicked_titles,
        ),
        tables=tables_of(dataset),
        settings=config.data.batch,
    )


def write(
    final: pathlib.Path,
    dataset: Any,
    config: Any,
    copies: Mapping[str, Any],
    example: Request,
    origin: Mapping[str, Any],
) -> None:
    """Write a version under a temporary name and rename it when it is complete.

    Args:
        final: DIR/<version>, from `layout.check_export`.
        dataset: The run's opened dataset.
        config: The run's `Config`.
        copies: Built rankers by task, as in `signatures.archive`.
        example: The request put beside the model, without its F where the model takes none.
        origin: Source of the model, for the manifest.
    """
    with UnfinishedFolder(final, f".{final.name}.unfinished") as unfinished:
        extra = unfinished.folder / EXTRA
        extra.mkdir()
        users = extra / "users.txt"
        graph = make_graph(dataset, config, users)
        archive(graph, copies).write_out(os.fspath(unfinished.folder), verbose=False)
        users.unlink()
        if not graph.feature_count:
            example = dataclasses.replace(example, features=None)
        features = None if example.features is None else graph.feature_count
        arrays = to_arrays([example], graph.limits.clicked_titles, features)
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
            "signatures": ["rank"] + ["rank_with_features"] * (graph.feature_count > 0),
            "features": dataset.feature_names if graph.feature_count else [],
            "limits": {
                "session_behaviors": graph.limits.session_behaviors,
                "past_sessions": graph.limits.past_sessions,
                "clicked_titles": graph.limits.clicked_titles,
                "text_length": graph.tokenizer.text_length,
            },
            "session_minutes": dataset.manifest["settings"]["sequence"]["session_minutes"],
            "known_users": len(dataset.user_ids) - 1,
        }
        (extra / MANIFEST).write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        unfinished.rename()


def _bytes(value: np.ndarray) -> np.ndarray:
    """Return strings as fixed-width UTF-8 bytes, which need no pickle; other arrays unchanged."""
    if value.dtype != object:
        return value
    flat = [text.encode("utf-8") for text in value.ravel().tolist()]
    return np.array(flat, dtype=np.bytes_).reshape(value.shape)
