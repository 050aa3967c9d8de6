"""The latent truth: P(satisfied click | state, position) of any document for any simulated request.

Only evaluation may read it, as an oracle: no ranking is better. The simulator draws clicks from the
same `ClickModel`, so these are the probabilities of the log itself.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_pipeline.simulator.click_model import ClickModel

STATES, DOCUMENTS, MODEL = "states.parquet", "documents.parquet", "model.json"
KEYS = ["user_id", "time", "task"]


def satisfied_click_probability(
    states: np.ndarray,
    documents: np.ndarray,
    positions: np.ndarray,
    model: ClickModel | None = None,
) -> np.ndarray:
    """Return P(clicked and dwell above the limit) for Q requests with C candidates.

    Args:
        states: Latent states [Q, k].
        documents: Latent vectors of the candidates [Q, C, k].
        positions: Positions in the list, from 1, [Q, C]; all 1 removes the effect of position, as
            the first position is always examined.
        model: Constants of the click model. Default: `ClickModel()`.

    Returns:
        Probabilities [Q, C], float64.

    Example:
        >>> state, near, far = np.ones((1, 1)), np.full((1, 1, 1), 2.0), np.zeros((1, 1, 1))
        >>> documents = np.concatenate([near, near, far], axis=1)
        >>> satisfied_click_probability(state, documents, np.array([[1, 4, 4]])).round(3).tolist()
        [[0.926, 0.463, 0.0]]
    """
    model = model or ClickModel()
    affinity = model.affinity(states, documents)
    return model.click_probability(affinity, positions) * model.satisfaction_probability(affinity)


class Truth:
    """The truth folder of a simulated log.

    Args:
        log: The log's folder.

    Raises:
        FileNotFoundError: The log has no truth: it was not simulated, or its truth was removed.
    """

    def __init__(self, log: str | os.PathLike[str]) -> None:
        folder = pathlib.Path(log) / "truth"
        if not (folder / MODEL).is_file():
            raise FileNotFoundError(
                f"`log` must be a simulated log with its truth. Got {os.fspath(log)!r}, which has "
                f"no truth/{MODEL}. Fix: write one with python -m data_pipeline.simulate."
            )
        self.model = ClickModel(**json.loads((folder / MODEL).read_text())["click_model"])
        documents = pq.read_table(folder / DOCUMENTS)
        self._document_ids = documents["doc_id"].combine_chunks()
        self._documents = _matrix(documents["vector"])
        states = pq.read_table(folder / STATES)
        self._states = _matrix(states["state"])
        self._keys = pa.table(
            {
                "user_id": states["user_id"],
                "time": states["time"].cast(pa.int64()),
                "task": states["kind"].cast(pa.int64()),
                "state_row": np.arange(states.num_rows),
            }
        )

    def probabilities(self, targets: pa.Table) -> pa.Array:
        """Return P(satisfied click) of every candidate of every target, list<double>.

        Args:
            targets: user_id, time (int64 us), task, candidates list<string> and pseudo bool. In a
                logged list a candidate's position counts; a list with pseudo-negatives was never
                shown, so every candidate is treated as examined.

        Raises:
            ValueError: A target or a candidate is not of this log.
        """
        state_rows = self._state_rows(targets)
        candidates = targets["candidates"].combine_chunks()
        documents = pc.index_in(candidates.flatten(), value_set=self._document_ids)
        if documents.null_count:
            unknown = candidates.flatten().filter(documents.is_null())[0].as_py()
            raise ValueError(
                f"`candidates` must be documents of the simulated log. Got {unknown!r}. "
                "Fix: set --log to the log that the dataset was prepared from."
            )
        counts = pc.list_value_length(candidates).to_numpy(zero_copy_only=False).astype(np.int64)
        first = np.cumsum(counts) - counts
        positions = 1 + np.arange(counts.sum()) - np.repeat(first, counts)
        pseudo = targets["pseudo"].to_numpy().astype(bool)
        positions = np.where(np.repeat(pseudo, counts), 1, positions)
        # Lists differ in length, so each candidate becomes a request with one candidate.
        flat = satisfied_click_probability(
            self._states[np.repeat(state_rows, counts)],
            self._documents[documents.to_numpy()][:, None, :],
            positions[:, None],
            self.model,
        )
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat[:, 0]))

    def _state_rows(self, targets: pa.Table) -> np.ndarray:
        """Return the row of each target's latent state."""
        keys = pa.table(
            {
                "user_id": targets["user_id"],
                "time": targets["time"].cast(pa.int64()),
                "task": targets["task"].cast(pa.int64()),
                "row": np.arange(targets.num_rows),
            }
        )
        joined = keys.join(self._keys, keys=KEYS, join_type="left outer").sort_by("row")
        if joined.num_rows != targets.num_rows:
            raise ValueError(
                "A target must have one latent state. Got two states of one user, time and task. "
                "Fix: simulate the log again."
            )
        found = joined["state_row"]
        if found.null_count:
            lost = targets.slice(pc.index(found.is_null(), True).as_py(), 1).to_pylist()[0]
            raise ValueError(
                "Every target must be a request of the simulated log. Got task "
                f"{lost['task']} of user {lost['user_id']!r} at {lost['time']} us. "
                "Fix: set --log to the log that the dataset was prepared from."
            )
        return found.to_numpy()


def write_truth_of(
    log: str | os.PathLike[str], dataset: str | os.PathLike[str], output: str | os.PathLike[str]
) -> int:
    """Write target_id and probability list<double> of every target of a dataset.

    Args:
        log: Folder of the simulated log.
        dataset: Folder of the dataset; its targets.parquet is read.
        output: Parquet file to write; must not exist.

    Returns:
        Number of targets.

    Raises:
        FileNotFoundError: The truth or the dataset is missing.
        FileExistsError: `output` exists already.
        ValueError: The dataset was prepared from another log.
    """
    source, target = pathlib.Path(dataset) / "targets.parquet", pathlib.Path(output)
    if not source.is_file():
        raise FileNotFoundError(
            f"`dataset` must hold targets.parquet. Got {os.fspath(dataset)!r}. "
            "Fix: write it with python -m data_pipeline.prepare."
        )
    if target.exists():
        raise FileExistsError(
            f"`output` must not exist. Got {os.fspath(output)!r}. Fix: name another file."
        )
    truth, count = Truth(log), 0
    schema = pa.schema([("target_id", pa.int64()), ("probability", pa.list_(pa.float64()))])
    part = target.with_name(target.name + ".tmp")
    with pq.ParquetWriter(part, schema) as writer:
        for targets in _batches(source):
            columns = [targets["target_id"].cast(pa.int64()), truth.probabilities(targets)]
            writer.write_table(pa.table(columns, schema=schema))
            count += targets.num_rows
    part.replace(target)
    return count


def _batches(source: pathlib.Path) -> Iterator[pa.Table]:
    names = ["target_id", "candidates", "pseudo", *KEYS]
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(batch_size=32_768, columns=names):
            yield pa.Table.from_batches([batch])


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    rows = column.combine_chunks()
    return rows.flatten().to_numpy(zero_copy_only=False).reshape(len(rows), -1)


def model_json(model: ClickModel, settings: dict[str, object]) -> str:
    """Return the text of model.json: constants of the click model, and the settings."""
    contents = {"click_model": dataclasses.asdict(model), "settings": settings}
    return json.dumps(contents, indent=2, sort_keys=True) + "\n"
