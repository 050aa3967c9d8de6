"""Evaluation of a trained run on complete candidate lists."""

import dataclasses
import functools
import os
from typing import Any

from data_pipeline.common import remote_folders
from data_pipeline.common.output_folder import FolderLock
from data_pipeline.common.paths import local_path
from user_tf.api.scoring import TrainedRun
from user_tf.api.trained_run import Run, make_table
from user_tf.evaluation import metrics_table, protocol, system
from user_tf.training import process


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation; prints as a table.

    Attributes:
        content: Content of `RUN/evaluation/SPLIT.json`, as `system.evaluate_system` returns it.
    """

    content: dict[str, Any]

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Return the metrics of the model by task, such as `metrics["search"]["map"]`."""
        return {
            task: part["rankings"][self.content["model"]]["metrics"]
            for task, part in self.content["tasks"].items()
        }

    def __str__(self) -> str:
        return system.describe(self.content)

    def _repr_html_(self) -> str:
        tables = []
        for task, part in self.content["tasks"].items():
            rows = [["", *metrics_table.HEADINGS.values()]]
            for name, entry in part["rankings"].items():
                values = [entry["metrics"][key] for key in metrics_table.HEADINGS]
                rows.append([name, *("-" if value is None else f"{value:.4f}" for value in values)])
            tables.append(make_table(system.title(self.content, task), rows))
        return "".join(tables)


def evaluate(
    run: Run | str | os.PathLike[str],
    split: str = "test",
    *,
    dataset: str | os.PathLike[str] = "",
    truth: str | os.PathLike[str] = "",
    samples: int = 1000,
) -> EvaluationResult:
    """Evaluate a run together with heuristic baselines, as `python -m user_tf.evaluate` does.

    Each task is scored with the weights fine-tuned on it, otherwise with the pre-trained ones.
    Writes `RUN/evaluation/SPLIT.json` and `RUN/evaluation/SPLIT-queries.parquet`, one row a query.

    Global state: sets the dtype policy of Keras to that of the run (with float64 also its float
    type). They stay set afterwards.

    Args:
        run: Result of `fit`, or a folder.
        split: `train`, `validation` or `test`. Default: `test`.
        dataset: The dataset of the run, if it was moved. Or another one prepared from the same log,
            with other candidate lists; the files are then named SPLIT-PROTOCOL. Default: the
            dataset of the run, as recorded.
        truth: Parquet of the simulator's truth (target_id, probability). Default: unknown.
        samples: Resamplings of the users for 95 % intervals. Default: 1000.

    Returns:
        The result: `metrics`, and a table when printed or shown in a notebook.

    Raises:
        FileNotFoundError: `run` is no run or has no weights; `dataset` or `truth` does not exist.
        ValueError: A setting is impossible, or a dataset is incomplete or not that of the run.
        FolderInUse: Another process writes the same evaluation.
    """
    run = Run(run)
    process.prepare_for_scoring(run.config.runtime)
    command = f"user_tf.evaluate({os.fspath(run.path)!r}, split={split!r})"
    dataset, truth = local_path("dataset", dataset), local_path("truth", truth)
    result = evaluate_run(run, split, dataset, truth, samples, command)
    remote_folders.send_changes()
    return result


def evaluate_run(
    run: Run, split: str, dataset: str, truth: str, samples: int, command: str
) -> EvaluationResult:
    """Evaluate a run in the process as it is set up; see `evaluate`.

    Args:
        run, split, dataset, truth, samples: As for `evaluate`; empty strings for the defaults.
        command: Command line, written into the JSON.

    Raises:
        As `evaluate`.
    """
    config, trained = run.config, TrainedRun(run, dataset)
    name = split
    if trained.data is not trained.dataset:
        name += f"-{protocol.name(trained.data)}"
    suffix = {"unified": "", "search": "-s", "recommendation": "-r"}[config.data.scenario]
    with FolderLock(run.path / f"evaluation-{name}", "run"):
        content = system.evaluate_system(
            config.model.name + suffix,
            {
                task: (phase, functools.partial(trained.score, split, task))
                for task, phase in trained.phases.items()
            },
            trained.data,
            split,
            run.path / "evaluation" / f"{name}.json",
            command,
            config.runtime.seed,
            truth,
            samples,
        )
    return EvaluationResult(content)
