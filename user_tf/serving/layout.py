"""Name the files of a served model; needs neither TensorFlow nor the models.

    DIR/<version>/saved_model.pb, variables/, assets/
    DIR/<version>/assets.extra/export.json            source; names of F; limits
    DIR/<version>/assets.extra/example_request.jsonl  one request, for user_tf.predict
    DIR/<version>/assets.extra/example_inputs.npz     the same as arrays, for saved_model_cli
    DIR/<version>/assets.extra/model_card.md          use, data, metrics as served, limits, checksums
    DIR/<version>/assets.extra/                       the files of `server.example_files`

TensorFlow Serving reads of assets.extra the warm-up requests only.
"""

import json
import os
import pathlib
from typing import Any

import numpy as np

EXTRA = "assets.extra"
MANIFEST = "export.json"
EXAMPLE = "example_request.jsonl"
EXAMPLE_INPUTS = "example_inputs.npz"

_CLI = "saved_model_cli"
_CLI_WITH_TEXT = (
    "python -c 'import tensorflow_text; from tensorflow.python.tools import saved_model_cli; "
    "saved_model_cli.main()'"
)


def check_export(
    run: str | os.PathLike[str],
    output: str | os.PathLike[str],
    version: int = 1,
    log: str | os.PathLike[str] = "",
) -> pathlib.Path:
    """Check what an export is asked for, and return the folder of the new version.

    Args:
        run: Folder of the run.
        output: Folder of the served model.
        version: Number of the version.
        log: Folder of a behavior log. Default: none.

    Raises:
        ValueError: `run` or `output` is empty, or the version is not positive.
        FileNotFoundError: `log` is no log.
        FileExistsError: The version exists.
    """
    for name, value in (("run", run), ("output", output)):
        if not value:
            raise ValueError(f"`{name}` must name a folder. Got {value!r}. Fix: set --{name}.")
    if version < 1:
        raise ValueError(f"`version` must be at least 1. Got {version!r}. Fix: set --version.")
    if log and not (pathlib.Path(log) / "documents.parquet").exists():
        raise FileNotFoundError(
            f"`log` must be the folder of a behavior log. Got {os.fspath(log)!r}, which has no "
            "documents.parquet. Fix: set --log."
        )
    final = pathlib.Path(output) / str(version)
    if final.exists():
        raise FileExistsError(
            f"`output` must not hold version {version} yet. Got {os.fspath(final)!r}, which "
            "exists. Fix: set --version to a new number, or remove that folder."
        )
    return final


def find_version(model: str | os.PathLike[str]) -> pathlib.Path:
    """Return the SavedModel in `model`: the folder itself, or its highest version.

    Raises:
        FileNotFoundError: There is none.
    """
    folder = pathlib.Path(model)
    if (folder / "saved_model.pb").exists():
        return folder
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdigit()]
    if not versions:
        raise FileNotFoundError(
            "`model` must be a folder made by user_tf.export, or one of its versions. Got "
            f"{os.fspath(folder)!r}, which holds no saved_model.pb. Fix: set --model."
        )
    return max(versions, key=lambda path: int(path.parent.name)).parent


def read_manifest(version: pathlib.Path) -> dict[str, Any]:
    """Return the contents of export.json; {} where a version was copied without it."""
    path = version / EXTRA / MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def needs_tensorflow_text(version: pathlib.Path) -> bool:
    """Return whether TensorFlow Text must be imported before a version is loaded."""
    return read_manifest(version).get("tokenizer") == "wordpiece"


def cli_command(version: pathlib.Path) -> str:
    """Return a `saved_model_cli` command that ranks the example, with its F where it has some.

    A model of wordpieces runs by the same program from Python, with TensorFlow Text.
    """
    inputs = version / EXTRA / EXAMPLE_INPUTS
    with np.load(inputs) as arrays:
        signature = "rank_with_features" if "features" in arrays.files else "rank"
        feeds = ";".join(f"{name}={inputs}[{name}]" for name in arrays.files)
    return (
        f"{_CLI_WITH_TEXT if needs_tensorflow_text(version) else _CLI} run --dir {version} --tag_set serve --signature_def {signature} "
        f"--inputs '{feeds}'"
    )
