"""Evaluate a trained run on complete candidate lists, together with heuristic baselines.

    python -m user_tf.evaluate --run=RUN --split=test [--truth=TRUTH.parquet] [--dataset=OTHER]

Writes RUN/evaluation/SPLIT.json and RUN/evaluation/SPLIT-queries.parquet (one row for each query
of a task), and prints a table. Each task is scored with the weights fine-tuned on it, otherwise with
the pre-trained ones. Another dataset of the same log, prepared under another protocol
(`data_pipeline.targets.eval_candidates`), gives SPLIT-PROTOCOL.json and its rows.

With --served=MODEL --log=LOG the targets are also ranked by the exported model, from raw strings, with
and without the documents opened: RUN/evaluation/served-SPLIT.json, and a table of MAP beside the run's.
"""

import dataclasses
import shlex
import sys

from data_pipeline.common import command_line, flagtree
from data_pipeline.common.flagtree import setting


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Settings of `python -m user_tf.evaluate`; the others are saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.", path=True)
    split: str = setting("test", "Targets to evaluate.", choices=("train", "validation", "test"))
    dataset: str = setting(
        "",
        "The dataset of the run, if it was moved; or another one of the same log, with other "
        "candidate lists. Empty: the dataset of the run, as recorded.",
        path=True,
    )
    truth: str = setting(
        "", "Parquet of the simulator's truth (target_id, probability); empty: unknown.", path=True
    )
    served: str = setting(
        "",
        "Folder made by user_tf.export of this run, to evaluate too; needs --log. Empty: none.",
        path=True,
    )
    log: str = setting(
        "", "Behavior log the dataset was prepared from; only with --served.", path=True
    )
    threads: int = setting(0, "Threads of TensorFlow; 0: one for each core.")
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")


def main(arguments: list[str]) -> None:
    """Run the command; TensorFlow is imported after the flags are parsed."""
    settings = flagtree.read(EvaluateSettings)
    _check_served(settings)
    from user_tf.api.trained_run import Run

    run = Run(settings.run)
    import tensorflow as tf

    from user_tf.api.evaluate_run import evaluate_run
    from user_tf.training import process

    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    process.prepare_for_scoring(run.config.runtime)
    command = "python -m user_tf.evaluate " + shlex.join(sys.argv[1:])
    result = evaluate_run(
        run, settings.split, settings.dataset, settings.truth, settings.samples, command
    )
    print(result, flush=True)
    if settings.served:
        from user_tf.api.served_evaluation import evaluate_served

        served = evaluate_served(
            run, settings.served, settings.log, settings.split, result.content, command
        )
        print(f"\n{served}", flush=True)


def _check_served(settings: EvaluateSettings) -> None:
    if bool(settings.served) != bool(settings.log) or (settings.served and settings.dataset):
        raise ValueError(
            "`served` must come with `log` and without `dataset`. Got "
            f"{(settings.served, settings.log, settings.dataset)!r}. Fix: set --served and --log."
        )


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(EvaluateSettings)
    command_line.run(main)


if __name__ == "__main__":
    run()
