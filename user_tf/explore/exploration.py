"""Open all that the pages show: the runs, their dataset, its log and a served model."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterable, Sequence

from data_pipeline.common.codes import TASK_LABELS, Scenario
from data_pipeline.dataset.dataset_folder import Dataset, open_dataset
from data_pipeline.settings import BatchSettings
from user_tf import run_folder
from user_tf.api.served import ServedRanker
from user_tf.explore.rankers import TargetRanker, label_runs, open_rankers
from user_tf.explore.served_question import warm_up
from user_tf.explore.target_catalogue import Choice, Target, TargetCatalogue
from user_tf.explore.target_windows import Windows
from user_tf.explore.user_log import UserLog, check_masked
from user_tf.explore.user_sequence import Session, UserSequence
from user_tf.reporting.seen_behaviors import SeenBehavior, decode, see_behaviors
from user_tf.serving.request import Request


@dataclasses.dataclass(frozen=True)
class Exploration:
    """All that the pages read.

    Attributes:
        runs: Folders of the runs by their names.
        dataset: Their dataset.
        catalogue: Its targets.
        rankers: Rankers by their names: the original order, the runs, other heuristics.
        log: The log of the dataset; None where it was not given.
        served: A served model; None where it was not given.
    """

    runs: dict[str, pathlib.Path]
    dataset: Dataset
    catalogue: TargetCatalogue
    rankers: dict[str, TargetRanker]
    log: UserLog | None = None
    served: ServedRanker | None = None

    def titles(self, documents: Iterable[str]) -> dict[str, str]:
        """Return the titles of documents by id: of the log, otherwise in words of the vocabulary."""
        if self.log is not None:
            return self.log.titles(documents)
        data = self.dataset
        number_of = {document: number for number, document in enumerate(data.document_ids)}
        return {
            document: decode(
                data.text_tokens[data.document_texts[number_of[document]]].tolist(),
                data.vocabulary,
            )
            for document in documents
        }

    def sessions(self, target: Target) -> tuple[Session, ...]:
        """Return the sessions of a target's user before it, oldest first; none without a log."""
        if self.log is None:
            return ()
        sequence = UserSequence(self.log.events(target.user_id), self.log.settings)
        return sequence.sessions(target.time)

    def behaviors(self, target: Target) -> tuple[SeenBehavior, ...]:
        """Return the past behaviors in the windows of the dataset, oldest first."""
        scenarios = self.dataset.scenarios
        scenario = Scenario.UNIFIED if Scenario.UNIFIED in scenarios else target.task
        batch = Windows(self.dataset).batch(target, scenario, BatchSettings())
        return () if batch is None else see_behaviors(batch, self.dataset.vocabulary)

    def request(self, target: Target) -> Request:
        """Return the request of a target as the served model takes it.

        Raises:
            ValueError: There is no log, or it does not hold the target.
        """
        if self.log is None:
            raise ValueError(
                "`log` must be given to ask about a target. Got none. Fix: start the explorer with "
                "--log, the log the dataset was prepared from."
            )
        scenario = self.served.manifest.get("scenario", "unified") if self.served else "unified"
        sequence = UserSequence(self.log.events(target.user_id), self.log.settings)
        return sequence.request(target, scenario, self.log.titles(target.candidates))


def open_exploration(
    runs: Sequence[str],
    model: str = "",
    logs: Sequence[str] = (),
    moved: str = "",
    compiled: bool = False,
) -> Exploration:
    """Open runs, their dataset, its log and a served model.

    Args:
        runs: Folders made by `user_tf.train` or `user_tf.lambdamart`, of one dataset.
        model: Folder made by `user_tf.export`. Default: none.
        logs: Folders of the log the dataset was prepared from. Default: none.
        moved: Place of the dataset, if it was moved. Default: as recorded.
        compiled: Whether to compile the models, which takes seconds for each. Default: False.

    Raises:
        FileNotFoundError: A folder is no run, log, dataset or model, or a run has no weights.
        ValueError: Runs are of several datasets, or users are not masked.
    """
    if not runs:
        raise ValueError("`run` must name a folder. Got none. Fix: set --run.")
    labels = label_runs([pathlib.Path(run) for run in runs])
    dataset = open_dataset(run_folder.find_dataset(next(iter(labels.values())), moved))
    check_masked(dataset)
    catalogue = TargetCatalogue(dataset)
    log = UserLog(logs, dataset) if logs else None
    served = ServedRanker(model) if model else None
    if served is not None:
        warm_up(served)
    rankers = open_rankers(labels, dataset, catalogue, compiled)
    found = Exploration(labels, dataset, catalogue, rankers, log, served)
    if compiled:
        _rank_once(found)
    return found


def _rank_once(found: Exploration) -> None:
    """Rank a target of each task by every ranker: the first one takes seconds."""
    catalogue = found.catalogue
    for split, task in itertools.product(catalogue.splits[:1], TASK_LABELS):
        _, rows = catalogue.choose(Choice(split=split, task=task, order="newest"))
        for row in rows[:1]:
            target = catalogue.find(row["target_id"])
            for ranker in found.rankers.values():
                if task in ranker.tasks:
                    ranker.rank(target)
