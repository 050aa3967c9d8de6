"""Give a served model newer counts: a new version with other tables, without a training."""

import dataclasses
import json
import os
import pathlib
import shutil

from data_pipeline.common.output_folder import UnfinishedFolder
from data_pipeline.settings import SequenceSettings
from user_tf.serving import layout
from user_tf.serving.bundle import describe_snapshot
from user_tf.serving.graph.count_tables import FILES, file_name, write_counts
from user_tf.serving.logged_requests import read_events
from user_tf.serving.request_json import from_json
from user_tf.serving.saved_ranker import SavedRanker
from user_tf.serving.server.example_files import write_expected
from user_tf.serving.server.model_card import SERVED, write_card


def update_counts(
    model: str | os.PathLike[str],
    log: str | os.PathLike[str],
    version: int,
    minimum_users: int = 2,
    command: str = "",
) -> pathlib.Path:
    """Write a version with the counts of a log as of its end; return its folder.

    Args:
        model: Folder made by user_tf.export; its highest version is copied.
        log: Folder of a behavior log, which may be a newer one of the same platform.
        version: Number of the new version.
        minimum_users: Users that must have opened a title, or searched a query, for its counts.
            Default: 2.
        command: Command line, written into the manifest.

    Raises:
        FileNotFoundError: `model` holds no SavedModel, or `log` is no log.
        FileExistsError: The version exists.
        ValueError: The model takes no counts: it was trained without F, or copied without its
            manifest.
    """
    final = layout.check_export(model, model, version, log)
    source = layout.find_version(model)
    manifest = layout.read_manifest(source)
    files = [source / "assets" / file_name(table) for table in FILES]
    if "sequence" not in manifest or not all(file.exists() for file in files):
        raise ValueError(
            "`model` must be a model with F and its manifest. Got "
            f"{os.fspath(source)!r} without tables of counts. Fix: export the run again."
        )
    logged = read_events(log, SequenceSettings(**manifest["sequence"]))
    snapshot = logged.snapshot(logged.end, minimum_users)
    manifest |= {"counts": describe_snapshot(snapshot), "counts_command": command}
    with UnfinishedFolder(final, f".{final.name}.unfinished") as unfinished:
        shutil.copytree(source, unfinished.folder, dirs_exist_ok=True)
        write_counts(unfinished.folder / "assets", snapshot)
        extra = unfinished.folder / layout.EXTRA
        (extra / layout.MANIFEST).write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        # With other counts the scores are others, and so are the metrics.
        (extra / SERVED).unlink(missing_ok=True)
        example = from_json((extra / layout.EXAMPLE).read_text(encoding="utf-8"))
        example = dataclasses.replace(example, features=None)
        write_expected(extra, SavedRanker(unfinished.folder).scores([example])[0])
        write_card(unfinished.folder, extra, manifest)
        unfinished.rename()
    return final
