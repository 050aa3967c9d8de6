"""Draws what a target's attention rests on: Figure 5, several trained models side by side.

    python -m user_tf.explain --run=USER,HTPS,NRMS --target=ID --output=FOLDER

Writes FOLDER/attention.svg, attention.html (the drawing as a page) and attention.json: the user's
behaviors before the target, oldest first, with type, words and each run's weight. A behavior that a
run's view of the data leaves out has no weight there; a target of the task a run was not trained on
is shown to it in the view of both. Words outside the vocabulary are hashed when a dataset is
prepared, and shown as a mark. Runs must be trained on one dataset.
"""

import dataclasses
import datetime
import os
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.codes import Task
from data_pipeline.common.flagtree import setting
from user_tf import run_folder
from user_tf.config import Config
from user_tf.reporting.alignment import align

UNKNOWN_WORD = "▯"
BOTH = "unified"
_TYPES = {1: "browse", 2: "search"}


@dataclasses.dataclass(frozen=True)
class ExplainSettings:
    """Everything `python -m user_tf.explain` can be told; the rest is saved with the runs."""

    run: tuple[str, ...] = dataclasses.field(
        default=(), metadata={"help": "Folders made by user_tf.train, a panel each."}
    )
    target: int = setting(-1, "target_id of the dataset, a row of SPLIT-queries.parquet.")
    split: str = setting("test", "Split of the target.", choices=("train", "validation", "test"))
    output: str = setting("", "Folder to write to.")


def decode(tokens: Sequence[int], vocabulary: Sequence[str]) -> str:
    """The words of a text, a mark for each that is not in the vocabulary.

    Example:
        >>> decode([2, 9, 1, 0], ["", "hat", "sun"])
        'sun ▯ hat'
    """
    known = len(vocabulary)
    return " ".join(vocabulary[t] if t < known else UNKNOWN_WORD for t in tokens if t)


def explain(settings: ExplainSettings) -> dict[str, Any]:
    """The attention of a target in every run.

    Args:
        settings: Runs and target.

    Returns:
        `target`: its id, split, task, user, time, query and the titles it led to; `runs`: label and
        folder of each; `behaviors` before the target, oldest first: `order`, `part` (`past
        sessions` or `current session`), `type`, `text`, `clicked` titles of a search, and
        `weights`, by label, None where a run does not see the behavior.

    Raises:
        FileNotFoundError: A run is none, or is not trained to its end.
        ValueError: A setting is impossible, runs are of different datasets, or a model tells no
            attention.
    """
    configs = {pathlib.Path(run): Config.load(pathlib.Path(run)) for run in settings.run}
    _check(settings, list(configs.values()))
    from data_pipeline.dataset.dataset_folder import open_dataset

    labels = _labels(configs)
    target = _target(open_dataset(next(iter(configs.values())).data.dataset), settings)
    # A view of both tasks decides on order and parts, where there is one.
    fullest = sorted(configs, key=lambda folder: _view(configs[folder], target["task"]) != BOTH)
    seen = {labels[folder]: _seen(folder, configs[folder], target) for folder in fullest}
    described = [{"label": label, "folder": os.fspath(folder)} for folder, label in labels.items()]
    return {"target": target, "runs": described, "behaviors": merge(seen)}


