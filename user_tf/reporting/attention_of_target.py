"""The attention of one target in several trained models, and the parts of its scores."""

import datetime
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.common.codes import SECOND, Scenario, Task
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from user_tf import run_folder
from user_tf.config import Config
from user_tf.reporting.alignment import align
from user_tf.reporting.behavior_effects import describe_effects
from user_tf.reporting.seen_behaviors import decode, one_target, see_behaviors


def explain_target(
    runs: Sequence[str], target_id: int, split: str, moved: str = ""
) -> dict[str, Any]:
    """Return the attention of a target in every run, and the parts of its candidates' scores.

    Args:
        runs: Folders made by `user_tf.train`, of one dataset.
        target_id: Target of the dataset.
        split: Split of the target.
        moved: Place of the runs' dataset, if it was moved. Default: as recorded.

    Returns:
        `target`: its id, split, task, user, time, query and the titles opened; `runs`: label,
        folder and `candidates` of each; `behaviors` before the target, oldest first: `order`,
        `part` (`past sessions` or `current session`), `type`, `text`, `clicked` titles of a
        search, and `weights` by label, None if the run does not see the behavior. `candidates`
        have `text`, `opened` and `score`, of USER also `contributions` by name, which sum to the score
        (before a tanh), of USER+ the `behaviors` of `describe_effects`; other models give none.

    Raises:
        FileNotFoundError: A folder is no run, its training is not finished, or its dataset is gone.
        ValueError: A setting is impossible, runs are of different datasets, or a model has no
            attention to show.
    """
    configs = {pathlib.Path(run): Config.load(pathlib.Path(run)) for run in runs}
    _check(configs)
    labels = _labels(configs)
    dataset = open_dataset(run_folder.find_dataset(next(iter(configs)), moved))
    target = _target(dataset, target_id, split)
    # Order and parts are those of the unified scenario, if a run has it.
    folders = sorted(
        configs, key=lambda folder: _scenario(configs[folder], target["task"]) != Scenario.UNIFIED
    )
    found = {folder: _read_run(folder, configs[folder], target, moved) for folder in folders}
    seen = {labels[folder]: behaviors for folder, (behaviors, _) in found.items()}
    described = [
        {"label": label, "folder": os.fspath(folder), "candidates": found[folder][1]}
        for folder, label in labels.items()
    ]
    return {"target": target, "runs": described, "behaviors": merge(seen)}


