"""Warm start: begin with the weights of a run on an earlier dataset.

The new dataset has other words, users and documents. A row of a table belongs to one of them, so
rows are copied by name, not by number. A new name keeps its initial row: its word vector, or the
random row of a user.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from user_tf import run_folder

# Tables with named rows, by the end of their variable's path.
_WORDS, _USERS, _DOCUMENTS = (
    "/embedding/embeddings",
    "/user_embedding/embeddings",
    "/document_embedding/embeddings",
)
# Not copied: values of the dataset, or rows hashed from numbers that have changed.
_NOT_COPIED = (
    "_neighbors",
    "_tokens",
    "/personal_embedding/table/embeddings",
    "seed_generator_state",
)


def start_from(run: str, phase: str, model: keras.Model, dataset: Any) -> int:
    """Copy the weights of a run's phase into a new model; the run's dataset must still exist.

    Args:
        run: Folder of the earlier run.
        phase: Phase of that run.
        model, dataset: As for `copy_weights`.

    Returns:
        As `copy_weights`.

    Raises:
        FileNotFoundError: The run has no such trained phase.
        ValueError: As `copy_weights`.
    """
    before, _, earlier = run_folder.load_model(run, phase)
    return copy_weights(model, dataset, before, earlier)


def copy_weights(model: keras.Model, dataset: Any, before: keras.Model, earlier: Any) -> int:
    """Copy the weights of an earlier model into a new one.

    Args:
        model: A built ranker with its initial weights, changed in place.
        dataset: `data_pipeline.dataset.dataset_folder.Dataset` it was built for.
        before: The trained ranker, with the same settings.
        earlier: The dataset `before` was built for.

    Returns:
        Number of rows without an earlier one, which keep their initial values.

    Raises:
        ValueError: The models differ in more than the rows of their tables.
    """
    same = len(model.variables) == len(before.variables)
    new = 0
    for mine, theirs in zip(model.variables, before.variables, strict=False):
        if mine.path.endswith(_NOT_COPIED):
            continue
        rows = _rows(mine.path, dataset, earlier)
        value = np.asarray(theirs.numpy())
        if rows is None:
            same &= mine.shape == theirs.shape
        else:
            same &= mine.shape == (len(rows), *value.shape[1:])
        if not same:
            break
        if rows is not None:
            new += int((rows < 0).sum())
            value = np.where((rows >= 0)[:, np.newaxis], value[rows], mine.numpy())
        mine.assign(value)
    if not same:
        raise ValueError(
            "`train.warm_start` must be a run of the same model. Got one whose variables have other "
            "shapes. Fix: set --model as in that run, or train from scratch."
        )
    return new


def _rows(path: str, dataset: Any, earlier: Any) -> npt.NDArray[np.int64] | None:
    """Return the earlier row of each row of a table as int64 [rows], -1 for none; None for no table."""
    if path.endswith(_USERS):
        return find_rows(dataset.user_ids, earlier.user_ids)
    if path.endswith(_DOCUMENTS):
        return find_rows(dataset.document_ids, earlier.document_ids)
    if path.endswith(_WORDS):
        words = find_rows(dataset.vocabulary, earlier.vocabulary)
        # A word is in the same hashed bucket only where their number is the same.
        buckets = np.arange(dataset.oov_buckets) + len(earlier.vocabulary)
        if dataset.oov_buckets != earlier.oov_buckets:
            buckets = np.full(dataset.oov_buckets, -1)
        return np.concatenate([words, buckets])
    return None


def find_rows(names: Sequence[str], earlier: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the earlier row of each name as int64 [names], -1 for a new one.

    Example:
        >>> find_rows(["", "anna", "bob"], ["", "bob"])
        array([ 0, -1,  1])
    """
    row = {name: number for number, name in enumerate(earlier)}
    return np.array([row.get(name, -1) for name in names], np.int64)
