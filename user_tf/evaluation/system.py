"""Evaluate one system on a split: tables, `<split>.json` and `<split>-queries.parquet`."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipeline.dataset.dataset_folder import Dataset
from user_tf import run_folder
from user_tf.evaluation import (
    comparison,
    evaluated_targets,
    evaluator,
    heuristics,
    metrics_table,
    protocol,
)
from user_tf.evaluation.metrics import Array

Scorer = Callable[[], tuple[Array, Array]]


def evaluate_system(
    name: str,
    scorers: Mapping[str, tuple[str, Scorer]],
    dataset: Dataset,
    split: str,
    output: pathlib.Path,
    command: str,
    seed: int,
    truth: str = "",
    samples: int = 1000,
) -> dict[str, Any]:
    """Evaluate a system and the heuristics; write and return the result.

    Args:
        name: The system's name in tables.
        scorers: By task the phase that was trained for it, and a zero-argument callable that
            returns target ids int64 [n] and scores [n, C] of every target of the task in the split.
        dataset: Dataset with the targets.
        split: `train`, `validation` or `test`.
        output: The JSON to write; the rows of queries go to `<its stem>-queries.parquet`.
        command: Command line, written into the JSON.
        seed: Seed of the random rankings and of the resampling.
        truth: Parquet with the simulator's truth of the dataset. Default: unknown.
        samples: Resamplings of the users for 95 % intervals. Default: 1000.

    Returns:
        The JSON's content: provenance, `split`, `model`, `protocol` of the lists, and by task `phase`
        and the result of `comparison.compare`.

    Raises:
        FileNotFoundError: `truth` does not exist.
        ValueError: `samples` is below 1, or a target of the split has no scores.
    """
    _check(truth, samples)
    split_targets = evaluated_targets.load(dataset, split)
    lists = protocol.describe(dataset)
    content = metrics_table.provenance(command, seed)
    content |= {"split": split, "model": name, "protocol": lists, "tasks": {}}
    query_tables = []
    for task, (phase, score) in scorers.items():
        task_targets = split_targets.select_task(task)
        if not len(task_targets):
            print(f"{task}: no targets in the {split} split", flush=True)
            continue
        evaluated = evaluator.evaluate(task_targets, *score())
        if len(evaluated.targets) < len(task_targets):
            raise ValueError(
                f"`windows` must hold every target of the {split} split. Got "
                f"{len(evaluated.targets)} of {len(task_targets)} {task} targets. Fix: prepare the "
                "dataset again."
            )
        others = heuristics.rankings(task_targets, seed)
        if truth:
            others[heuristics.BEST] = heuristics.best_known(task_targets, pathlib.Path(truth))
        evaluations = {
            other: evaluator.evaluate(task_targets, task_targets.target_id, scores)
            for other, scores in others.items()
        } | {name: evaluated}
        compared = comparison.compare(evaluations, task, samples, seed)
        content["tasks"][task] = {"phase": phase, **compared}
        query_tables.append(metrics_table.query_table(evaluations, name))
    written = [output]
    run_folder.write_json(output, content)
    if query_tables:
        written.append(output.with_name(f"{output.stem}-queries.parquet"))
        pq.write_table(pa.concat_tables(query_tables), written[1])
    print("Written: " + ", ".join(map(str, written)), flush=True)
    return content


def title(content: Mapping[str, Any], task: str) -> str:
    """Return the heading of a task's table.

    Args:
        content: Result of `evaluate_system`.
        task: A task in it.
    """
    lists, phase = content["protocol"]["name"], content["tasks"][task]["phase"]
    return f"{task} ({content['split']}, {lists} lists, weights of {phase})"


def describe(content: Mapping[str, Any]) -> str:
    """Return the tables of an evaluation as text.

    Args:
        content: Result of `evaluate_system`.
    """
    tables = []
    for task, compared in content["tasks"].items():
        tables += [
            "",
            metrics_table.text_table(title(content, task), compared),
            metrics_table.slice_table(compared, (heuristics.ORIGINAL, content["model"])),
        ]
    return "\n".join(tables)


def _check(truth: str, samples: int) -> None:
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1. Got {samples}. Fix: set --samples.")
    if truth and not pathlib.Path(truth).exists():
        raise FileNotFoundError(
            f"`truth` must be a Parquet file. Got {truth!r}, which does not exist. Fix: set --truth "
            "to the simulator's truth of this dataset."
        )
