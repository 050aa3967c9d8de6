"""Read a user's clicks and score by dot products, as the recommendation baselines do."""

from typing import NamedTuple

from keras import ops

from data_pipeline.common.codes import BehaviorType
from user_tf.layers.masking import precise
from user_tf.models.batch_ops import padded_history, padded_session


class Clicks(NamedTuple):
    """Hold the titles a user clicked before each target, oldest first, with gaps anywhere.

    Attributes:
        texts: int `[T, H]` -> texts; without meaning at gaps.
        mask: bool `[T, H]`, true at clicks.
    """

    texts: object
    mask: object


def read_clicks(batch, real_texts, searches=False):
    """Return the clicks of the past sessions, then those of the current session before the target.

    A browse is a click on its document. A title without words is no click: a model that reads
    titles only learns nothing from it.

    Args:
        batch: A Batch, also one renumbered by `split_by_length`.
        real_texts: bool tensor `[X]`, true where a text has words.
        searches: True to count documents clicked in searches too, the earliest click of a search
            first. Default: False.

    Returns:
        `Clicks` with H = behaviors of past sessions and of the current one, times the clicked
        titles of a search if these count.

    Example:
        >>> clicks = read_clicks(
        ...     {
        ...         "behavior_type": ops.array([0, 1, 2]),
        ...         "behavior_text": ops.array([0, 7, 5]),
        ...         "session_behaviors": ops.array([[0, 0], [1, 0]]),
        ...         "past_sessions": ops.array([[1]]),
        ...         "current_behaviors": ops.array([[2, 1]]),
        ...     },
        ...     real_texts=ops.arange(9) > 0,
        ... )
        >>> ops.where(clicks.mask, clicks.texts, 0).numpy().tolist()
        [[7, 0, 0, 7]]
    """
    behaviors = ops.concatenate(
        [padded_history(batch).behaviors, padded_session(batch).behaviors], axis=1
    )
    texts = batch["behavior_text"][:, None]
    real = (batch["behavior_type"] == BehaviorType.BROWSE)[:, None]
    if searches:
        # A browse has no clicked titles, so that its own takes the first of their places.
        first = ops.arange(ops.shape(batch["behavior_clicked"])[1]) == 0
        texts = ops.where(real, texts, batch["behavior_clicked"])
        real = ops.where(real, first, (batch["behavior_type"] == BehaviorType.SEARCH)[:, None])
    # A pointer does not show an empty text: the groups of texts may put it in any row.
    real = ops.logical_and(real, ops.take(real_texts, texts, axis=0))
    slots = ops.shape(behaviors)[1] * ops.shape(texts)[1]
    texts, mask = (ops.reshape(ops.take(x, behaviors, axis=0), (-1, slots)) for x in (texts, real))
    return Clicks(texts, mask)


def match(users, candidates):
    """Score candidates by dot products of vectors, `[T, C]` in at least float32.

    Args:
        users: Float tensor `[T, d]`.
        candidates: Float tensor `[T, C, d]`.

    Example:
        >>> match(ops.array([[1.0, 2.0]]), ops.array([[[3.0, 4.0], [0.0, 0.0]]])).numpy().tolist()
        [[11.0, 0.0]]
    """
    return ops.einsum("td,tcd->tc", precise(users), precise(candidates))