def merge(seen: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """One row a behavior, with the weights of all runs.

    Args:
        seen: By label of a run, the fullest view first, the behaviors it sees, oldest first:
            `part`, `type`, `text`, `clicked` and `weight`.

    Example:
        >>> browse = {"part": "past sessions", "type": "browse", "text": "hat", "clicked": []}
        >>> rows = merge({"user": [browse | {"weight": 1.0}], "htps": []})
        >>> rows[0]["order"], rows[0]["text"], rows[0]["weights"]
        (1, 'hat', {'user': 1.0, 'htps': None})
    """
    rows = align([[(b["type"], b["text"]) for b in behaviors] for behaviors in seen.values()])
    merged = []
    for order, places in enumerate(rows, start=1):
        found = {
            label: None if place is None else behaviors[place]
            for (label, behaviors), place in zip(seen.items(), places, strict=True)
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


def _check(settings: ExplainSettings, configs: Sequence[Config]) -> None:
    datasets = sorted({config.data.dataset for config in configs})
    for holds, rule, received, mend in (
        (configs, "`run` should name a folder", settings.run, "Set --run."),
        (settings.output, "`output` should name a folder", settings.output, "Set --output."),
        (len(datasets) < 2, "`run` should be runs of one dataset", datasets, "Set --run."),
    ):
        if not holds:
            raise ValueError(f"{rule}. Received: {received!r}. {mend}")
    from user_tf.registry import RANKERS

    telling = [name for name, ranker in RANKERS.items() if hasattr(ranker, "attention")]
    for config in configs:
        if config.model.name not in telling:
            raise ValueError(
                "`run` should be runs of models that tell their attention: "
                f"{', '.join(telling)}. Received: a run of {config.model.name!r}. Leave it out of "
                "--run."
            )


def _target(dataset: Any, settings: ExplainSettings) -> dict[str, Any]:
    """What the dataset knows of the target."""
    table = dataset.targets(
        ["target_id", "split", "task", "user_id", "time", "query", "candidates", "labels"]
    )
    ids = table["target_id"].to_numpy()
    rows = (ids == settings.target).nonzero()[0]
    if not len(rows) or table["split"][int(rows[0])].as_py() != settings.split:
        raise ValueError(
            f"`target` should be a target of the {settings.split} split. Received: "
            f"{settings.target}. Choose a target_id of a run's "
            f"evaluation/{settings.split}-queries.parquet, or set --split."
        )
    row = table.slice(int(rows[0]), 1).to_pylist()[0]
    number = {name: place for place, name in enumerate(dataset.document_ids)}
    titles = [
        decode(
            dataset.text_tokens[dataset.document_texts[number[doc]]].tolist(), dataset.vocabulary
        )
        for doc, label in zip(row["candidates"], row["labels"], strict=True)
        if label
    ]
    seconds = datetime.datetime.fromtimestamp(row["time"] / 1e6, datetime.UTC)
    return {
        "target_id": settings.target,
        "split": settings.split,
        "task": Task(row["task"]).label,
        "user": row["user_id"],
        "time": seconds.isoformat(timespec="seconds"),
        "query": row["query"],
        "opened": titles,
    }


def _view(config: Config, task: str) -> str:
    """The view of the data in which a run is shown a target of the task."""
    return config.data.scenario if config.data.scenario == task else BOTH


def _seen(folder: pathlib.Path, config: Config, target: dict[str, Any]) -> list[dict[str, Any]]:
    """The behaviors a run sees before the target, oldest first, with its weights."""
    import numpy as np

    from data_pipeline.batching.batches import evaluation_batches
    from user_tf.models.batch_ops import padded_history, padded_session

    task, phases = target["task"], config.train.phases
    phase = next((name for name in (task, "pretrain") if name in phases), phases[0])
    model, _, dataset = run_folder.load_model(folder, phase)
    batches = evaluation_batches(
        dataset, _view(config, task), target["split"], config.data.batch, tasks=(task,)
    )
    for batch in batches:
        rows = np.flatnonzero(batch["target_id"].numpy() == target["target_id"])
        if len(rows):
            break
    weights = np.asarray(model.attention(batch), np.float64)[rows[0]]
    parts = {"past sessions": padded_history(batch), "current session": padded_session(batch)}

    def words(text: int) -> str:
        return decode(batch["text_tokens"][text].numpy().tolist(), dataset.vocabulary)

    seen = []
    for part, sequence in parts.items():
        pointers, kinds = (np.asarray(x)[rows[0]] for x in (sequence.behaviors, sequence.types))
        for place in np.flatnonzero(pointers):
            clicked = batch["behavior_clicked"][pointers[place]].numpy()
            seen.append(
                {
                    "part": part,
                    "type": _TYPES[int(kinds[place])],
                    "text": words(int(batch["behavior_text"][pointers[place]])),
                    "clicked": [words(int(title)) for title in clicked if title],
                    "weight": float(weights[place]),
                }
            )
        weights = weights[len(pointers) :]
    return seen


def _labels(configs: Mapping[pathlib.Path, Config]) -> dict[pathlib.Path, str]:
    """A name for every run: its model, or the end of its path where two have one model."""
    names = [config.model.name for config in configs.values()]
    labels = {
        folder: config.model.name
        if names.count(config.model.name) == 1
        else "/".join(folder.parts[-2:])
        for folder, config in configs.items()
    }
    if len(set(labels.values())) < len(labels):
        raise ValueError(
            f"`run` should name runs that can be told apart. Received: {list(labels.values())}. "
            "Set --run to folders whose last two names differ."
        )
    return labels


def main(arguments: list[str]) -> None:
    """Runs the command line; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Arguments should be flags. Received: {arguments[1:]}. Write --run=FOLDER."
        )
    settings = flagtree.read(ExplainSettings)
    content = explain(settings)
    from user_tf.reporting import attention_page

    command = "python -m user_tf.explain " + shlex.join(sys.argv[1:])
    written = attention_page.write(pathlib.Path(settings.output), content, command)
    print("Written: " + ", ".join(map(str, written)), flush=True)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(ExplainSettings)
    app.run(main)


if __name__ == "__main__":
    run()
