"""The words by which USER+ finds a candidate like a past behavior."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from user_tf.reporting.seen_behaviors import SeenBehavior, decode

WORDS = 3
"""Words named of each text."""


def shared_words(
    found: Mapping[str, Any],
    batch: Mapping[str, Any],
    vocabulary: Sequence[str],
    candidate: int,
    behavior: SeenBehavior,
) -> dict[str, Any]:
    """Return the aspect in which a candidate is like a behavior more than the others of its list are.

    Args:
        found: Of `UserPlus.explain_match`, for a Batch of one target.
        batch: The Batch.
        vocabulary: Words by number.
        candidate: Place of the candidate in its list.
        behavior: The behavior.

    Returns:
        `aspect`, its number from 1; `ahead`, how much larger log k is than its mean over the list;
        `behavior_words` and `candidate_words`, those the aspect reads most, the most read first.
    """
    real = np.asarray(batch["candidate_mask"])[0]
    likeness = np.asarray(found["likeness"], np.float64)[0, :, behavior.place]
    ahead = likeness[candidate] - likeness[real].mean(axis=0)
    aspect = int(ahead.argmax())
    tokens, shares = np.asarray(batch["text_tokens"]), np.asarray(found["shares"])

    def most_read(row: int) -> list[str]:
        order = np.argsort(-shares[row, aspect], kind="stable")[:WORDS]
        return [decode([token], vocabulary) for token in tokens[row][order].tolist() if token]

    title = int(np.asarray(batch["candidate_text"])[0, candidate])
    return {
        "aspect": aspect + 1,
        "ahead": float(ahead[aspect]),
        "behavior_words": most_read(behavior.text_row),
        "candidate_words": most_read(title),
    }
