"""Past behaviors of a target as a ranker sees them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.batching import spec
from data_pipeline.common.codes import BehaviorType

UNKNOWN_WORD = "▯"


def decode(tokens: Sequence[int], vocabulary: Sequence[str]) -> str:
    """Return the words of a text, with a mark for each that is not in the vocabulary.

    Example:
        >>> decode([2, 9, 1, 0], ["", "hat", "sun"])
        'sun ▯ hat'
    """
    known = len(vocabulary)
    return " ".join(vocabulary[t] if t < known else UNKNOWN_WORD for t in tokens if t)


@dataclasses.dataclass(frozen=True)
class SeenBehavior:
    """A past behavior as a ranker sees it.

    Attributes:
        part: `past sessions` or `current session`.
        type: `search` or `browse`.
        text: Its words; a mark replaces those outside the vocabulary.
        clicked: Titles clicked in a search.
        weight: Attention to it; None for a ranker without attention.
        place: Its place among those of history, then of session, padding counted.
        text_row: Row of its text in the Batch.
    """

    part: str
    type: str
    text: str
    clicked: tuple[str, ...]
    weight: float | None
    place: int
    text_row: int


def one_target(batch: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return a Batch of one of its targets, without row subsets.

    Example:
        >>> batch = {"task": np.array([1, 2]), "text_tokens": np.array([[0]]), "text_place": 0}
        >>> sorted(one_target(batch, 1).items())[0]
        ('task', array([2]))
    """
    return {
        field.name: batch[field.name][row : row + 1]
        if field.letters[0] == "T"
        else batch[field.name]
        for field in spec.FIELDS
        if field.name in batch
    }


def see_behaviors(
    batch: Mapping[str, Any], vocabulary: Sequence[str], weights: Any = None
) -> tuple[SeenBehavior, ...]:
    """Return the past behaviors that a Batch of one target holds, oldest first.

    Args:
        batch: A Batch of one target.
        vocabulary: Words of its dataset by number.
        weights: float [n], attention over the places of history, then of session. Default: none.
    """
    from user_tf.models.batch_ops import padded_history, padded_session

    def words(text: int) -> str:
        return decode(np.asarray(batch["text_tokens"][text]).tolist(), vocabulary)

    seen, first = [], 0
    parts = {"past sessions": padded_history(batch), "current session": padded_session(batch)}
    for part, sequence in parts.items():
        pointers, types = (np.asarray(x)[0] for x in (sequence.behaviors, sequence.types))
        for position in np.flatnonzero(pointers).tolist():
            pointer, place = int(pointers[position]), first + position
            row = int(batch["behavior_text"][pointer])
            clicked = np.asarray(batch["behavior_clicked"][pointer])
            seen.append(
                SeenBehavior(
                    part=part,
                    type=BehaviorType(types[position]).name.lower(),
                    text=words(row),
                    clicked=tuple(words(int(title)) for title in clicked if title),
                    weight=None if weights is None else float(weights[place]),
                    place=place,
                    text_row=row,
                )
            )
        first += len(pointers)
    return tuple(seen)
