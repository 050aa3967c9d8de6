"""Floating-point operations of USER's matrix products, counted from shapes.

A product of [a, b] and [b, c] is 2abc operations; the gradient of each product is two more of the
same size. Softmax, norms, activations and gathers are not counted.
"""

from typing import Any

import numpy as np

from data_pipeline.batching.spec import bucket_lengths, bucket_name
from user_tf.config import ModelConfig

TRAINING = 3
"""Products of a training step for one of the forward pass."""


def forward(config: ModelConfig, batch: dict[str, Any]) -> dict[str, float]:
    """Operations of one forward pass by stage, work on padding included.

    Args:
        config: Widths; one layer a transformer.
        batch: A Batch; with row subsets only the rows they name are counted.

    Example:
        >>> batch = {name: np.zeros(shape, int) for name, shape in {
        ...     "text_tokens": (10, 4), "behavior_type": (6,), "behavior_clicked": (6, 3),
        ...     "session_behaviors": (3, 5), "task": (2,), "past_sessions": (2, 20),
        ...     "candidate_text": (2, 5)}.items()}
        >>> sorted(forward(ModelConfig(), batch))
        ['behavior', 'history', 'scorer', 'session', 'word']
    """
    d, inner, hidden = config.width, config.num_heads * config.key_dim, config.intermediate_dim
    shape = {name: np.shape(value) for name, value in batch.items()}
    groups = {length: shape[bucket_name(length)][0] for length in bucket_lengths(shape)}
    longest = shape["text_tokens"][1]
    groups = groups or {longest: shape["text_tokens"][0]}
    clicked = shape.get("clicked_searches", shape["behavior_type"])[0]
    titles = shape["behavior_clicked"][1] * longest
    searches = shape.get("search_targets", shape["task"])[0]
    sessions, session = shape["session_behaviors"]
    targets, candidates = shape["candidate_text"]
    slots = shape["past_sessions"][1] * session

    def full(rows: float, length: int) -> float:
        projections = 4 * d * inner + 2 * d * hidden
        return 2.0 * rows * (projections + 2 * length * inner)

    def last_position(rows: float, context: int) -> float:
        # Keys and values are moved to the side of the row, see MultiHeadAttention.
        projections = 4 * d * inner + 2 * d * hidden
        return 2.0 * rows * (projections + 2 * config.num_heads * context * d)

    pairs = longest * titles * d
    return {
        "word": sum(full(x * n, n) + 2.0 * x * n * (d * d + 2 * d) for n, x in groups.items()),
        "behavior": 2.0 * clicked * (2 * longest * d * d + titles * d * d + 3 * pairs + 2 * d * d),
        "session": full(sessions * session, session) + last_position(targets, session),
        "history": last_position(targets * (1 + candidates), slots),
        "scorer": 2.0 * searches * candidates * longest * longest * d,
    }
