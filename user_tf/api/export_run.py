"""Export of a trained run as a SavedModel that takes raw strings."""

import dataclasses
import os
import pathlib
from typing import Any

import keras
import tensorflow as tf

from data_pipeline.common.checksums import checksum
from data_pipeline.dataset.dataset_folder import MANIFEST
from user_tf import run_folder
from user_tf.api.run import Run
from user_tf.serving import bundle, example_requests, layout
from user_tf.training import phases, strategy


def export(
    run: Run | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    version: int = 1,
    log: str | os.PathLike[str] = "",
) -> pathlib.Path:
    """Write a served model, as `python -m user_tf.export` does.

    Global state: sets the dtype policy of Keras to that of the run (with float64 also its float
    type). They stay set afterwards.

    Args:
        run: Result of `fit`, or a folder.
        output: Folder of the served model; the version is written inside.
        version: Number of the version; TensorFlow Serving serves the highest. Default: 1.
        log: Log the dataset was prepared from, to take the example request from; the example then
            holds what a (masked) user searched and read. Default: a made-up request.

    Returns:
        Folder of the version; `load_served` takes it, or `output`.

    Raises:
        FileNotFoundError: `run` is no run or has no weights, or `log` is no log.
        FileExistsError: The version exists.
        ValueError: A setting is impossible.
    """
    run = Run(run)
    strategy.prepare(dataclasses.replace(run.config.runtime, logical_cpus=0))
    command = f"user_tf.export({os.fspath(run.path)!r}, {os.fspath(output)!r}, version={version})"
    return export_run(run, os.fspath(output), version, os.fspath(log), command)


def export_run(run: Run, output: str, version: int, log: str, command: str) -> pathlib.Path:
    """Write a served model in the process as it is set up; see `export`.

    Args:
        run, output, version, log: As for `export`; an empty string for no log.
        command: Command line, written into the manifest.

    Raises:
        As `export`.
    """
    if log and not (pathlib.Path(log) / "documents.parquet").exists():
        raise FileNotFoundError(
            f"`log` must be the folder of a behavior log. Got {log!r}, which has no "
            "documents.parquet. Fix: set --log."
        )
    final = layout.check_output(output, version)
    config, by_task = run.config, phases.by_task(run.config)
    models: dict[str, Any] = {}
    for phase in sorted(set(by_task.values())):
        models[phase], _, dataset = run_folder.load_model(run.path, phase)
    example, source = choose_example(log, config.data.scenario, dataset)
    origin = {
        "command": command,
        "run": os.fspath(run.path),
        "phases": by_task,
        "dataset": config.data.dataset,
        "dataset_manifest_sha256": checksum(dataset.path / MANIFEST),
        "example": source,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    copies = {task: models[phase] for task, phase in by_task.items()}
    bundle.write(final, dataset, config, copies, example, origin)
    return final


def choose_example(log: str, scenario: str, dataset: Any) -> tuple[Any, str]:
    """Return the request written beside the model, and its origin."""
    found = example_requests.example(dataset, log, scenario) if log else None
    if found is None:
        why = "the test split is empty" if log else "no --log was given"
        return example_requests.made_up(dataset.vocabulary), f"made up: {why}"
    return found, f"target {found.request_id} of the test split, strings from {log}"