def merge(seen: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return one row for each behavior, with the weights of all runs.

    Args:
        seen: By label of a run, the unified scenario first, the behaviors it sees, oldest first:
            `part`, `type`, `text`, `clicked` and `weight`.

    Example:
        >>> browse = {"part": "past sessions", "type": "browse", "text": "hat", "clicked": []}
        >>> rows = merge({"user": [browse | {"weight": 1.0}], "htps": []})
        >>> rows[0]["order"], rows[0]["text"], rows[0]["weights"]
        (1, 'hat', {'user': 1.0, 'htps': None})
    """
    rows = align([[(b["type"], b["text"]) for b in behaviors] for behaviors in seen.values()])
    merged = []
    for order, indices in enumerate(rows, start=1):
        found = {
            label: None if index is None else behaviors[index]
            for (label, behaviors), index in zip(seen.items(), indices, strict=True)
        }
        first = next(behavior for behavior in found.values() if behavior is not None)
        merged.append(
            {
                "order": order,
                **{name: first[name] for name in ("part", "type", "text", "clicked")},
                "weights": {label: b and b["weight"] for label, b in found.items()},
            }
        )
    return merged


def _check(configs: Mapping[pathlib.Path, Config]) -> None:
    """Check that runs are given, of one dataset, and that each model shows its attention."""
    from user_tf.registry import RANKERS

    datasets = {
        run_folder.dataset_checksum(run): config.data.dataset for run, config in configs.items()
    }
    if len(datasets) != 1:
        rule = "name runs of one dataset" if datasets else "name a folder"
        got = ", ".join(f"{path!r} (SHA-256 {sum_})" for sum_, path in datasets.items()) or "none"
        raise ValueError(f"`run` must {rule}. Got {got}. Fix: set --run.")
    with_attention = [name for name, ranker in RANKERS.items() if hasattr(ranker, "attention")]
    for config in configs.values():
        if config.model.name not in with_attention:
            raise ValueError(
                f"`run` must name runs of models with attention: {', '.join(with_attention)}. "
                f"Got a run of {config.model.name!r}. Fix: leave it out of --run."
            )


def _target(dataset: Dataset, target_id: int, split: str) -> dict[str, Any]:
    """Return the facts of the target."""
    table = dataset.targets(
        ["target_id", "split", "task", "user_id", "time", "query", "candidates", "labels"]
    )
    rows = (table["target_id"].to_numpy() == target_id).nonzero()[0]
    if not len(rows) or table["split"][int(rows[0])].as_py() != split:
        raise ValueError(
            f"`target` must be a target of the {split} split. Got {target_id}. Fix: choose a "
            f"target_id of a run's evaluation/{split}-queries.parquet, or set --split."
        )
    row = table.slice(int(rows[0]), 1).to_pylist()[0]
    index = {name: number for number, name in enumerate(dataset.document_ids)}
    opened = [
        dataset.text_tokens[dataset.document_texts[index[document]]].tolist()
        for document, label in zip(row["candidates"], row["labels"], strict=True)
        if label
    ]
    time = datetime.datetime.fromtimestamp(row["time"] / SECOND, datetime.UTC)
    return {
        "target_id": target_id,
        "split": split,
        "task": Task(row["task"]).label,
        "user": row["user_id"],
        "time": time.isoformat(timespec="seconds"),
        "query": row["query"],
        "opened": [decode(title, dataset.vocabulary) for title in opened],
    }


def _scenario(config: Config, task: str) -> str:
    """Return the scenario in which a run sees a target of the task."""
    return config.data.scenario if config.data.scenario == task else Scenario.UNIFIED


def _read_run(
    folder: pathlib.Path, config: Config, target: dict[str, Any], moved: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what a run says of the target.

    Returns:
        The behaviors it sees, oldest first, with their weights; the candidates with the parts of
        their scores, none for a model that does not give them.
    """
    from data_pipeline.batching.batches import evaluation_batches
    from user_tf.models.contributions import contribution_names

    task, phases = target["task"], config.train.phases
    phase = next((name for name in (task, "pretrain") if name in phases), phases[0])
    model, _, dataset = run_folder.load_model(folder, phase, moved)
    batches = evaluation_batches(
        dataset, _scenario(config, task), target["split"], config.data.batch, tasks=(task,)
    )
    for batch in batches:
        rows = np.flatnonzero(batch["target_id"].numpy() == target["target_id"])
        if len(rows):
            break
    batch = one_target(batch, int(rows[0]))
    explained = model.explain(batch) if model.staged else {"attention": model.attention(batch)}
    weights = np.asarray(explained["attention"], np.float64)[0]
    behaviors = see_behaviors(batch, dataset.vocabulary, weights)
    seen = [
        {
            "part": behavior.part,
            "type": behavior.type,
            "text": behavior.text,
            "clicked": list(behavior.clicked),
            "weight": behavior.weight,
        }
        for behavior in behaviors
    ]
    candidates = []
    if hasattr(model, "explain_match"):
        candidates = describe_effects(model, batch, dataset.vocabulary, behaviors)
    elif model.staged:
        features = dataset.feature_names if config.data.batch.features else ()
        names = contribution_names(config.model, features)
        scores, parts = (np.asarray(explained[x])[0] for x in ("scores", "contributions"))
        titles = np.asarray(batch["text_tokens"])[np.asarray(batch["candidate_text"])[0]]
        for place in np.flatnonzero(batch["candidate_mask"][0]):
            candidates.append(
                {
                    "text": decode(titles[place].tolist(), dataset.vocabulary),
                    "opened": bool(batch["labels"][0, place]),
                    "score": float(scores[place]),
                    "contributions": dict(zip(names, parts[place].tolist(), strict=True)),
                }
            )
    return seen, candidates


def _labels(configs: Mapping[pathlib.Path, Config]) -> dict[pathlib.Path, str]:
    """Return a label for every run: its model, or the end of its path if two have one model."""
    names = [config.model.name for config in configs.values()]
    labels = {
        folder: config.model.name
        if names.count(config.model.name) == 1
        else "/".join(folder.parts[-2:])
        for folder, config in configs.items()
    }
    if len(set(labels.values())) < len(labels):
        raise ValueError(
            f"`run` must name runs with different labels. Got {list(labels.values())}. "
            "Fix: set --run to folders whose last two names differ."
        )
    return labels
