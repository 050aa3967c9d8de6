"""The reasons of a ranking: attention over past behaviors, and parts of the scores.

`reasons_of` is the one place that asks a trained ranker why it ranks as it does. A ranker that learns
to say more shows it here and nowhere else.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.batching.parsing import Batch
from data_pipeline.dataset.dataset_folder import Dataset
from user_tf.evaluation.metrics import Array
from user_tf.models.contributions import contribution_names
from user_tf.reporting import left_out
from user_tf.reporting.seen_behaviors import SeenBehavior, see_behaviors
from user_tf.reporting.shared_words import shared_words

STRONGEST = 3
"""Behaviors of a candidate whose words are named."""
_TOLERANCE = 1e-4
WITHOUT_PARTS = "{name} gives no parts of its scores."
WITHOUT_ATTENTION = "{name} has no attention over past behaviors."
BEYOND = "beyond USER"
ONE_PART = (
    "The bars of {name} are the parts of USER’s score, and “"
    + BEYOND
    + "” for all that it adds. Below them is what single behaviors did."
)
HISTORY_NOT_SEEN = "{name} sees no past behavior of this user."


@dataclasses.dataclass(frozen=True)
class Reasons:
    """Why a list is ranked as it is; empty where a ranker cannot say.

    Attributes:
        signals: Names of the parts of a score.
        contributions: By candidate, in the order given, the part of each signal in its score.
        behaviors: Past behaviors seen, oldest first.
        effects: By candidate, what its score loses without each of `behaviors`; only of rankers whose
            contributions are not all of the score.
        words: By candidate, sentences about the words of behaviors that raised it; only of USER+.
        notes: Sentences about what is not explained.
    """

    signals: tuple[str, ...] = ()
    contributions: tuple[tuple[float, ...], ...] = ()
    behaviors: tuple[SeenBehavior, ...] = ()
    effects: tuple[tuple[float, ...], ...] = ()
    words: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def compute(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `scores`, and what a trained ranker says of them; TensorFlow may compile it.

    Args:
        model: A built `user_tf.models.ranker.Ranker`.
        batch: A Batch.

    Returns:
        `scores` [T, C]; if the ranker has them `attention` [T, n], `contributions` [T, C, m] and
        `explained` [T, C], the scores that the contributions add up to.
    """
    if not hasattr(model, "explain"):
        found = {"scores": model(batch, training=False)}
        return found | (
            {"attention": model.attention(batch)} if hasattr(model, "attention") else {}
        )
    found = dict(model.explain(batch))
    found["explained"] = found["scores"]
    if not model.staged:
        # What such a ranker explains may be a part of its score.
        found["scores"] = model(batch, training=False)
    return found


def reasons_of(
    function: Callable[[Any], Mapping[str, Any]],
    found: Mapping[str, Any],
    model: Any,
    batch: Batch,
    dataset: Dataset,
    name: str,
) -> Reasons:
    """Return the reasons of the ranking of a batch of one target by a trained ranker.

    Args:
        function: `compute` of the model.
        found: Its result of the batch.
        model: A built `user_tf.models.ranker.Ranker`.
        batch: A Batch of one target.
        dataset: The dataset of the batch.
        name: Name of the ranker in sentences.
    """
    notes = []
    first = {key: np.asarray(value, np.float64)[0] for key, value in found.items()}
    real = np.asarray(batch["candidate_mask"])[0]
    signals: tuple[str, ...] = ()
    contributions: tuple[tuple[float, ...], ...] = ()
    if "contributions" in first:
        features = dataset.feature_names if model.sizes.features else ()
        signals = tuple(contribution_names(model.config, features))
        parts = first["contributions"][real]
        beyond = (first["scores"] - first["explained"])[real]
        if (np.abs(beyond) > _TOLERANCE * (1 + np.abs(first["scores"][real]))).any():
            signals = (*signals, BEYOND)
            parts = np.concatenate([parts, beyond[:, np.newaxis]], axis=1)
            notes.append(ONE_PART.format(name=name))
        contributions = tuple(map(tuple, parts.tolist()))
    else:
        notes.append(WITHOUT_PARTS.format(name=name))
    weights = first.get("attention")
    if weights is None:
        notes.append(WITHOUT_ATTENTION.format(name=name))
    behaviors = see_behaviors(batch, dataset.vocabulary, weights)
    if not behaviors:
        notes.append(HISTORY_NOT_SEEN.format(name=name))
    lost: tuple[tuple[float, ...], ...] = ()
    words: tuple[tuple[str, ...], ...] = ()
    if behaviors and (not signals or BEYOND in signals):
        values = left_out.effects(function, batch, first["scores"])[real]
        lost = tuple(map(tuple, values.tolist()))
        if hasattr(model, "explain_match"):
            words = describe_words(model, batch, dataset.vocabulary, behaviors, values)
    return Reasons(signals, contributions, behaviors, lost, words, tuple(notes))


def describe_words(
    model: Any,
    batch: Mapping[str, Any],
    vocabulary: Sequence[str],
    behaviors: Sequence[SeenBehavior],
    effects: Array,
) -> tuple[tuple[str, ...], ...]:
    """Return by candidate a sentence about each behavior that raised it most in its list.

    Args:
        model: A built `user_tf.models.user_plus.UserPlus`.
        batch: A Batch of one target.
        vocabulary: Words by number.
        behaviors: Of `see_behaviors`.
        effects: float64 [C, behaviors], what the score of a candidate loses without a behavior.
    """
    found = model.explain_match(batch)
    raised = effects - effects.mean(axis=0)
    sentences = []
    for candidate, row in enumerate(raised):
        strongest = [n for n in np.argsort(-row, kind="stable")[:STRONGEST].tolist() if row[n] > 0]
        said = [shared_words(found, batch, vocabulary, candidate, behaviors[n]) for n in strongest]
        sentences.append(
            tuple(
                f"{number + 1}. by aspect {words['aspect']}: {' '.join(words['behavior_words'])} ~ "
                f"{' '.join(words['candidate_words'])}"
                for number, words in zip(strongest, said, strict=True)
            )
        )
    return tuple(sentences)
