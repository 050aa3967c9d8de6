"""Export a trained run as a SavedModel for TensorFlow Serving that takes raw strings.

    python -m user_tf.export --run=RUN --output=DIR [--version=1] [--log=LOG]

Writes DIR/<version>/ and prints its signatures. Each task is served by the weights fine-tuned on
it, otherwise by the pre-trained ones; one SavedModel holds both and chooses by the empty query.

The model computes the relevance features F itself. Those that count what all users did need --log:
counts as known before the test split begins, of titles and queries of at least --minimum_users users;
without it they are their means.

Beside `rank` the model has signatures for stages, for documents by id and for explanations, see
docs/serving.md; requests above --max_history, --max_candidates and --max_text_bytes are refused.

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

from absl import logging

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from user_tf.config import Config
from user_tf.serving.layout import check_export


@dataclasses.dataclass(frozen=True)
class ExportSettings:
    """Settings of `python -m user_tf.export`; the others are saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.", path=True)
    output: str = setting(
        "", "Folder of the served model; the version is written inside.", path=True
    )
    version: int = setting(1, "Number of the version; TensorFlow Serving serves the highest.")
    dataset: str = setting("", "The dataset of the run, if it was moved.", path=True)
    log: str = setting(
        "",
        "Behavior log the dataset was prepared from, to take a real example request and counts from; "
        "empty: a made-up one, and no counts.",
        path=True,
    )
    minimum_users: int = setting(
        2, "Users that must have opened a title, or searched a query, for its counts."
    )
    documents: int = setting(
        10_000,
        "Documents of --log to keep encoded for rank_documents, at most: those opened most; 0: none.",
    )
    max_history: int = setting(
        10_000, "Past behaviors of a request, their titles, and documents opened, each at most."
    )
    max_candidates: int = setting(1_000, "Candidates of a request, at most.")
    max_text_bytes: int = setting(10_000, "UTF-8 bytes of a text of a request, at most.")


def main(arguments: list[str]) -> None:
    """Run the command line; TensorFlow is imported after the flags are parsed."""
    settings = flagtree.read(ExportSettings)
    check_export(settings.run, settings.output, settings.version, settings.log)
    config = Config.load(pathlib.Path(settings.run))
    from user_tf.serving.graph.request_checks import RequestCaps
    from user_tf.serving.model_summary import summary
    from user_tf.serving.run_export import export_run
    from user_tf.training import process
    from user_tf.training.phases import by_task

    # TensorFlow's saver reports every captured input at the level INFO.
    logging.set_verbosity(logging.WARNING)
    process.prepare_for_scoring(config.runtime)
    command = "python -m user_tf.export " + shlex.join(sys.argv[1:])
    phases = by_task(config)
    version = export_run(
        settings.run,
        settings.output,
        phases,
        settings.version,
        settings.log,
        command,
        minimum_users=settings.minimum_users,
        moved=settings.dataset,
        documents=settings.documents,
        caps=RequestCaps(settings.max_history, settings.max_candidates, settings.max_text_bytes),
    )
    print(summary(version), flush=True)


def run() -> None:
    """Define the flags and run: importing this file defines none."""
    flagtree.define(ExportSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
