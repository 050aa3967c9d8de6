"""Read the targets of a split as padded arrays from a dataset's targets.parquet."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.common.codes import Task
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.evaluation.metrics import Array

_STORED = (
    "first_of_task",
    "session_has_both",
    "known_user",
    "query_seen",
    "past_behaviors",
    "pseudo",
)
SLICE_COLUMNS = (*_STORED, "query_tokens")

_COLUMNS = ("target_id", "task", "user_id", "query", "labels", "popularity", "last_touch")


@dataclasses.dataclass(frozen=True)
class Targets:
    """Targets in ascending order of id. Q targets, C candidates, lists padded at the end.

    Attributes:
        target_id: int64 [Q].
        task: int8 [Q], codes of `Task`.
        user: [Q], masked user ids as an Arrow array.
        labels: int8 [Q, C], 1 relevant.
        mask: bool [Q, C], real candidates, in original order.
        popularity: int64 [Q, C], clicks of the document known before the target.
        last_touch: int64 [Q, C], time of the user's last touch of the document in
            microseconds since the epoch, -1 for none.
        slices: [Q] for each name of SLICE_COLUMNS.
    """

    target_id: Array
    task: Array
    user: pa.Array
    labels: Array
    mask: Array
    popularity: Array
    last_touch: Array
    slices: dict[str, Array]

    def __len__(self) -> int:
        return len(self.target_id)

    def take(self, rows: Array) -> "Targets":
        """Return the targets at `rows`, int [n] ascending or bool [Q]."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Targets(
            target_id=self.target_id[rows],
            task=self.task[rows],
            user=self.user.take(pa.array(rows, pa.int64())),
            labels=self.labels[rows],
            mask=self.mask[rows],
            popularity=self.popularity[rows],
            last_touch=self.last_touch[rows],
            slices={name: column[rows] for name, column in self.slices.items()},
        )

    def select_task(self, task: str) -> "Targets":
        """Return the targets of one task, `search` or `recommendation`."""
        return self.take(self.task == Task.from_label(task))

    def align(self, target_ids: Array, lists: Array) -> tuple[Array, Array]:
        """Bring lists keyed by target id into the order of these targets.

        Args:
            target_ids: int64 [n], in any order; of a repeated id the first counts.
            lists: [n, C'], in the candidates' original order; C' may differ from C.

        Returns:
            rows, int64 [m], the targets that are keyed, ascending; lists float64 [m, C], NaN
            at padding.

        Raises:
            ValueError: A target is not of this split, or its list is shorter than its candidates.

        Example:
            >>> targets = from_table(example_table())
            >>> rows, lists = targets.align(np.array([8]), np.array([[0.2, 0.1]]))
            >>> rows.tolist(), lists.tolist()
            ([1], [[0.2, 0.1, nan]])
        """
        ids, first = np.unique(np.asarray(target_ids, np.int64), return_index=True)
        rows = np.searchsorted(self.target_id, ids)
        found = rows < len(self)
        found[found] = self.target_id[rows[found]] == ids[found]
        if not found.all():
            raise ValueError(
                "`target_ids` must be targets of this split. Got "
                f"{ids[~found][:5].tolist()}, {int((~found).sum())} unknown of {len(ids)}. Fix: "
                "take scores and targets from one dataset and split."
            )
        lists = np.asarray(lists, np.float64)[first]
        width = self.mask.shape[1]
        mask = self.mask[rows]
        lists = np.pad(
            lists[:, :width],
            [(0, 0), (0, max(0, width - lists.shape[1]))],
            constant_values=np.nan,
        )
        short = (np.isnan(lists) & mask).any(axis=1)
        if short.any():
            row = int(np.flatnonzero(short)[0])
            raise ValueError(
                "`lists` must hold a number for every candidate. Got target "
                f"{ids[row]} with {int(mask[row].sum())} candidates and {lists[row].tolist()}, "
                f"{int(short.sum())} such targets. Fix: look for a diverged model or cut lists."
            )
        return rows, np.where(mask, lists, np.nan)


def load(dataset: Dataset, split: str) -> Targets:
    """Read the targets of a split (`train`, `validation`, `test`) of a dataset.

    Raises:
        ValueError: The split has no targets.
    """
    table = pq.read_table(
        dataset.path / "targets.parquet",
        columns=[*_COLUMNS, *_STORED],
        filters=[("split", "==", split)],
    )
    if not table.num_rows:
        raise ValueError(
            f"`split` must have targets in {dataset.path}. Got {split!r}, which has none. Fix: "
            "choose train, validation or test, or prepare a longer log."
        )
    return from_table(table.append_column("query_tokens", count_tokens(dataset, table["query"])))


def count_tokens(dataset: Dataset, texts: pa.ChunkedArray) -> pa.Array:
    """Count the tokens of texts [Q] as the dataset encodes them; 0 for an empty text.

    The dataset's own tokenizer makes them, so a token is a word, an id or a word piece; tokens
    beyond the dataset's text length do not count.
    """
    from data_pipeline.text.tokenizers import build_tokenizer

    tokenizer = build_tokenizer(
        dataset.tokenizer, dataset.vocabulary_file, dataset.oov_buckets, dataset.text_length
    )
    distinct = texts.combine_chunks().dictionary_encode()
    counts = np.count_nonzero(np.asarray(tokenizer.encode(distinct.dictionary.to_pylist())), axis=1)
    return pa.array(counts[distinct.indices.to_numpy()], pa.int32())


def from_table(table: pa.Table) -> Targets:
    """Make targets of a table with the columns of targets.parquet and `query_tokens`.

    Example:
        >>> from_table(example_table()).labels.tolist()
        [[0, 1, 0], [1, 0, 0]]
    """
    table = table.sort_by("target_id").combine_chunks()
    lengths = table["labels"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
    width = max(int(lengths.max(initial=0)), 1)
    mask = np.arange(width) < lengths[:, None]

    def pad(name: str, fill: int, dtype: type[np.generic]) -> Array:
        values = np.full(mask.shape, fill, dtype)
        values[mask] = table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return values

    return Targets(
        target_id=_column(table, "target_id"),
        task=_column(table, "task"),
        user=table["user_id"].combine_chunks(),
        labels=pad("labels", 0, np.int8),
        mask=mask,
        popularity=pad("popularity", 0, np.int64),
        last_touch=pad("last_touch", -1, np.int64),
        slices={name: _column(table, name) for name in SLICE_COLUMNS},
    )


def _column(table: pa.Table, name: str) -> Array:
    values: Array = table[name].to_numpy(zero_copy_only=False)
    return values


def example_table() -> pa.Table:
    """Return two targets for examples: a search of 3 candidates, a recommendation of 2."""
    return pa.table(
        {
            "target_id": pa.array([8, 3], pa.int64()),
            "split": ["test", "test"],
            "task": pa.array([1, 2], pa.int8()),
            "user_id": ["ann", "bob"],
            "query": ["", "sea view"],
            "query_tokens": pa.array([0, 2], pa.int32()),
            "labels": pa.array([[1, 0], [0, 1, 0]], pa.list_(pa.int8())),
            "popularity": pa.array([[5, 9], [2, 2, 7]], pa.list_(pa.int64())),
            "last_touch": pa.array([[-1, 40], [-1, -1, 10]], pa.list_(pa.int64())),
            "first_of_task": [True, False],
            "session_has_both": [False, True],
            "known_user": [False, True],
            "query_seen": [False, False],
            "past_behaviors": pa.array([0, 4], pa.int32()),
            "pseudo": [False, False],
        }
    )
