"""Operations of rankers on a Batch: length buckets, searches alone, padded sequences.

`data_pipeline.batching.spec` describes a Batch and its row subsets. Only `keras.ops` and
`user_tf.layers.rows` are used, so that the functions run on every back end of Keras.
"""

from typing import Any, NamedTuple

from keras import ops

from data_pipeline.batching import spec
from data_pipeline.common.codes import Task
from user_tf.layers.masking import count_positions
from user_tf.layers.rows import take_rows


class PaddedSequence(NamedTuple):
    """Behaviors of each target, gathered from the packed tables.

    Attributes:
        behaviors: int `[T, n]` -> behaviors, 0 for padding.
        types: int `[T, n]`: 0 padding, 1 browse, 2 search.
        positions: int `[T, n]`: 1, 2, ... over the real behaviors, 0 for padding.
        mask: bool `[T, n]`, true at real behaviors.
    """

    behaviors: object
    types: object
    positions: object
    mask: object


class EncodedTexts(NamedTuple):
    """Encoded distinct texts.

    Attributes:
        words: float `[X, L, d]`, word vectors.
        vectors: float `[X, d]`, text vectors.
        mask: bool `[X, L]`, true at real tokens.
    """

    words: Any
    vectors: Any
    mask: Any


class EncodedPast(NamedTuple):
    """Encoded behaviors of the users of some targets; None where no encoder reads them.

    Attributes:
        history: float `[T, K, d]`, contextual behaviors of past sessions, oldest first.
        history_mask: bool `[T, K]`, true at real behaviors.
        session: float `[T, M, d]`, behaviors of the current session, oldest first.
        session_types: int `[T, M]`: 0 padding, 1 browse, 2 search.
    """

    history: Any
    history_mask: Any
    session: Any
    session_types: Any


def split_by_length(batch):
    """Split the texts into length buckets and renumber the Batch's pointers to texts.

    A Batch without row subsets has one bucket of all texts.

    Returns:
        List of token ids `[X_l, l]`, the shorter texts first; the Batch, whose text pointers
        number the rows of all buckets laid end to end.
    """
    lengths = spec.bucket_lengths(batch)
    if not lengths:
        return [batch["text_tokens"]], batch
    buckets = [
        take_rows(batch["text_tokens"], batch[spec.bucket_name(length)])[:, :length]
        for length in lengths
    ]
    places = batch["text_place"]
    pointers = {
        name: take_rows(places, batch[name]) for name in spec.TEXT_POINTERS if name in batch
    }
    return buckets, {**batch, **pointers}


def encode_buckets(encoder, buckets, training=False):
    """Encode the texts of `split_by_length` bucket by bucket.

    Args:
        encoder: Layer from tokens `[X, L]` to words `[X, L, d]`, vectors `[X, d]`, mask `[X, L]`.
        buckets: List of token ids `[X_l, l]`, the longest texts last.
        training: Whether dropout is on.

    Returns:
        Words `[X, L, d]`, vectors `[X, d]` and mask `[X, L]` of all buckets laid end to end, with L
        of the last bucket.
    """
    words, vectors, masks = zip(
        *(encoder(tokens, training=training) for tokens in buckets), strict=True
    )
    if len(buckets) == 1:
        return words[0], vectors[0], masks[0]
    # Numbers where they are known before running; a served Batch is as wide as its longest text.
    longest = ops.shape(buckets[-1])[1]

    def widened(x):
        missing = longest - ops.shape(x)[1]
        return ops.pad(x, [[0, 0], [0, missing]] + [[0, 0]] * (len(x.shape) - 2))

    return (
        ops.concatenate([widened(x) for x in words]),
        ops.concatenate(vectors),
        ops.concatenate([widened(x) for x in masks]),
    )


def for_searches(batch, compute, *rows):
    """Return `compute` of the search targets; 0 for recommendations.

    Args:
        batch: A Batch; with row subsets only its searches are computed.
        compute: Function of the rows of some targets.
        rows: Tensors `[T, ...]`, its arguments.

    Returns:
        `[T, ...]`, one row a target.
    """
    has_subset = "search_targets" in batch
    if has_subset:
        targets = ops.maximum(batch["search_targets"] - 1, 0)
        rows = [take_rows(x, targets) for x in rows]
    computed = compute(*rows)
    if has_subset:
        computed = take_rows(computed, batch["target_place"])
    search = ops.reshape(batch["task"] == Task.SEARCH, (-1,) + (1,) * (len(computed.shape) - 1))
    return ops.where(search, computed, ops.zeros_like(computed))


def match_words(knrm, batch, words, words_mask):
    """Return KNRM of every query and its candidates, `[T, C]`; 0 for recommendations.

    Args:
        knrm: Layer `Knrm`.
        batch: A Batch; with row subsets only its searches are computed.
        words: Float tensor `[X, L, d]`, word vectors of the texts the Batch's pointers number.
        words_mask: Boolean tensor `[X, L]`, true at real tokens.
    """

    def match(queries, candidates):
        return knrm(
            words,
            words_mask=words_mask,
            queries=queries,
            candidates=candidates,
            query_length=batch.get("query_length"),
        )

    return for_searches(batch, match, batch["query_text"], batch["candidate_text"])


def padded_session(batch):
    """Return the current session before each target, `[T, M]`.

    Returns:
        `PaddedSequence` with n = M.
    """
    return _padded(batch, batch["current_behaviors"])


def padded_history(batch):
    """Return the behaviors of each target's past sessions, oldest first, `[T, n]`.

    Returns:
        `PaddedSequence` with the places of `take_history`.
    """
    return _padded(batch, take_history(batch, batch["session_behaviors"]))


def take_history(batch, sessions):
    """Return what belongs to the behaviors of each target's past sessions, oldest first.

    Args:
        batch: A Batch.
        sessions: Tensor `[S, M, ...]`, of each slot of the distinct sessions.

    Returns:
        `[T, n, ...]`. With row subsets n is the longest real history of the Batch; without them
        P * M, where padding may lie anywhere in a row: a shorter session ends in padding.
    """
    inner = sessions.shape[2:]
    if spec.HISTORY_SLOTS in batch:
        return take_rows(ops.reshape(sessions, (-1, *inner)), batch[spec.HISTORY_SLOTS])
    past = batch["past_sessions"]
    slots = past.shape[1] * sessions.shape[1]
    return ops.reshape(take_rows(sessions, past), (-1, slots, *inner))


def _padded(batch, behaviors):
    mask = behaviors > 0
    types = take_rows(batch["behavior_type"], behaviors)
    return PaddedSequence(behaviors, types, count_positions(mask), mask)
