"""Front door of preparation: `prepare` writes a dataset folder from settings."""

import json
import os
import pathlib
import shutil
from typing import Any

from data_pipeline.common.checksums import checksum
from data_pipeline.dataset.dataset_folder import MANIFEST, VERSIONS
from data_pipeline.dataset.dataset_writer import DatasetWriter
from data_pipeline.engine.connect import connect
from data_pipeline.log.log_folder import Log
from data_pipeline.log.log_writer import LOG_FILE
from data_pipeline.preparation.checks import check_settings, list_dataset_settings, open_inputs
from data_pipeline.preparation.pipeline import prepare_dataset
from data_pipeline.preparation.step_cache import Steps
from data_pipeline.settings import PrepareSettings


def prepare(settings: PrepareSettings) -> dict[str, Any]:
    """Prepare a dataset; return its manifest without checksums.

    Raises:
        ValueError, OSError: As `check_settings` and `open_inputs`.
    """
    check_settings(settings)
    logs = open_inputs(settings)
    # Results of finished steps are kept next to the dataset until it is complete.
    steps_folder = pathlib.Path(settings.output + ".steps")
    # Beside the dataset, so that executors of a cluster see it.
    spill = pathlib.Path(settings.output + ".spill")
    with DatasetWriter(settings.output) as writer:
        if not writer.resumed:
            # Results without the files their steps wrote cannot be used.
            shutil.rmtree(steps_folder, ignore_errors=True)
        try:
            shutil.rmtree(spill, ignore_errors=True)
            spill.mkdir()
            with connect(settings, spill) as engine:
                steps = Steps(steps_folder, engine, _fingerprint(settings))
                if steps.anew:
                    writer.clear()
                manifest = prepare_dataset(settings, engine, writer.folder, steps)
            manifest["logs"] = [_describe_log(log) for log in logs]
            writer.finish(manifest)
        except ValueError:
            # Wrong input or settings: the same steps would end in the same error.
            shutil.rmtree(steps_folder, ignore_errors=True)
            raise
        except OSError as error:
            writer.keep = True
            error.add_note(
                f"Finished steps are kept in {steps_folder}: rerun the same command to resume."
            )
            raise
        except KeyboardInterrupt:
            writer.keep = True
            raise
        finally:
            shutil.rmtree(spill, ignore_errors=True)
    shutil.rmtree(steps_folder, ignore_errors=True)
    return manifest


def _describe_log(log: Log) -> dict[str, Any]:
    return {
        "source": log.source,
        "report": log.report.to_dict(),
        "masked": log.settings.mask_users,
        "key_fingerprint": log.key_fingerprint,
        "files": _read_checksums(log.folder),
    }


def _read_checksums(log: str | os.PathLike[str]) -> dict[str, str]:
    """Return the SHA-256 of each file of a log, from its log.json."""
    content = json.loads((pathlib.Path(log) / LOG_FILE).read_text("utf-8"))
    return {name: entry["sha256"] for name, entry in content["files"].items()}


def _fingerprint(settings: PrepareSettings) -> dict[str, Any]:
    """Return the inputs of the steps' results: program, settings, logs, vocabulary."""
    taken = settings.vocabulary
    return {
        **VERSIONS,
        "settings": list_dataset_settings(settings),
        "logs": [_read_checksums(folder) for folder in settings.log],
        "vocabulary": taken and checksum(pathlib.Path(taken) / MANIFEST),
    }
