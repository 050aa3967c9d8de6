"""Export a trained run as a version of a served model."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from data_pipeline.common.checksums import checksum
from data_pipeline.dataset.dataset_folder import MANIFEST
from user_tf import run_folder
from user_tf.config import Config
from user_tf.serving import bundle, example_requests, layout
from user_tf.serving.graph.request_checks import RequestCaps
from user_tf.serving.logged_requests import LoggedEvents, read_dataset_events
from user_tf.serving.request import Request


def export_run(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    phases: Mapping[str, str],
    version: int = 1,
    log: str | os.PathLike[str] = "",
    command: str = "",
    minimum_users: int = 2,
    moved: str | os.PathLike[str] = "",
    documents: int = 10_000,
    caps: RequestCaps | None = None,
) -> pathlib.Path:
    """Export a run and return the folder DIR/<version>.

    Args:
        run: Folder made by user_tf.train.
        output: DIR, folder of the served model.
        phases: Phase of the run whose weights serve each task.
        version: Number of the version; TensorFlow Serving serves the highest.
        log: Behavior log the dataset was prepared from, for a real example request and for the
            counts in F, as known before the test split begins. Default: the example is made up of
            frequent words, and counts over all users are their means.
        command: Command line, written into the manifest.
        minimum_users: Users that must have opened a title, or searched a query, for its counts.
            Default: 2.
        moved: Place of the run's dataset, if it was moved. Default: as recorded.
        documents: Documents of the log to encode for `rank_documents`, at most: those opened most
            before the test split. Default: 10,000.
        caps: The largest request. Default: as in `RequestCaps`.

    Raises:
        FileNotFoundError: `run` is no run or holds no weights, its dataset is gone, or `log` is no
            log.
        FileExistsError: The version exists.
        ValueError: A setting is impossible, or `log` is not the log of the dataset.
    """
    final = layout.check_export(run, output, version, log)
    config = Config.load(pathlib.Path(run))
    models: dict[str, Any] = {}
    for phase in sorted(set(phases.values())):
        models[phase], _, dataset = run_folder.load_model(run, phase, moved)
    logged = read_dataset_events(dataset, log) if log else None
    example, source = _choose_example(logged, config, dataset)
    origin = {
        "command": command,
        "run": os.fspath(run),
        "phases": dict(phases),
        "dataset": os.fspath(dataset.path),
        "dataset_manifest_sha256": checksum(dataset.path / MANIFEST),
        "key_fingerprint": dataset.manifest["logs"][0].get("key_fingerprint"),
        "example": f"{source}, strings from {os.fspath(log)}" if log else source,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    copies = {task: models[phase] for task, phase in phases.items()}
    snapshot, titles = None, {}
    if logged is not None:
        until = dataset.manifest["boundaries"]["test"]
        snapshot = logged.snapshot(until, minimum_users)
        titles = logged.most_opened(until, documents)
    bundle.write(final, dataset, config, copies, example, origin, snapshot, caps, titles)
    return final


def _choose_example(
    logged: LoggedEvents | None, config: Config, dataset: Any
) -> tuple[Request, str]:
    """Return the request to put beside the model, and its source."""
    found = None
    if logged is not None:
        found = example_requests.example(dataset, logged, config.data.scenario)
    if found is None:
        why = "the test split is empty" if logged is not None else "no --log was given"
        return example_requests.made_up(dataset.vocabulary), f"made up: {why}"
    return found, f"target {found.request_id} of the test split"
