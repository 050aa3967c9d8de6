"""Starting from a model trained on an earlier dataset, whose words, users and documents have grown.

A row of a table belongs to a word, a user or a document, so rows are carried over by name, not by
number. A name new to the dataset keeps the row the new model began with: its word vector, or the
random row of a user.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from user_tf import run_folder

# Tables are told by the end of their variable's path; every other variable has no names.
_WORDS, _USERS, _DOCUMENTS = (
    "/embedding/embeddings",
    "/user_embedding/embeddings",
    "/document_embedding/embeddings",
)
# Told by the dataset, not learned, or of rows hashed from numbers that have changed.
_LEFT = ("_neighbors", "_tokens", "/personal_embedding/table/embeddings", "seed_generator_state")


def start_from(run: str, phase: str, model: keras.Model, dataset: Any) -> int:
    """`carry_over` from the trained model of a run's phase; the run's dataset must still be there.

    Raises:
        FileNotFoundError: The run has no such trained phase.
        ValueError: As `carry_over`.
    """
    before, _, earlier = run_folder.load_model(run, phase)
    return carry_over(model, dataset, before, earlier)


def carry_over(model: keras.Model, dataset: Any, before: keras.Model, earlier: Any) -> int:
    """Gives a new model the weights of an earlier one.

    Args:
        model: A built ranker with its initial weights, changed in place.
        dataset: `data_pipeline.dataset.dataset_folder.Dataset` it was built for.
        before: The trained ranker, of the same settings.
        earlier: The dataset that one was built for.

    Returns:
        Rows of tables that had no earlier one and stay as they were.

    Raises:
        ValueError: The models differ in more than the names of their tables' rows.
    """
    same = len(model.variables) == len(before.variables)
    new = 0
    for mine, theirs in zip(model.variables, before.variables, strict=False):
        if mine.path.endswith(_LEFT):
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
            "`train.warm_start` should be a run of the same model. Received: one whose variables "
            "have other shapes. Set --model as it was there, or train from scratch."
        )
    return new


def _rows(path: str, dataset: Any, earlier: Any) -> npt.NDArray[np.int64] | None:
    """int64 [rows]: the earlier row of each row of a table, -1 for none; None if it is no table."""
    if path.endswith(_USERS):
        return rows_of(dataset.user_ids, earlier.user_ids)
    if path.endswith(_DOCUMENTS):
        return rows_of(dataset.document_ids, earlier.document_ids)
    if path.endswith(_WORDS):
        words = rows_of(dataset.vocabulary, earlier.vocabulary)
        # A hashed bucket is the same one wherever there are as many of them.
        buckets = np.arange(dataset.oov_buckets) + len(earlier.vocabulary)
        if dataset.oov_buckets != earlier.oov_buckets:
            buckets = np.full(dataset.oov_buckets, -1)
        return np.concatenate([words, buckets])
    return None


def rows_of(names: Sequence[str], earlier: Sequence[str]) -> npt.NDArray[np.int64]:
    """int64 [names]: where each name stood earlier, -1 for a new one.

    Example:
        >>> rows_of(["", "anna", "bob"], ["", "bob"])
        array([ 0, -1,  1])
    """
    row = {name: number for number, name in enumerate(earlier)}
    return np.array([row.get(name, -1) for name in names], np.int64)
