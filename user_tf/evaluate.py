"""Evaluates a trained run on whole candidate lists, beside the rankings that learn nothing.

    python -m user_tf.evaluate --run=RUN --split=test [--truth=TRUTH.parquet] [--dataset=OTHER]

Writes RUN/evaluation/SPLIT.json and RUN/evaluation/SPLIT-queries.parquet (one row a query of a
task), and prints a table. Each task is scored by the weights fine-tuned on it, or else by the
pre-trained ones. The lists of another dataset of the same log, prepared under another protocol
(`data_pipeline.targets.eval_candidates`), give SPLIT-PROTOCOL.json and its rows.
"""

import dataclasses
import pathlib
import shlex
import sys
from typing import Any

from absl import app

from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf import run_folder
from user_tf.config import Config


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Everything `python -m user_tf.evaluate` can be told; the rest is saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.")
    split: str = setting("test", "Targets to evaluate.", choices=("train", "validation", "test"))
    dataset: str = setting(
        "", "Another prepared dataset of the run's log with other candidate lists; empty: its own."
    )
    truth: str = setting(
        "", "Parquet of the simulator's truth (target_id, probability); empty: unknown."
    )
    threads: int = setting(0, "Threads of TensorFlow; 0: as many as there are cores.")
    samples: int = setting(1000, "Resamplings of the users for 95 % intervals.")


def trained_tasks(config: Config) -> dict[str, str]:
    """The phase whose weights score each task the run was trained on.

    Example:
        >>> from user_tf.config import TrainConfig
        >>> trained_tasks(Config(train=TrainConfig(phases=("pretrain", "search"))))
        {'search': 'search', 'recommendation': 'pretrain'}
    """
    phases = config.train.phases
    if "pretrain" in phases:
        return {task: run_folder.phase_of(config, task) for task in ("search", "recommendation")}
    return {task: task for task in ("search", "recommendation") if task in phases}


def evaluate_run(settings: EvaluateSettings, command: str) -> dict[str, Any]:
    """Evaluates every task of a run that has weights; writes the two files and returns the JSON.

    Args:
        settings: What to evaluate.
        command: Command line, written into the JSON.

    Raises:
        FileNotFoundError: `run` is no run or holds no weights, or `dataset` or `truth` does not
            exist.
        ValueError: A setting is impossible, or a dataset does not hold what it should.
    """
    folder, split = pathlib.Path(settings.run), settings.split
    config = Config.load(folder)
    scenario, phases = config.data.scenario, trained_tasks(config)
    for phase in set(phases.values()):
        if not (folder / phase / run_folder.BEST).exists():
            raise FileNotFoundError(
                f"`run` should be trained to its end. Received: {folder}, without "
                f"{phase}/{run_folder.BEST}. Start user_tf.train with the same settings again: it "
                "resumes."
            )
    from data_pipeline.batching.batches import evaluation_batches
    from data_pipeline.dataset.dataset_folder import open_dataset
    from user_tf.evaluation import evaluator, protocol, system

    dataset, name = open_dataset(config.data.dataset), split
    if settings.dataset:
        trained, dataset = dataset, open_dataset(settings.dataset)
        protocol.check_same_inputs(trained, dataset)
        name += f"-{protocol.name(dataset)}"

    def scorer(task: str, phase: str) -> system.Scorer:
        def score() -> tuple[Any, Any]:
            model, _, _ = run_folder.load_model(folder, phase)
            batches = evaluation_batches(dataset, scenario, split, config.data.batch, tasks=(task,))
            return evaluator.score_targets(model, batches)

        return score

    suffix = {"unified": "", "search": "-s", "recommendation": "-r"}[scenario]
    return system.evaluate_system(
        config.model.name + suffix,
        {task: (phase, scorer(task, phase)) for task, phase in phases.items()},
        dataset,
        split,
        folder / "evaluation" / f"{name}.json",
        command,
        config.runtime.seed,
        settings.truth,
        settings.samples,
    )


def main(arguments: list[str]) -> None:
    """Runs the command line; TensorFlow is imported after the flags are parsed."""
    if len(arguments) > 1:
        raise app.UsageError(
            f"Arguments should be flags. Received: {arguments[1:]}. Write --run=FOLDER."
        )
    settings = flagtree.read(EvaluateSettings)
    runtime = Config.load(pathlib.Path(settings.run)).runtime
    import tensorflow as tf

    from user_tf.training import strategy

    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    strategy.prepare(dataclasses.replace(runtime, logical_cpus=0))
    evaluate_run(settings, "python -m user_tf.evaluate " + shlex.join(sys.argv[1:]))


def run() -> None:
    """Entry point: flags are defined here, so that importing this file defines none."""
    flagtree.define(EvaluateSettings)
    app.run(main)


if __name__ == "__main__":
    run()
