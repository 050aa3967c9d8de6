"""Export of a trained run as a SavedModel that takes raw strings."""

import os
import pathlib

from data_pipeline.common import remote_folders
from data_pipeline.common.paths import local_path
from user_tf.api.trained_run import Run
from user_tf.serving.run_export import export_run
from user_tf.training import phases, process


def export(
    run: Run | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    version: int = 1,
    log: str | os.PathLike[str] = "",
    dataset: str | os.PathLike[str] = "",
) -> pathlib.Path:
    """Write a served model, as `python -m user_tf.export` does.

    Global state: sets the dtype policy of Keras to that of the run (with float64 also its float
    type). They stay set afterwards.

    Args:
        run: Result of `fit`, or a folder.
        output: Folder of the served model; the version is written inside.
        version: Number of the version; TensorFlow Serving serves the highest. Default: 1.
        log: Log the dataset was prepared from, to take the example request from; it then holds
            searches and reads of a (masked) user. Default: a made-up request.
        dataset: The dataset of the run, if it was moved. Default: as recorded.

    Returns:
        Folder of the version; `load_served` takes it, or `output`.

    Raises:
        FileNotFoundError: `run` is no run or has no weights, its dataset is gone, or `log` is no
            log.
        FileExistsError: The version exists.
        ValueError: A setting is impossible, or `dataset` is not the dataset of the run.
    """
    run = Run(run)
    process.prepare_for_scoring(run.config.runtime)
    command = f"user_tf.export({os.fspath(run.path)!r}, {os.fspath(output)!r}, version={version})"
    by_task = phases.by_task(run.config)
    output, log = local_path("output", output), local_path("log", log)
    dataset = local_path("dataset", dataset)
    folder = export_run(run.path, output, by_task, version, log, command, moved=dataset)
    remote_folders.send_changes()
    return folder
