"""Evaluates a trained run on whole candidate lists, beside the rankings that learn nothing.

    python -m user_tf.evaluate --run=RUN --split=test [--truth=TRUTH.parquet]

Writes RUN/evaluation/SPLIT.json and RUN/evaluation/SPLIT-queries.parquet (one row a query of a
task), and prints a table. Each task is scored by the weights fine-tuned on it, or else by the
pre-trained ones.
"""

import dataclasses
import pathlib
import shlex
import sys
from typing import Any

from absl import app

from data_pipeline import flagtree
from data_pipeline.flagtree import setting
from user_tf.config import Config
from user_tf.training import runs


@dataclasses.dataclass(frozen=True)
class EvaluateSettings:
    """Everything `python -m user_tf.evaluate` can be told; the rest is saved with the run."""

    run: str = setting("", "Folder made by user_tf.train.")
    split: str = setting("test", "Targets to evaluate.", choices=("train", "validation", "test"))
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
        return {task: runs.phase_of(config, task) for task in ("search", "recommendation")}
    return {task: task for task in ("search", "recommendation") if task in phases}


def evaluate_run(settings: EvaluateSettings, command: str) -> dict[str, Any]:
    """Evaluates every task of a run that has weights; writes the two files and returns the JSON.

    Args:
        settings: What to evaluate.
        command: Command line, written into the JSON.

    Raises:
        FileNotFoundError: `run` is no run or holds no weights, or `truth` does not exist.
        ValueError: A setting is impossible, or the dataset does not hold what it should.
    """
    if settings.samples < 1:
        raise ValueError(
            f"`samples` should be at least 1. Received: {settings.samples}. Set --samples."
        )
    folder, split = pathlib.Path(settings.run), settings.split
    config = Config.load(folder)
    scenario, phases = config.data.scenario, trained_tasks(config)
    for phase in set(phases.values()):
        if not (folder / phase / runs.BEST).exists():
            raise FileNotFoundError(
                f"`run` should be trained to its end. Received: {folder}, without "
                f"{phase}/{runs.BEST}. Start user_tf.train with the same settings again: it "
                "resumes."
            )
    truth = pathlib.Path(settings.truth) if settings.truth else None
    if truth is not None and not truth.exists():
        raise FileNotFoundError(
            f"`truth` should be a Parquet file. Received: {truth}, which does not exist. "
            "Set --truth to the simulator's truth of this dataset."
        )
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_pipeline.batch import evaluation_batches
    from user_tf.evaluation import comparison, evaluator, non_learned, report, targets

    suffix = {"unified": "", "search": "-s", "recommendation": "-r"}[scenario]
    model_name = config.model.name + suffix
    split_targets = targets.load(pathlib.Path(config.data.dataset), split)
    content = report.provenance(command, config.runtime.seed)
    content |= {"split": split, "model": model_name, "tasks": {}}
    query_tables = []
    for task, phase in phases.items():
        of_task = split_targets.of_task(task)
        if not len(of_task):
            print(f"{task}: no targets in the {split} split", flush=True)
            continue
        model, _, dataset = runs.load_model(folder, phase)
        batches = evaluation_batches(dataset, scenario, split, config.data.batch, tasks=(task,))
        evaluated = evaluator.evaluate(of_task, *evaluator.score_targets(model, batches))
        if len(evaluated.targets) < len(of_task):
            raise ValueError(
                f"`windows` should hold every target of the {split} split. Received: "
                f"{len(evaluated.targets)} of {len(of_task)} {task} targets. Prepare the dataset "
                "again."
            )
        others = non_learned.rankings(of_task, config.runtime.seed)
        if truth is not None:
            others[non_learned.BEST] = non_learned.best_known(of_task, truth)
        evaluations = {
            name: evaluator.evaluate(of_task, of_task.target_id, scores)
            for name, scores in others.items()
        } | {model_name: evaluated}
        compared = comparison.compare(evaluations, task, settings.samples, config.runtime.seed)
        content["tasks"][task] = {"phase": phase, **compared}
        query_tables.append(report.query_table(evaluations, model_name))
        print("\n" + report.text_table(f"{task} ({split}, weights of {phase})", compared))
        print(report.slice_table(compared, (non_learned.ORIGINAL, model_name)), flush=True)
    written = [folder / "evaluation" / f"{split}.json"]
    runs.write_json(written[0], content)
    if query_tables:
        written.append(folder / "evaluation" / f"{split}-queries.parquet")
        pq.write_table(pa.concat_tables(query_tables), written[1])
    print("\nWritten: " + ", ".join(map(str, written)), flush=True)
    return content


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
