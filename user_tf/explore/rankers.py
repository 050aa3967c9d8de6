"""Rankers of a target, side by side: trained runs, LambdaMART runs and heuristics."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from data_pipeline.common.codes import TASK_LABELS
from data_pipeline.dataset.dataset_folder import Dataset
from data_pipeline.settings import BatchSettings
from user_tf import run_folder
from user_tf.config import Config
from user_tf.evaluation import heuristics
from user_tf.experiments import lambdamart_system
from user_tf.explore.reasons import Reasons
from user_tf.explore.target_catalogue import Target, TargetCatalogue
from user_tf.explore.target_windows import Windows
from user_tf.explore.trained_ranker import TargetRanking, TrainedRanker

HEURISTICS = (heuristics.ORIGINAL, "most recently touched", "popularity")
"""Rankings that need no run."""
_SUFFIX = {"unified": "", "search": "-s", "recommendation": "-r"}


class TargetRanker(Protocol):
    """A ranker of the targets of a dataset.

    Attributes:
        label: Its name on the page.
        scenario: Behaviors it sees: a `Scenario`, "" for none.
        tasks: Tasks it ranks.
    """

    label: str
    scenario: str
    tasks: Sequence[str]

    def rank(self, target: Target) -> TargetRanking:
        """Return the scores of a target's candidates.

        Raises:
            ValueError: It cannot rank this target.
        """


class HeuristicRanker:
    """A ranking that learns nothing.

    Args:
        label: One of `HEURISTICS`.
        catalogue: Targets of the dataset.
    """

    scenario = ""
    tasks: Sequence[str] = TASK_LABELS

    def __init__(self, label: str, catalogue: TargetCatalogue) -> None:
        self.label = label
        self._catalogue = catalogue

    def rank(self, target: Target) -> TargetRanking:
        """Return the scores of a target; see `TargetRanker`."""
        targets = self._catalogue.targets(target.split)
        row = np.flatnonzero(targets.target_id == target.target_id)
        found = heuristics.rankings(targets.take(row), seed=1)[self.label][0]
        scores = tuple(found[: len(target.candidates)].tolist())
        return TargetRanking(self.label, scores, Reasons())


class LambdaMartRanker:
    """The trees of a run of `user_tf.lambdamart`.

    Args:
        folder: Folder of the run.
        label: Name on the page.
        windows: Windows of the run's dataset.
        catalogue: Targets of the dataset.

    Raises:
        FileNotFoundError: The run has no trees.
        ModuleNotFoundError: LightGBM is not installed.
    """

    def __init__(
        self, folder: pathlib.Path, label: str, windows: Windows, catalogue: TargetCatalogue
    ) -> None:
        self.label = label
        self._windows, self._catalogue = windows, catalogue
        plain = json.loads((folder / "config.json").read_text(encoding="utf-8"))["data"]
        self.scenario: str = plain["scenario"]
        self._settings = BatchSettings(**plain["batch"])
        self._columns, self._trees = lambdamart_system.read_trees(folder)
        self.tasks: Sequence[str] = tuple(self._trees)

    def rank(self, target: Target) -> TargetRanking:
        """Return scores and reasons of a target; see `TargetRanker`."""
        if target.task not in self._trees:
            raise ValueError(
                f"`run` must be fitted on {target.task} to rank this target. Got {self.label!r}, "
                f"fitted on {' and '.join(self._trees)}. Fix: choose another run."
            )
        batch = self._windows.batch(target, self.scenario, self._settings)
        targets = self._catalogue.targets(target.split)
        row = np.flatnonzero(targets.target_id == target.target_id)
        columns = lambdamart_system.candidate_columns([batch], targets.take(row))[0]
        columns = columns[: len(target.candidates)]
        trees = self._trees[target.task]
        scores = tuple(np.asarray(trees.predict(columns)).tolist())
        # The last column is the value without any.
        parts = np.asarray(trees.predict(columns, pred_contrib=True))[:, :-1]
        reasons = Reasons(
            signals=tuple(self._columns),
            contributions=tuple(map(tuple, parts.tolist())),
            notes=(f"{self.label} sees features of candidates, no past behaviors.",),
        )
        return TargetRanking(self.label, scores, reasons)


def is_lambdamart(folder: pathlib.Path) -> bool:
    """Return whether a folder is a run of `user_tf.lambdamart`."""
    return (folder / f"{lambdamart_system.NAME}.json").is_file()


def label_runs(folders: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    """Return the runs by their names on the page: the model, or the end of its path if two share it.

    Raises:
        FileNotFoundError: A folder is no run.
        ValueError: Two runs would have one name.
    """
    names = [_model_name(folder) for folder in folders]
    labels = {
        name if names.count(name) == 1 else "/".join(folder.parts[-2:]): folder
        for folder, name in zip(folders, names, strict=True)
    }
    if len(labels) < len(folders):
        raise ValueError(
            f"`run` must name runs with different names. Got {list(map(str, folders))}. Fix: set "
            "--run to folders whose last two names differ, each once."
        )
    return labels


def _model_name(folder: pathlib.Path) -> str:
    if is_lambdamart(folder):
        return lambdamart_system.NAME
    config = Config.load(folder)
    return config.model.name + _SUFFIX[config.data.scenario]


def open_rankers(
    runs: Mapping[str, pathlib.Path],
    dataset: Dataset,
    catalogue: TargetCatalogue,
    compiled: bool = False,
) -> dict[str, TargetRanker]:
    """Load the models of runs, and return all rankers by name, the original order first.

    Args:
        runs: Result of `label_runs`.
        dataset: Their dataset.
        catalogue: Its targets.
        compiled: As for `TrainedRanker`. Default: False.

    Raises:
        FileNotFoundError: A run has no weights.
        ValueError: Runs are of several datasets or precisions.
    """
    from user_tf.training import process

    windows = Windows(dataset)
    rankers: list[TargetRanker] = [HeuristicRanker(name, catalogue) for name in HEURISTICS[:1]]
    trained = {label: run for label, run in runs.items() if not is_lambdamart(run)}
    runtimes = {label: Config.load(run).runtime for label, run in trained.items()}
    precisions = {runtime.precision for runtime in runtimes.values()}
    if len(precisions) > 1:
        raise ValueError(
            f"`run` must name runs of one precision. Got {', '.join(sorted(precisions))}. Fix: set "
            "--run to runs with the same --runtime.precision."
        )
    for runtime in list(runtimes.values())[:1]:
        process.prepare_for_scoring(runtime)
    for label, run in runs.items():
        run_folder.find_dataset(run, dataset.path)
        rankers.append(
            LambdaMartRanker(run, label, windows, catalogue)
            if label not in trained
            else TrainedRanker(run, label, windows, compiled)
        )
    rankers += [HeuristicRanker(name, catalogue) for name in HEURISTICS[1:]]
    return {ranker.label: ranker for ranker in rankers}
