"""Where things lie in the folder of a served model; needs neither TensorFlow nor the models.

    DIR/<version>/saved_model.pb, variables/, assets/
    DIR/<version>/assets.extra/export.json            where it came from; names of F; limits
    DIR/<version>/assets.extra/example_request.jsonl  one request, for user_tf.predict
    DIR/<version>/assets.extra/example_inputs.npz     the same as arrays, for saved_model_cli

TensorFlow Serving passes over assets.extra.
"""

import os
import pathlib

import numpy as np

EXTRA = "assets.extra"
MANIFEST = "export.json"
EXAMPLE = "example_request.jsonl"
EXAMPLE_INPUTS = "example_inputs.npz"


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


def cli_command(version: pathlib.Path) -> str:
    """A ready `saved_model_cli` command that ranks the example, with its F where it has some."""
    inputs = version / EXTRA / EXAMPLE_INPUTS
    with np.load(inputs) as arrays:
        signature = "rank_with_features" if "features" in arrays.files else "rank"
        feeds = ";".join(f"{name}={inputs}[{name}]" for name in arrays.files)
    return (
        f"saved_model_cli run --dir {version} --tag_set serve --signature_def {signature} "
        f"--inputs '{feeds}'"
    )
