"""Export a trained run as a SavedModel for TensorFlow Serving that takes raw strings.

    python -m user_tf.export --run=RUN --output=DIR [--version=1] [--log=LOG]

Writes DIR/<version>/ and prints its signatures. Each task is served by the weights fine-tuned on
it, otherwise by the pre-trained ones; one SavedModel holds both and chooses by the empty query.

An example request lies beside the model. With --log it is a real target of the test split with the
strings of that log: it then holds what a (masked) user searched and read. Without --log the request
is made up of frequent words.

A model of a dataset prepared with --text.tokenizer=wordpiece needs the operations of TensorFlow Text
where it is loaded: TensorFlow Serving's own binary has them; in Python `import tensorflow_text`
comes first. Models of the other tokenizers need TensorFlow only.
"""

import dataclasses
import pathlib
import shlex
import sys

from absl import app, logging

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.config import Config
from user_tf.serving.layout import check_export


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """Settings of `python -m user_tf.export`; the others are saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.")
    output: str = setting("", "Folder of the served model; the version is written inside.")
    version: int = setting(1, "Number of the version; TensorFlow Serving serves the highest.")
    log: str = setting(
        "",
        "Behavior log the dataset was prepared from, to take a real example request from; empty: "
        "a made-up one.",
    )


def main(arguments: list[str]) -> None:
    """Run the command line; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"`arguments` must be flags. Got {arguments[1:]!r}. Fix: write --run=FOLDER."
        )
    settings = flagtree.read(ExportSettings)
    check_export(settings.run, settings.output, settings.version, settings.log)
    config = Config.load(pathlib.Path(settings.run))
    from user_tf.serving.model_summary import summary
    from user_tf.serving.run_export import export_run
    from user_tf.training import strategy
    from user_tf.training.phases import by_task

    # TensorFlow's saver reports every captured input at the level INFO.
    logging.set_verbosity(logging.WARNING)
    strategy.prepare(dataclasses.replace(config.runtime, logical_cpus=0))
    command = "python -m user_tf.export " + shlex.join(sys.argv[1:])
    phases = by_task(config)
    version = export_run(
        settings.run, settings.output, phases, settings.version, settings.log, command
    )
    print(summary(version), flush=True)


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    flagtree.define(ExportSettings)
    app.run(main)


if __name__ == "__main__":
    run()
