"""Describe the effect of single behaviors on the candidates of a target, for USER+."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from user_tf.reporting import left_out
from user_tf.reporting.seen_behaviors import SeenBehavior, decode
from user_tf.reporting.shared_words import shared_words

STRONGEST = 3
"""Behaviors named of a candidate."""


def describe_effects(
    model: Any,
    batch: Mapping[str, Any],
    vocabulary: Sequence[str],
    seen: Sequence[SeenBehavior],
) -> list[dict[str, Any]]:
    """Return the candidates of a target with the behaviors that changed their scores most.

    Args:
        model: A built `user_tf.models.user_plus.UserPlus`.
        batch: A Batch of one target, without row subsets.
        vocabulary: Words by number.
        seen: Of `see_behaviors`.

    Returns:
        `text`, `opened`, `score` and `behaviors` of each candidate: at most `STRONGEST`, the largest
        change first. A behavior has `order`, its number from 1, oldest first; `change`, what the
        score loses without it (F stays as it is); and what `shared_words` says.
    """
    scores = np.asarray(model(batch, training=False), np.float64)[0]
    found = model.explain_match(batch)
    changes = np.zeros((len(scores), 0))
    if seen:
        changes = left_out.effects(lambda copies: {"scores": model(copies)}, batch, scores)
    described = []
    for candidate in np.flatnonzero(np.asarray(batch["candidate_mask"])[0]).tolist():
        order = np.argsort(-np.abs(changes[candidate]), kind="stable")[:STRONGEST]
        behaviors = [
            {
                "order": number + 1,
                "change": float(changes[candidate, number]),
                **shared_words(found, batch, vocabulary, candidate, seen[number]),
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
