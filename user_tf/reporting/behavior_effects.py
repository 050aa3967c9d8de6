"""Describe the effect of single behaviors on the candidates of a target, for USER+."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.batching import spec
from user_tf.reporting import left_out
from user_tf.reporting.decoded_words import decode
from user_tf.reporting.shared_words import shared_words

STRONGEST = 3
"""Behaviors named of a candidate."""


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


def describe_effects(
    model: Any, batch: Mapping[str, Any], vocabulary: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the candidates of a target with the behaviors that changed their scores most.

    Args:
        model: A built `user_tf.models.user_plus.UserPlus`.
        batch: A Batch of one target, without row subsets.
        vocabulary: Words by number.

    Returns:
        `text`, `opened`, `score` and `behaviors` of each candidate: at most `STRONGEST`, the largest
        change first. A behavior has `order`, its number from 1, oldest first; `change`, what the
        score loses without it (F stays as it is); and what `shared_words` says.
    """
    from user_tf.models.batch_ops import padded_history, padded_session

    scores = np.asarray(model(batch, training=False), np.float64)[0]
    found = model.explain_match(batch)
    sequences = padded_history(batch), padded_session(batch)
    slots = np.concatenate([np.asarray(sequence.behaviors)[0] for sequence in sequences])
    places = np.flatnonzero(slots)
    changes = np.zeros((len(scores), 0))
    if len(places):
        changes = left_out.effects(lambda copies: {"scores": model(copies)}, batch, scores)
    texts = np.asarray(batch["behavior_text"])[slots[places]]
    described = []
    for candidate in np.flatnonzero(np.asarray(batch["candidate_mask"])[0]).tolist():
        order = np.argsort(-np.abs(changes[candidate]), kind="stable")[:STRONGEST]
        behaviors = [
            {
                "order": number + 1,
                "change": float(changes[candidate, number]),
                **shared_words(
                    found, batch, vocabulary, candidate, int(places[number]), int(texts[number])
                ),
            }
            for number in order.tolist()
        ]
        title = np.asarray(batch["text_tokens"])[int(batch["candidate_text"][0, candidate])]
        described.append(
            {
                "text": decode(title.tolist(), vocabulary),
                "opened": bool(batch["labels"][0, candidate]),
                "score": float(scores[candidate]),
                "behaviors": behaviors,
            }
        )
    return described
