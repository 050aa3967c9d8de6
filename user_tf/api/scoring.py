"""Scores of a trained run on the targets of a split."""

from typing import Any

from data_pipeline.batching.batches import evaluation_batches
from data_pipeline.dataset.corrupt_windows import named_corruption
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from user_tf import run_folder
from user_tf.api.trained_run import Run
from user_tf.evaluation import evaluator, protocol
from user_tf.training import phases


class TrainedRun:
    """A run that was trained to its end, with the dataset whose targets it scores.

    Args:
        run: The run.
        dataset: Its dataset, if it was moved, or another one of the same log. Default: its dataset,
            as recorded.

    Raises:
        FileNotFoundError: The run has no weights, or a dataset does not exist.
        ValueError: The dataset is of another log, or was prepared with other settings.

    Attributes:
        phases: The phase that serves each task of the run.
        dataset: The dataset the run was trained on.
        data: The dataset whose targets are scored: the same, or another one.
    """

    def __init__(self, run: Run, dataset: str = "") -> None:
        self._run = run
        self.phases = phases.by_task(run.config)
        for phase in set(self.phases.values()):
            if not (run.path / phase / run_folder.BEST).exists():
                raise FileNotFoundError(
                    f"`run` must be trained to its end. Got {str(run.path)!r}, which has no "
                    f"{phase}/{run_folder.BEST}. Fix: start user_tf.train with the same settings "
                    "again; it resumes."
                )
        moved = dataset if dataset and run_folder.is_dataset(run.path, dataset) else ""
        self.dataset: Dataset = open_dataset(run_folder.find_dataset(run.path, moved))
        self.data = self.dataset
        if dataset and not moved:
            self.data = open_dataset(dataset)
            protocol.check_same_inputs(self.dataset, self.data)

    def score(self, split: str, task: str) -> tuple[Any, Any]:
        """Return target ids int64 [n] and scores [n, C], NaN at padding, of a task's targets.

        Args:
            split: A `Split`.
            task: A task of `phases`.
        """
        model, config, _ = run_folder.load_model(
            self._run.path, self.phases[task], self.dataset.path
        )
        batches = evaluation_batches(
            self.data, config.data.scenario, split, config.data.batch, tasks=(task,)
        )
        with named_corruption(self.data):
            return evaluator.score_targets(model, batches)
