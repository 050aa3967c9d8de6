"""`python -m data_pipeline.prepare`: from a behavior log to a dataset.

    python -m data_pipeline.prepare --log=LOG --output=DATASET --sequence.relevance=click

reads the log folder, decides what is a target, what it may see and what its candidates are, and
writes the dataset folder of `data_pipeline.dataset.dataset_folder`. Same log, settings and seed: same bytes.

    python -m data_pipeline.prepare --earlier_logs=LOG --log=DAY --extend=DATASET --output=NEW

goes on from a dataset where a later log comes in (`data_pipeline.preparation.extension`). A killed call goes on after its last finished step when the same command is given again.
"""

import logging
import os
import pathlib
import shutil
import tempfile
from collections.abc import Sequence as Items
from typing import Any

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.settings import PrepareSettings


def check(settings: PrepareSettings) -> None:
    """Refuses impossible settings before any work starts.

    Raises:
        ValueError: Names the setting, the rule, the value received and the mend.
        FileExistsError: `output` exists.
    """
    from data_pipeline.common.codes import Scenario

    for name in ("log", "output"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` must be given. Received: `{name}` = ''. Set --{name}.")
    unknown = [name for name in settings.scenarios if name not in list(Scenario)]
    if unknown or not settings.scenarios:
        raise ValueError(
            f"`scenarios` must be some of {', '.join(Scenario)}. Received: `scenarios` = "
            f"{list(settings.scenarios)}. Set --scenarios to one or more of them, comma-separated."
        )
    least: dict[str, tuple[float, float]] = {
        "sequence.session_minutes": (settings.sequence.session_minutes, 0),
        "sequence.satisfied_seconds": (settings.sequence.satisfied_seconds, 0),
        "sequence.session_behaviors": (settings.sequence.session_behaviors, 1),
        "sequence.past_sessions": (settings.sequence.past_sessions, 1),
        "sequence.clicked_titles": (settings.sequence.clicked_titles, 1),
        "sequence.filter_neighbors": (settings.sequence.filter_neighbors, 0),
        "text.text_length": (settings.text.text_length, 1),
        "text.minimum_count": (settings.text.minimum_count, 1),
        "text.wordpiece_limit": (settings.text.wordpiece_limit, 3),
        "text.oov_buckets": (settings.text.oov_buckets, 1),
        "text.width": (settings.text.width, 1),
        "text.word2vec_epochs": (settings.text.word2vec_epochs, 0),
        "eval_candidates.count": (settings.eval_candidates.count, 1),
        "pseudo_negatives.exact_documents": (settings.pseudo_negatives.exact_documents, 1),
        "windows.targets_per_window": (settings.windows.targets_per_window, 1),
        "windows.windows_per_shard": (settings.windows.windows_per_shard, 1),
    }
    for name, (value, lowest) in least.items():
        if value < lowest:
            raise ValueError(
                f"`{name}` must be at least {lowest}. Received: `{name}` = {value}. Set --{name} "
                f"to {lowest} or more."
            )
    if settings.text.tokenizer == "wordpiece" or settings.text.wordpiece_vocabulary:
        from data_pipeline.text import wordpiece

        wordpiece.check(settings.text)
    if settings.extend and (settings.vocabulary or not settings.earlier_logs):
        raise ValueError(
            "`extend` needs `earlier_logs`, and brings its own vocabulary. Received: `earlier_logs` "
            f"= {list(settings.earlier_logs)}, `vocabulary` = {settings.vocabulary!r}. Set "
            "--earlier_logs to the logs the dataset was prepared from, and leave --vocabulary out."
        )
    if os.path.exists(settings.output):
        raise FileExistsError(
            f"`output` must not exist. Received: `output` = {settings.output!r}. Set --output to "
            "a new folder, or remove this one."
        )


def prepare(settings: PrepareSettings) -> dict[str, Any]:
    """Prepares a dataset; returns its manifest without checksums.

    Raises:
        ValueError, FileExistsError: As `check`.
        LogError: `log` is no whole log folder.
    """
    check(settings)
    from data_pipeline.dataset.dataset_folder import DatasetWriter
    from data_pipeline.engine.connect import connect
    from data_pipeline.log.log_folder import open_log
    from data_pipeline.preparation import extension
    from data_pipeline.preparation.pipeline import prepare_dataset
    from data_pipeline.preparation.step_cache import Steps

    sources = [open_log(folder) for folder in (*settings.earlier_logs, settings.log)]
    check_base(settings)
    # Finished steps lie beside the dataset until it has its name.
    steps_folder = pathlib.Path(settings.output + ".steps")
    with DatasetWriter(settings.output) as writer:
        if not writer.resumed:
            # Steps without the files they wrote are of no use.
            shutil.rmtree(steps_folder, ignore_errors=True)
        try:
            with (
                tempfile.TemporaryDirectory() as spill,
                connect(settings, spill) as engine,
            ):
                steps = Steps(steps_folder, engine, fingerprint(settings))
                if steps.anew:
                    writer.clear()
                manifest = prepare_dataset(settings, engine, writer.folder, steps)
            manifest["logs"] = [
                {
                    "source": source.source,
                    "report": source.report.to_dict(),
                    "masked": source.settings.mask_users,
                    "files": extension.checksums(source.folder),
                }
                for source in sources
            ]
            writer.finish(manifest)
        except ValueError:
            # Wrong input or settings: the same steps would end in the same error.
            shutil.rmtree(steps_folder, ignore_errors=True)
            raise
        except OSError as error:
            writer.keep = True
            error.add_note(
                f"Finished steps are kept in {steps_folder}: the same command goes on after them."
            )
            raise
        except KeyboardInterrupt:
            writer.keep = True
            raise
    shutil.rmtree(steps_folder, ignore_errors=True)
    return manifest


def check_base(settings: PrepareSettings) -> None:
    """Refuses a dataset to go on from that does not fit; see `data_pipeline.preparation.extension.check`."""
    if settings.extend or settings.vocabulary:
        from data_pipeline.preparation import extension
        from data_pipeline.preparation.pipeline import settings_of_dataset

        extension.check(settings, settings_of_dataset(settings))


def fingerprint(settings: PrepareSettings) -> dict[str, Any]:
    """What the results of steps depend on: the program, the settings, the logs, the base."""
    from data_pipeline.common.checksums import checksum
    from data_pipeline.dataset.dataset_folder import MANIFEST, SCHEMA_VERSION
    from data_pipeline.preparation.extension import checksums
    from data_pipeline.preparation.pipeline import settings_of_dataset

    bases = (settings.extend, settings.vocabulary)
    return {
        "schema_version": SCHEMA_VERSION,
        "settings": settings_of_dataset(settings),
        "logs": [checksums(folder) for folder in (*settings.earlier_logs, settings.log)],
        "bases": [base and checksum(pathlib.Path(base) / MANIFEST) for base in bases],
    }


def main(arguments: Items[str]) -> None:
    """Prepares a dataset and prints what it holds."""
    if len(arguments) > 1:
        raise app.UsageError(f"Unexpected arguments: {arguments[1:]}. Write --name=value.")
    from data_pipeline.log.log_folder import open_log

    settings = flagtree.read(PrepareSettings)
    try:
        check(settings)
        for folder in (*settings.earlier_logs, settings.log):
            open_log(folder, checksums=False)
        check_base(settings)
    except (ValueError, OSError) as error:
        raise app.UsageError(str(error)) from error
    # absl shows every library's information; word2vec has a page of it.
    logging.getLogger("gensim").setLevel(logging.WARNING)
    logs = ", ".join([*settings.earlier_logs, settings.log])
    print(f"Preparing {settings.output} from {logs}", flush=True)
    manifest = prepare(settings)
    from data_pipeline.description.table_1 import table_text

    print(f"\n{table_text(manifest['statistics'])}\n")
    for task, counts in manifest["left_out"].items():
        left = ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in counts.items() if n)
        print(f"Left out ({task}): {left or 'nothing'}")
    print(f"Dataset: {settings.output}")


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(PrepareSettings)
    app.run(main)


if __name__ == "__main__":
    run()
