"""Where things lie in the folder of a served model; needs neither TensorFlow nor the models.

    DIR/<version>/saved_model.pb, variables/, assets/
    DIR/<version>/assets.extra/export.json            where it came from; names of F; limits
    DIR/<version>/assets.extra/example_request.jsonl  one request, for user_tf.predict
    DIR/<version>/assets.extra/example_inputs.npz     the same as arrays, for saved_model_cli

TensorFlow Serving passes over assets.extra.
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


def check_output(output: str | os.PathLike[str], version: int) -> pathlib.Path:
    """The folder of a new version.

    Raises:
        ValueError: The version is no positive number.
        FileExistsError: The version exists.
    """
    if version < 1:
        raise ValueError(
            f"`version` should be at least 1. Received: `version` = {version}. Set --version."
        )
    final = pathlib.Path(output) / str(version)
    if final.exists():
        raise FileExistsError(
            f"`output` should not hold version {version} yet. Received: {os.fspath(final)!r}, "
            "which exists. Set --version to a new number, or remove that folder."
        )
    return final


def find_version(model: str | os.PathLike[str]) -> pathlib.Path:
    """The SavedModel in `model`: the folder itself, or its highest version.

    Raises:
        FileNotFoundError: There is none.
    """
    folder = pathlib.Path(model)
    if (folder / "saved_model.pb").exists():
        return folder
    versions = [path for path in folder.glob("*/saved_model.pb") if path.parent.name.isdigit()]
    if not versions:
        raise FileNotFoundError(
            "`model` should be a folder made by user_tf.export, or one of its versions. Received: "
            f"{os.fspath(folder)!r}, which holds no saved_model.pb. Set --model."
        )
    return max(versions, key=lambda path: int(path.parent.name)).parent


def read_manifest(version: pathlib.Path) -> dict[str, Any]:
    """Contents of export.json; {} where a version was copied without it."""
    path = version / EXTRA / MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def needs_tensorflow_text(version: pathlib.Path) -> bool:
    """Whether TensorFlow Text must be imported before a version is loaded."""
    return read_manifest(version).get("tokenizer") == "wordpiece"


def cli_command(version: pathlib.Path) -> str:
    """A ready `saved_model_cli` command that ranks the example, with its F where it has some.

    A model of wordpieces is run by the same program from Python, with TensorFlow Text.
    """
    inputs = version / EXTRA / EXAMPLE_INPUTS
    with np.load(inputs) as arrays:
        signature = "rank_with_features" if "features" in arrays.files else "rank"
        feeds = ";".join(f"{name}={inputs}[{name}]" for name in arrays.files)
    return (
        f"{_CLI_WITH_TEXT if needs_tensorflow_text(version) else _CLI} run --dir {version} --tag_set serve --signature_def {signature} "
        f"--inputs '{feeds}'"
    )
