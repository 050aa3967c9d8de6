"""Evaluate a trained run on complete candidate lists, together with heuristic baselines.

    python -m user_tf.evaluate --run=RUN --split=test [--truth=TRUTH.parquet] [--dataset=OTHER]

Writes RUN/evaluation/SPLIT.json and RUN/evaluation/SPLIT-queries.parquet (one row for each query
of a task), and prints a table. Each task is scored with the weights fine-tuned on it, otherwise with
the pre-trained ones. Another dataset of the same log, prepared under another protocol
(`data_pipeline.targets.eval_candidates`), gives SPLIT-PROTOCOL.json and its rows.
"""

import dataclasses
import shlex
import sys

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `python -m user_tf.evaluate`; the others are saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.")
    split: str = setting("test", "Targets to evaluate.", choices=("train", "validation", "test"))
    dataset: str = setting(
        "",
        "Another prepared dataset of the log of the run, with other candidate lists; empty: the "
        "dataset of the run.",
    )
    truth: str = setting(
        "", "Parquet of the simulator's truth (target_id, probability); empty: unknown."
    )
    threads: int = setting(0, "Threads of TensorFlow; 0: one for each core.")
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")


def main(arguments: list[str]) -> None:
    """Run the command; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Arguments must be flags. Got {arguments[1:]}. Fix: write --run=FOLDER."
        )
    settings = flagtree.read(EvaluateSettings)
    from user_tf.api.trained_run import Run

    run = Run(settings.run)
    runtime = dataclasses.replace(run.config.runtime, logical_cpus=0)
    import tensorflow as tf

    from user_tf.api.evaluate_run import evaluate_run
    from user_tf.training import strategy

    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    strategy.prepare(runtime)
    command = "python -m user_tf.evaluate " + shlex.join(sys.argv[1:])
    result = evaluate_run(
        run, settings.split, settings.dataset, settings.truth, settings.samples, command
    )
    print(result, flush=True)


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(EvaluateSettings)
    app.run(main)


if __name__ == "__main__":
    run()
