"""Judgement of the data of a preparation: an error where nothing can be trained, named warnings."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from data_pipeline.common.array_types import Integers
from data_pipeline.common.codes import LABELED_SPLITS, Split, Task
from data_pipeline.common.data_warnings import DataWarning, share_text
from data_pipeline.common.mapped_arrays import release_pages
from data_pipeline.events.user_events import UserEvents
from data_pipeline.features.feature_columns import FEATURES
from data_pipeline.features.relevance_features import CandidateFeatures
from data_pipeline.log.log_checks import FEW_LISTS, MANY, NEARLY_ALL, one_task_fix
from data_pipeline.settings import PrepareSettings
from data_pipeline.targets.candidate_lists import CandidateLists
from data_pipeline.targets.eligible_targets import LeftOut
from data_pipeline.text.corpus import TextTable

FEW_TARGETS = 30
"""Fewer targets of a task in a split than these make its metrics noise."""
_ROWS = 250_000
_RESPLIT = "set --split.train_parts, --split.validation_parts and --split.test_parts, or prepare a longer log"


def require_training_targets(split: Integers, left_out: LeftOut) -> None:
    """Refuse a log without a training target.

    Args:
        split: int64 [targets], number of the `Split` of each target.
        left_out: The others, counted by task and reason.

    Raises:
        ValueError: There is none.

    Example:
        >>> require_training_targets(np.array([0, 2]), {})
        >>> require_training_targets(np.array([2, 2]), {"search": {"no_negative": 9}})
        Traceback (most recent call last):
        ...
        ValueError: `log` must give at least one training target. Got 0 of train, 0 of ...
    """
    if (split == Split.TRAIN.number).any():
        return
    counts = ", ".join(f"{int((split == part.number).sum())} of {part}" for part in LABELED_SPLITS)
    reasons = "; ".join(
        f"{task} left out: {name.replace('_', ' ')} {count:,}"
        for task, counted in left_out.items()
        for name, count in counted.items()
        if count
    )
    raise ValueError(
        f"`log` must give at least one training target. Got {counts}{'; ' * bool(reasons)}{reasons}. "
        "Fix: check the times and clicks of the log (sessions that all begin at one time cannot be "
        f"split), or {_RESPLIT}."
    )


def judge_dataset(
    events: UserEvents,
    lists: CandidateLists,
    past_behaviors: Integers,
    texts: TextTable,
    features: CandidateFeatures,
    settings: PrepareSettings,
) -> list[DataWarning]:
    """Return the warnings about a dataset, in a fixed order.

    Args:
        events: Events of the unified log.
        lists: Targets and candidates.
        past_behaviors: int64 [targets], behaviors visible before each target.
        texts: Tokens of the texts.
        features: F of the candidates.
        settings: Settings of the preparation.
    """
    findings = [
        *_judge_texts(lists, texts),
        *_judge_tasks(lists, settings),
        *_judge_history(events, past_behaviors, settings),
        *_judge_lists(lists),
        *_judge_features(lists, features),
    ]
    return [DataWarning(name, message) for name, message in findings]


def _judge_texts(lists: CandidateLists, texts: TextTable) -> Iterator[tuple[str, str]]:
    words = np.asarray(texts.tokens.any(axis=1))
    titled = words[texts.document_text][lists.candidates["doc"]]
    empty = int((~titled).sum())
    if empty > MANY * len(titled):
        yield (
            "empty_titles",
            f"{share_text(empty, len(titled))} candidates have a title without a word: they look "
            "the same to a model. Fix: import again with titles, or with ids as titles "
            "(--columns=documents.title=doc_id) and prepare with --text.tokenizer=ids.",
        )
    query = lists.rows["query"][lists.rows["task"] == Task.SEARCH]
    empty = int((~words[query]).sum())
    if empty > MANY * len(query):
        yield (
            "empty_queries",
            f"{share_text(empty, len(query))} searches have a query without a word. Fix: check "
            "--text.tokenizer and the column of queries.",
        )


def _judge_tasks(lists: CandidateLists, settings: PrepareSettings) -> Iterator[tuple[str, str]]:
    labeled = lists.rows["split"] != Split.UNLABELED.number
    searches = int((lists.rows["task"][labeled] == Task.SEARCH).sum())
    if searches in (0, int(labeled.sum())):
        yield (
            "one_task",
            f"All targets are of one task, {'search' if searches else 'recommendation'}. "
            f"Fix: {one_task_fix(searches)}",
        )
    few = []
    parts = settings.split.train_parts, settings.split.validation_parts, settings.split.test_parts
    for task in Task:
        of_task = lists.rows["split"][lists.rows["task"] == task]
        for split, part in zip(LABELED_SPLITS, parts, strict=True):
            count = int((of_task == split.number).sum())
            # A task without any target is `one_task`, a split of 0 parts is wanted.
            if len(of_task) and part and count < FEW_TARGETS:
                few.append(f"{count} of {task.label} in {split}")
    if few:
        yield (
            "few_targets",
            f"Some splits have fewer than {FEW_TARGETS} targets of a task: {', '.join(few)}. "
            f"Fix: {_RESPLIT}.",
        )
    yield from _judge_order(lists)


def _judge_order(lists: CandidateLists) -> Iterator[tuple[str, str]]:
    split, time = lists.rows["split"], lists.rows["time"]
    later = np.isin(split, [Split.VALIDATION.number, Split.TEST.number])
    trained = time[split == Split.TRAIN.number]
    if later.any() and (late := int((trained > time[later].min()).sum())) > MANY * len(trained):
        yield (
            "training_after_validation",
            f"{share_text(late, len(trained))} training targets are later than the first target of "
            "validation or test, and see what happened there. Words and counts are learned from what "
            "is earlier only. Fix: nothing if the log's column `split` splits users; otherwise set "
            "--nosplit.column.",
        )


def _judge_history(
    events: UserEvents, past_behaviors: Integers, settings: PrepareSettings
) -> Iterator[tuple[str, str]]:
    sessions = np.unique(events.sessions["user"], return_counts=True)[1]
    if (sessions == 1).sum() > NEARLY_ALL * len(sessions):
        yield (
            "one_session_users",
            f"{share_text(int((sessions == 1).sum()), len(sessions))} users have one session, so "
            "nothing is known from past ones. Fix: check the times and users of the log, set "
            f"--sequence.session_minutes (now {settings.sequence.session_minutes:g}), or prepare a "
            "longer log.",
        )
    empty = int((past_behaviors == 0).sum())
    if empty > NEARLY_ALL * len(past_behaviors):
        yield (
            "no_history",
            f"{share_text(empty, len(past_behaviors))} targets have no behavior before them: "
            "nothing personal can be learned. Fix: check the column of users, prepare a longer "
            "log, or begin targets later with --split.history_share.",
        )


def _judge_lists(lists: CandidateLists) -> Iterator[tuple[str, str]]:
    labeled = lists.rows["split"] != Split.UNLABELED.number
    for task, counts in lists.left_out.items():
        lost = counts["no_negative"] + counts["no_candidates"]
        kept = int((labeled & (lists.rows["task"] == Task.from_label(task))).sum())
        if lost > kept:
            yield (
                "lists_without_negatives",
                f"{share_text(lost, lost + kept)} lists of {task} have no irrelevant document and "
                "give no target. Fix: log the complete lists shown, or import opened documents as "
                "browses, which get --pseudo_negatives.count negatives.",
            )
    shown = np.flatnonzero(labeled & (lists.rows["pseudo"] == 0))
    shown = shown[~np.isin(shown, lists.redrawn)]
    first = int(lists.candidates["label"][lists.offsets[shown]].sum())
    if len(shown) >= FEW_LISTS and first > NEARLY_ALL * len(shown):
        yield (
            "relevant_at_first_rank",
            f"In {share_text(first, len(shown))} lists the first document is relevant: a model "
            "learns the position. Fix: write lists in the order shown, or train with "
            "--nodata.batch.features.",
        )


def _judge_features(
    lists: CandidateLists, features: CandidateFeatures
) -> Iterator[tuple[str, str]]:
    searched = (lists.rows["task"] == Task.SEARCH).any()
    constant = find_constant_columns(features.values)
    names = [
        feature.name
        for feature, same in zip(FEATURES, constant, strict=True)
        if same and (feature.query_free or searched)
    ]
    if names:
        yield (
            "constant_features",
            f"Relevance features that are the same for all candidates: {', '.join(names)}. Fix: "
            "nothing if the log has no such facts; otherwise check queries, clicks and dwell times.",
        )


def find_constant_columns(values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the columns whose rows are all equal: bool [features].

    Args:
        values: float32 [candidates, features]; read block by block.

    Example:
        >>> find_constant_columns(np.array([[1, 2], [1, 3]], np.float32))
        array([ True, False])
    """
    constant = np.ones(values.shape[1], bool)
    for begin in range(0, len(values), _ROWS):
        block = values[begin : begin + _ROWS]
        constant &= (block == values[0]).all(axis=0)
        release_pages(values)
        if not constant.any():
            break
    return constant
