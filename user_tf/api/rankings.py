"""Rankings of a split by a trained run, and the files in which they are submitted."""

import csv
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_pipeline.common.codes import LABELED_SPLITS, Task
from data_pipeline.importers import mind, trivago
from user_tf.api.scoring import TrainedRun
from user_tf.api.trained_run import Run
from user_tf.evaluation.metrics import Array
from user_tf.serving.saved_ranker import rank


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The list of one request, and its scores.

    Attributes:
        request_id: Id in the log; None for a browse, whose list was not shown.
        target_id: Number in the dataset.
        documents: Ids, in the order of the list.
        scores: One a document.
    """

    request_id: str | None
    target_id: int
    documents: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def order(self) -> list[int]:
        """Return the positions of the documents, best first, ties in the order of the list."""
        return rank(self.scores)


def rank_split(run: Run, split: str, dataset: str = "") -> list[Ranking]:
    """Rank the requests of a split with the scores that `evaluate` uses, in the order of targets.

    Prints how many are of a task that the run was not trained on.

    Args:
        run: A trained run.
        split: `validation`, `test` or `unlabeled`.
        dataset: The dataset of the run, if it was moved, or another one of the same log. Default:
            the dataset of the run, as recorded.

    Raises:
        FileNotFoundError: The run has no weights, or a dataset does not exist.
        ValueError: The split has no target of a task that the run was trained on, or the dataset is
            another one.
    """
    trained = TrainedRun(run, dataset)
    rows = trained.data.targets(["target_id", "split", "task", "request_id", "candidates"])
    inside = np.flatnonzero(np.asarray(rows["split"].to_pylist()) == split)
    chosen = rows.take(pa.array(inside, pa.int64())).to_pylist()
    present = {Task(row["task"]).label for row in chosen}
    tasks = [task for task in trained.phases if task in present]
    if not tasks:
        how = (
            "choose another split, or prepare a longer log."
            if split in LABELED_SPLITS
            else "import requests whose answers are withheld with the log (their `split` is "
            "unlabeled), and prepare and train on it."
        )
        raise ValueError(
            f"`split` must have targets of a task of the run, {' or '.join(trained.phases)}. Got "
            f"{split!r} with {len(chosen)} targets in {os.fspath(trained.data.path)!r}. Fix: {how}"
        )
    for task in present - set(tasks):
        count = sum(Task(row["task"]).label == task for row in chosen)
        print(f"Not ranked: {count:,} requests of {task}, a task the run was not trained on.")
    scores: dict[int, Array] = {}
    for task in tasks:
        ids, lists = trained.score(split, task)
        scores |= dict(zip(ids.tolist(), lists, strict=True))
    return [
        Ranking(
            row["request_id"],
            row["target_id"],
            tuple(row["candidates"]),
            tuple(scores[row["target_id"]][: len(row["candidates"])].tolist()),
        )
        for row in chosen
        if row["target_id"] in scores
    ]


def write_rankings(file: TextIO, rankings: list[Ranking], form: str, source: str = "") -> None:
    """Write rankings.

    Args:
        file: Open file.
        rankings: The rankings.
        form: One of `FORMATS`.
        source: What the log was imported from (`--input` of the import); for the formats of
            challenges only, which name requests as their files do.

    Raises:
        LogError: `source` cannot be read.
        ValueError: It is not what the log was imported from.
    """
    FORMATS[form](file, rankings, source)


def _write_lines(file: TextIO, rankings: list[Ranking], _: str) -> None:
    for ranking in rankings:
        line = {
            "request_id": ranking.request_id,
            "target_id": ranking.target_id,
            "documents": [ranking.documents[place] for place in ranking.order],
            "scores": [ranking.scores[place] for place in ranking.order],
        }
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_mind(file: TextIO, rankings: list[Ranking], source: str) -> None:
    for ranking, [impression] in _named(rankings, mind.read_names(pathlib.Path(source)), source):
        places = np.argsort(ranking.order) + 1
        file.write(f"{impression} [{','.join(map(str, places.tolist()))}]\n")


def _write_trivago(file: TextIO, rankings: list[Ranking], source: str) -> None:
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow([*trivago.NAMES, "item_recommendations"])
    names = trivago.read_names(pathlib.Path(source))
    for ranking, values in _named(rankings, names, source):
        items = " ".join(ranking.documents[place] for place in ranking.order)
        rows.writerow([*values, items])


def _named(
    rankings: list[Ranking], names: pa.Table, source: str
) -> Iterator[tuple[Ranking, list[str]]]:
    """Yield each ranking with the values that name its request, in the order of the source."""
    by_request = {ranking.request_id: ranking for ranking in rankings}
    chosen = names.filter(pc.is_in(names["request_id"], pa.array(list(by_request))))
    if chosen.num_rows != len(rankings):
        raise ValueError(
            f"`source` must be what the log was imported from. Got {source!r}, which has "
            f"{chosen.num_rows} of {len(rankings)} requests. Fix: set --source to the --input of the "
            "import."
        )
    values = chosen.drop_columns(["request_id"])
    for request, row in zip(chosen["request_id"].to_pylist(), values.to_pylist(), strict=True):
        yield by_request[request], list(row.values())


FORMATS: dict[str, Callable[[TextIO, list[Ranking], str], None]] = {
    "lines": _write_lines,
    "mind": _write_mind,
    "trivago": _write_trivago,
}
"""Writers by their name."""
