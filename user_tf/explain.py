"""Draw the attention of a target: Figure 5, several trained models side by side.

    python -m user_tf.explain --run=USER,HTPS,NRMS --target=ID --output=FOLDER

Writes FOLDER/attention.svg, attention.html (the drawing as a page) and attention.json: the user's
behaviors before the target, oldest first, with type, words and each run's weight; of USER also the
candidates with their scores and the part of each signal (cosines, KNRM, each column of F) in them; of
USER+ the candidates with the behaviors that changed their scores most, and by which words. A behavior that a run's scenario leaves out has no weight there. A run trained on the other task alone sees the
target in the unified scenario. A mark replaces words outside the vocabulary. All runs must be
trained on one dataset.
"""

import dataclasses
import pathlib
import shlex
import sys

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting
from data_pipeline.common.output_folder import FolderLock


@dataclasses.dataclass(frozen=True)
class ExplainSettings:
    """Settings of `python -m user_tf.explain`; the others are saved with the runs."""

    run: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={"help": "Folders made by user_tf.train; each gets a column.", "path": True},
    )
    target: int = setting(-1, "target_id of the dataset, a row of SPLIT-queries.parquet.")
    split: str = setting("test", "Split of the target.", choices=("train", "validation", "test"))
    dataset: str = setting("", "The dataset of the runs, if it was moved.", path=True)
    output: str = setting("", "Output folder.", path=True)


def write_explanation(settings: ExplainSettings, command: str) -> list[pathlib.Path]:
    """Write the drawing of a target's attention.

    Args:
        settings: Runs, target and output folder.
        command: Command line, written into the files.

    Returns:
        The files written.

    Raises:
        FileNotFoundError, ValueError: See `user_tf.reporting.attention_of_target.explain_target`.
    """
    from user_tf.reporting import attention_page
    from user_tf.reporting.attention_of_target import explain_target

    if not settings.output:
        raise ValueError("`output` must name a folder. Got ''. Fix: set --output.")
    content = explain_target(settings.run, settings.target, settings.split, settings.dataset)
    output = pathlib.Path(settings.output)
    with FolderLock(output / "attention"):
        return attention_page.write(output, content, command)


def main(arguments: list[str]) -> None:
    """Run the command line; TensorFlow is imported after the flags are parsed."""
    command = "python -m user_tf.explain " + shlex.join(sys.argv[1:])
    written = write_explanation(flagtree.read(ExplainSettings), command)
    print("Written: " + ", ".join(map(str, written)), flush=True)


def run() -> None:
    """Define the flags and run; importing this file defines none."""
    flagtree.define(ExplainSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
