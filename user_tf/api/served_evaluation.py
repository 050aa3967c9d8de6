"""Evaluation of a served model: the targets of a run as raw strings."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from data_pipeline.common.output_folder import FolderLock
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from user_tf import run_folder
from user_tf.api.trained_run import Run
from user_tf.evaluation import evaluated_targets, evaluator, metrics_table
from user_tf.serving.layout import EXTRA
from user_tf.serving.logged_requests import read_dataset_events, target_requests
from user_tf.serving.request import Request
from user_tf.serving.saved_ranker import SavedRanker
from user_tf.serving.server.model_card import SERVED, write_card

_BATCH = 32
RANKINGS = ("served", "served without `opened`")


@dataclasses.dataclass(frozen=True)
class ServedEvaluation:
    """Metrics of a served model; prints as a table.

    Attributes:
        content: Content of `RUN/evaluation/served-SPLIT.json`: by task and ranking the metrics of
            `evaluator.Evaluation.summarize`.
    """

    content: dict[str, Any]

    def __str__(self) -> str:
        lines = [f"{'MAP':<32}" + "".join(f"{name:>26}" for name in ("evaluation", *RANKINGS))]
        for task, rankings in self.content["tasks"].items():
            cells = [rankings[name]["map"] for name in ("evaluation", *RANKINGS)]
            heading = f"{task}, {rankings[RANKINGS[0]]['queries']:,} queries"
            lines.append(
                f"{heading:<32}"
                + "".join(f"{'-' if cell is None else format(cell, '.4f'):>26}" for cell in cells)
            )
        return "\n".join(lines)


def evaluate_served(
    run: Run,
    model: str | os.PathLike[str],
    log: str | os.PathLike[str],
    split: str,
    evaluation: Mapping[str, Any],
    command: str,
) -> ServedEvaluation:
    """Rank the targets of a split by signature `rank` and write RUN/evaluation/served-SPLIT.json.

    Metrics of the test split are also written beside the model, into its card.

    Args:
        run: The run the model was exported from.
        model: Folder made by `user_tf.export`, or one of its versions.
        log: Log the dataset was prepared from: it holds the strings.
        split: `train`, `validation` or `test`.
        evaluation: Content of the run's evaluation on the same split, for comparison.
        command: Command line, written into the JSON.

    Raises:
        ValueError: `log` is another log, or the model's counts are newer than the split.
    """
    dataset, ranker = open_dataset(run_folder.find_dataset(run.path)), SavedRanker(model)
    _check_counts(ranker, dataset, split)
    logged = read_dataset_events(dataset, log)
    tasks = ranker.manifest["tasks"]
    asked = [
        (target, request)
        for target, request in target_requests(dataset, logged, run.config.data.scenario, split)
        if request.task in tasks
    ]
    content = metrics_table.provenance(command, run.config.runtime.seed)
    content |= {"split": split, "model": os.fspath(ranker.version), "tasks": {}}
    targets = evaluated_targets.load(dataset, split)
    for name, keeps in zip(RANKINGS, (True, False), strict=True):
        ids, scores = _score(ranker, asked, keeps)
        found = evaluator.evaluate(targets, ids, scores)
        for task, summary in found.summary().items():
            content["tasks"].setdefault(task, {})[name] = summary
    for task, entry in content["tasks"].items():
        rankings = evaluation["tasks"][task]["rankings"]
        entry["evaluation"] = rankings[evaluation["model"]]["metrics"]
        entry["original order"] = rankings["original order"]["metrics"]
    with FolderLock(run.path / f"evaluation-served-{split}", "run"):
        run_folder.write_json(run.path / "evaluation" / f"served-{split}.json", content)
    if split == "test":
        extra = ranker.version / EXTRA
        run_folder.write_json(extra / SERVED, content)
        write_card(ranker.version, extra, ranker.manifest)
    return ServedEvaluation(content)


def _check_counts(ranker: SavedRanker, dataset: Dataset, split: str) -> None:
    """Refuse a snapshot that knows what the split's users did."""
    counts = ranker.manifest.get("counts")
    begin = dataset.manifest["boundaries"].get(split, 0)
    if counts and counts["until_microseconds"] > begin:
        raise ValueError(
            f"`served` must count only what was known before the {split} split begins. Got a model "
            f"whose counts reach to {counts['until']}. Fix: evaluate a version as user_tf.export "
            "wrote it, on --split=test."
        )


def _score(
    ranker: SavedRanker, asked: list[tuple[int, Request]], keep_opened: bool
) -> tuple[Any, Any]:
    """Return target ids int64 [n] and scores [n, C], NaN at padding."""
    ids, scores = [], []
    for first in range(0, len(asked), _BATCH):
        part = asked[first : first + _BATCH]
        requests = [
            dataclasses.replace(
                request, features=None, opened=request.opened if keep_opened else ()
            )
            for _, request in part
        ]
        ids += [target for target, _ in part]
        scores += ranker.scores(requests)
    width = max(map(len, scores), default=0)
    padded = np.full((len(scores), width), np.nan)
    for row, values in zip(padded, scores, strict=True):
        row[: len(values)] = values
    return np.array(ids, np.int64), padded
