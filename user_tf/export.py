"""Exports a trained run as a SavedModel for TensorFlow Serving that takes raw strings.

    python -m user_tf.export --run=RUN --output=DIR [--version=1] [--log=LOG]

Writes DIR/<version>/ and prints its signatures. Each task is served by the weights fine-tuned on
it, or else by the pre-trained ones; both lie in one SavedModel, which chooses by the empty query.

An example request lies beside the model. With --log it is a real target of the test split, resolved
to strings from that log: it then holds what a (masked) user searched and read. Without it the
request is made up of frequent words.

A model of a dataset prepared with --text.tokenizer=wordpiece needs the operations of TensorFlow Text
where it is loaded: TensorFlow Serving's own binary is built with them; in Python `import
tensorflow_text` comes first. Models of the other tokenizers need TensorFlow only.
"""

import dataclasses
import pathlib
import shlex
import sys
from typing import Any

from absl import app, logging

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.config import Config


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """Everything `python -m user_tf.export` can be told; the rest is saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.")
    output: str = setting("", "Folder of the served model; the version is written inside.")
    version: int = setting(1, "Number of the version; TensorFlow Serving serves the highest.")
    log: str = setting(
        "",
        "Behavior log the dataset was prepared from, to take a real example request from; empty: "
        "a made-up one.",
    )


def export_run(settings: ExportSettings, command: str) -> pathlib.Path:
    """Exports a run; returns the folder DIR/<version>.

    Args:
        settings: What to export, and where to.
        command: Command line, written into the manifest.

    Raises:
        FileNotFoundError: `run` is no run or holds no weights, or `log` is no log.
        FileExistsError: The version exists.
        ValueError: A setting is impossible.
    """
    from user_tf.serving import layout

    for name in ("run", "output"):
        if not getattr(settings, name):
            raise ValueError(f"`{name}` should name a folder. Received: ''. Set --{name}.")
    if settings.log and not (pathlib.Path(settings.log) / "documents.parquet").exists():
        raise FileNotFoundError(
            "`log` should be the folder of a behavior log. Received: "
            f"{settings.log!r}, which has no documents.parquet. Set --log."
        )
    final = layout.check_output(settings.output, settings.version)
    config = Config.load(pathlib.Path(settings.run))

    import keras
    import tensorflow as tf

    from data_pipeline.common.checksums import checksum
    from data_pipeline.dataset.dataset_folder import MANIFEST
    from user_tf import run_folder
    from user_tf.serving import bundle
    from user_tf.training.phases import by_task

    phases = by_task(config)
    models: dict[str, Any] = {}
    for phase in sorted(set(phases.values())):
        models[phase], _, dataset = run_folder.load_model(settings.run, phase)
    example, source = choose_example(settings, config, dataset)
    origin = {
        "command": command,
        "run": settings.run,
        "phases": phases,
        "dataset": config.data.dataset,
        "dataset_manifest_sha256": checksum(dataset.path / MANIFEST),
        "example": source,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    copies = {task: models[phase] for task, phase in phases.items()}
    bundle.write(final, dataset, config, copies, example, origin)
    return final


def choose_example(settings: ExportSettings, config: Config, dataset: Any) -> tuple[Any, str]:
    """The request put beside the model, and where it came from."""
    from user_tf.serving import example_requests

    found = None
    if settings.log:
        found = example_requests.example(dataset, settings.log, config.data.scenario)
    if found is None:
        why = "the test split is empty" if settings.log else "no --log was given"
        return example_requests.made_up(dataset.vocabulary), f"made up: {why}"
    return found, f"target {found.request_id} of the test split, strings from {settings.log}"


def summary(version: pathlib.Path) -> str:
    """Signatures, files and commands of a version, for people.

    Args:
        version: Folder DIR/<version>.
    """
    from user_tf.serving import layout
    from user_tf.serving.loading import load

    lines = []
    signatures = load(version).signatures
    for name, signature in sorted(signatures.items()):
        lines.append(f"signature {name}")
        for kind, specs in (
            ("in ", signature.structured_input_signature[1]),
            ("out", signature.structured_outputs),
        ):
            for key, spec in sorted(specs.items()):
                shape = ", ".join("?" if size is None else str(size) for size in spec.shape)
                lines.append(f"  {kind} {key:16} {spec.dtype.name:8} [{shape}]")
    extra = version / layout.EXTRA
    lines += [
        "",
        f"SavedModel        {version}",
        f"manifest          {extra / layout.MANIFEST}",
        f"example request   {extra / layout.EXAMPLE}",
        "",
        "Rank the example:",
        f"  python -m user_tf.predict --model={version} --requests={extra / layout.EXAMPLE}",
        f"  {layout.cli_command(version)}",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Runs the command line; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Arguments should be flags. Received: {arguments[1:]}. Write --run=FOLDER."
        )
    settings = flagtree.read(ExportSettings)
    runtime = Config.load(pathlib.Path(settings.run)).runtime
    from user_tf.training import strategy

    # TensorFlow's saver reports every captured input at the level INFO.
    logging.set_verbosity(logging.WARNING)
    strategy.prepare(dataclasses.replace(runtime, logical_cpus=0))
    command = "python -m user_tf.export " + shlex.join(sys.argv[1:])
    print(summary(export_run(settings, command)), flush=True)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(ExportSettings)
    app.run(main)


if __name__ == "__main__":
    run()
