"""Word and user vectors of a trained model as files of TensorBoard's embedding projector."""

import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from tensorboard.plugins import projector

ROWS = 1000
"""Rows shown of a table: the first ones, which are the most frequent words."""

_TABLES = {"words": "/embedding/embeddings", "users": "/user_embedding/embeddings"}


def write_projector(folder: pathlib.Path, model: keras.Model, vocabulary: Sequence[str]) -> None:
    """Write the vectors of words and users, where the model has such tables.

    Users are named by their rows: no id leaves the dataset.

    Args:
        folder: Folder of the summaries of a phase.
        model: Trained ranker.
        vocabulary: Words of the dataset by row; row 0 is padding.
    """
    config = projector.ProjectorConfig()
    for name, ending in _TABLES.items():
        tables = [variable for variable in model.variables if variable.path.endswith(ending)]
        if not tables:
            continue
        values = np.asarray(tables[0].numpy())[1 : 1 + ROWS]
        labels = vocabulary[1:] if name == "words" else []
        _write_table(folder, name, values, labels)
        entry = config.embeddings.add()
        entry.tensor_name, entry.tensor_path = name, f"{name}.tsv"
        entry.metadata_path = f"{name}-labels.tsv"
    if config.embeddings:
        projector.visualize_embeddings(str(folder), config)


def _write_table(folder: pathlib.Path, name: str, values: Any, labels: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / f"{name}.tsv", values, fmt="%.5g", delimiter="\t")
    rows = [*labels[: len(values)], *(f"row {row + 1}" for row in range(len(labels), len(values)))]
    text = "".join(f"{label}\n" for label in rows)
    (folder / f"{name}-labels.tsv").write_text(text, encoding="utf-8")
