"""Ranked candidates as a page shows them: places, moves, clicks and the parts of each score."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from user_tf.evaluation.metrics import query_metrics
from user_tf.serving.saved_ranker import rank

MOST_PARTS = 8
"""Parts of a score that are drawn; the others are one bar."""
OTHERS = "others"
_FLAT = 1e-9


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a score, above or below its mean over the list.

    Attributes:
        name: The signal.
        value: The part, less its mean over the list.
        share: Its size in the largest of the list, from 0 to 1.
    """

    name: str
    value: float
    share: float


@dataclasses.dataclass(frozen=True)
class RankedItem:
    """One candidate of a ranking.

    Attributes:
        rank: Its rank, from 1.
        place: Its place in the list given, from 1.
        title: Its title.
        score: Its score.
        clicked: Whether it was clicked.
        parts: Parts of its score, the largest first; none where a ranker has none.
        effects: What its score loses without a past behavior; none where that is not computed.
        words: Sentences about the words of behaviors that raised it.
    """

    rank: int
    place: int
    title: str
    score: float
    clicked: bool
    parts: tuple[Part, ...]
    effects: tuple[Part, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def moved(self) -> int:
        """Return the places it moved up against the list given; negative: down."""
        return self.place - self.rank


def rank_items(
    titles: Sequence[str],
    scores: Sequence[float],
    labels: Sequence[int] = (),
    signals: Sequence[str] = (),
    contributions: Sequence[Sequence[float]] = (),
    behaviors: Sequence[str] = (),
    effects: Sequence[Sequence[float]] = (),
    words: Sequence[tuple[str, ...]] = (),
) -> list[RankedItem]:
    """Return the candidates of a list, best first; equal scores keep the order given.

    Args:
        titles, scores: Of the candidates, in the order given.
        labels: 1 where clicked. Default: unknown.
        signals: Names of the parts of a score. Default: none.
        contributions: By candidate the part of each signal. Default: none.
        behaviors: Names of past behaviors. Default: none.
        effects: By candidate the effect of each behavior. Default: none.
        words: By candidate sentences about words. Default: none.

    Example:
        >>> [(item.title, item.moved) for item in rank_items(["a", "b", "c"], [0.1, 0.2, 0.3])]
        [('c', 2), ('b', 0), ('a', -2)]
    """
    parts = split_scores(signals, contributions)
    lost = split_scores(behaviors, effects)
    return [
        RankedItem(
            rank=number,
            place=position + 1,
            title=titles[position],
            score=scores[position],
            clicked=bool(labels and labels[position]),
            parts=parts[position] if parts else (),
            effects=lost[position] if lost else (),
            words=words[position] if words else (),
        )
        for number, position in enumerate(rank(scores), start=1)
    ]


def split_scores(
    signals: Sequence[str], contributions: Sequence[Sequence[float]]
) -> list[tuple[Part, ...]]:
    """Return by candidate the parts of its score, the largest first, less their means over the list.

    A constant added to all scores of a list changes no order, so the means say nothing.

    Example:
        >>> [[part.value for part in parts] for parts in split_scores(["knrm"], [[1.0], [3.0]])]
        [[-1.0], [1.0]]
    """
    if not signals or not contributions:
        return []
    values = np.asarray(contributions, np.float64)
    values = values - values.mean(axis=0)
    names = np.array(signals, object)
    # The same signals are drawn for all candidates, so that their bars compare.
    order = np.argsort(-np.abs(values).max(axis=0), kind="stable")
    values, names = values[:, order], names[order]
    if len(names) > MOST_PARTS + 1:
        rest = values[:, MOST_PARTS:].sum(axis=1, keepdims=True)
        values = np.concatenate([values[:, :MOST_PARTS], rest], axis=1)
        names = np.append(names[:MOST_PARTS], OTHERS)
    largest = float(np.abs(values).max())
    if largest < _FLAT:
        return [() for _ in values]
    return [
        tuple(
            Part(str(name), value, abs(value) / largest)
            for name, value in zip(names, row, strict=True)
        )
        for row in values.tolist()
    ]


def average_precision(scores: Sequence[float], labels: Sequence[int]) -> float | None:
    """Return the average precision of a list; None where all or no candidates were clicked.

    Example:
        >>> average_precision([0.1, 0.2], [1, 0]), average_precision([0.1, 0.2], [0, 0])
        (0.5, None)
    """
    found = query_metrics(np.array([labels]), np.array([scores]), np.ones((1, len(scores)), bool))
    value = float(found["map"][0])
    return None if np.isnan(value) else value
