"""Make requests of a dataset's own targets, with raw strings from the behavior log.

A dataset holds token ids; the log it was made from holds the strings. A request made here carries
exactly what its target sees, so the served model must score it as evaluation does: the export test
and the example beside a SavedModel both use it.
"""

import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import tensorflow as tf

from data_pipeline.batching import parsing
from data_pipeline.batching.batches import tables_of
from data_pipeline.common.codes import BehaviorType, Task
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.serving.request import Behavior, Request

_SPLIT_FOR_EXAMPLES = "test"


def target_requests(
    dataset: Dataset, log: str | os.PathLike[str], scenario: str, split: str
) -> Iterator[tuple[int, Request]]:
    """Yield (target id, request) of every target of a split, in the order of the windows.

    Sessions are numbered from 1 among those the target sees. F is given raw for both tasks.

    Args:
        dataset: An opened dataset.
        log: Folder of the behavior log it was prepared from.
        scenario: Behaviors a model sees: `unified`, `search` or `recommendation`.
        split: `train`, `validation` or `test`.

    Raises:
        ValueError: The log is not the one the dataset was prepared from.
    """
    titles, texts = _strings(dataset, pathlib.Path(log))
    targets = dataset.targets(["target_id", "user_id"])
    users = dict(zip(targets["target_id"].to_pylist(), targets["user_id"].to_pylist(), strict=True))
    tables = tables_of(dataset)
    for record in tf.data.TFRecordDataset(dataset.window_files(scenario, split)):
        window = {
            name: value.numpy() for name, value in parsing.parse(record[None], tables).items()
        }
        for row, target in enumerate(window["target_id"].tolist()):
            yield target, _request(window, row, str(target), users[target], titles, texts)


def example(dataset: Dataset, log: str | os.PathLike[str], scenario: str) -> Request | None:
    """Return the test target, among the first 200, with the most behaviors; a search if possible.

    Returns:
        None if the split is empty.
    """
    found: Request | None = None
    for number, (_, request) in enumerate(
        target_requests(dataset, log, scenario, _SPLIT_FOR_EXAMPLES)
    ):
        if number == 200:
            break
        if found is None or _richness(request) > _richness(found):
            found = request
    return found


def made_up(vocabulary: Sequence[str]) -> Request:
    """Return a request of a vocabulary's most frequent words, for a model without its log.

    Example:
        >>> made_up(["", "hat", "sun", "rain"]).candidates
        ('hat', 'sun', 'rain')
    """
    # A user types neither pieces of words nor the mark of unknown ones.
    complete = (word for word in vocabulary[1:] if not word.startswith(("##", "[")))
    words = [*itertools.islice(complete, 3), "word"]
    return Request(
        user_id="",
        query=words[0],
        session=2,
        history=(Behavior(1, words[0], (words[-1],)), Behavior(2, "", (words[0],))),
        candidates=tuple(words[:-1]) or (words[-1],),
        request_id="made-up",
    )


def _richness(request: Request) -> tuple[bool, int]:
    return bool(request.query), len(request.history)


def _request(
    window: dict[str, npt.NDArray[Any]],
    row: int,
    request_id: str,
    user_id: str,
    titles: Sequence[str],
    texts: Sequence[str],
) -> Request:
    history: list[Behavior] = []

    def add(pointers: npt.NDArray[np.int64], session: int) -> None:
        for behavior in pointers[pointers > 0] - 1:
            if window["behavior_type"][behavior] == BehaviorType.SEARCH:
                clicked = window["behavior_clicked_docs"][behavior]
                query = texts[window["behavior_text"][behavior]]
                found = tuple(titles[doc] for doc in clicked[clicked > 0])
            else:
                query, found = "", (titles[window["behavior_doc"][behavior]],)
            history.append(Behavior(session, query, found))

    past = window["past_sessions"][row]
    past = past[past > 0]
    for number, session in enumerate(past, start=1):
        add(window["session_behaviors"][session - 1], number)
    add(window["current_behaviors"][row], len(past) + 1)
    mask = window["candidate_mask"][row]
    search = window["task"][row] == Task.SEARCH
    return Request(
        user_id=user_id,
        query=texts[window["query_text"][row]] if search else "",
        session=len(past) + 1,
        history=tuple(history),
        candidates=tuple(titles[doc] for doc in window["candidate_doc"][row][mask]),
        features=tuple(tuple(map(float, values)) for values in window["features"][row][mask]),
        request_id=request_id,
    )


def _strings(dataset: Dataset, log: pathlib.Path) -> tuple[list[str], list[str]]:
    """Return the title of each document and the string of each text id; both start with "".

    Text ids are the rank of a string among all titles and queries of the log.
    """
    documents = pq.read_table(log / "documents.parquet", columns=["doc_id", "title"])
    queries = pq.read_table(log / "requests.parquet", columns=["query"])["query"].unique()
    named = dict(zip(documents["doc_id"].to_pylist(), documents["title"].to_pylist(), strict=True))
    contents = set(documents["title"].to_pylist()) | set(queries.to_pylist()) | {""}
    # The engine orders strings by their UTF-8 bytes, which is Python's order of code points.
    texts = sorted(contents)
    known = dataset.document_ids
    if len(texts) != len(dataset.text_tokens) or not set(known[1:]) <= set(named):
        raise ValueError(
            f"`log` must be the log the dataset was prepared from. Got {os.fspath(log)!r} with "
            f"{len(texts)} texts and {len(named)} documents, while the dataset has "
            f"{len(dataset.text_tokens)} and {len(known) - 1}. Fix: set --log to that log's folder."
        )
    return [named.get(doc_id, "") for doc_id in known], texts
