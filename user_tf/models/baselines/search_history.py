"""Read past searches as the search baselines do."""

from keras import ops

from data_pipeline.common.codes import BehaviorType


def search_vectors(batch, texts):
    """Return vectors [query ; mean of the clicked titles] of all behaviors, and which are searches.

    Args:
        batch: A Batch.
        texts: Float tensor `[X, d]`, vectors of the distinct texts, zero for the empty one.

    Returns:
        `[N, 2 d]`, the second half zero without clicks; bool `[N]`. Rows of browses have no meaning.
    """
    clicked = batch["behavior_clicked"] > 0
    titles = ops.take(texts, batch["behavior_clicked"], axis=0)
    number = ops.sum(ops.cast(clicked, texts.dtype), axis=1, keepdims=True)
    # Title 0 is the empty text, whose vector adds nothing.
    mean = ops.sum(titles, axis=1) / ops.maximum(number, 1)
    query = ops.take(texts, batch["behavior_text"], axis=0)
    return ops.concatenate([query, mean], axis=-1), batch["behavior_type"] == BehaviorType.SEARCH


def session_states(gru, searches, real, members):
    """Return the states of a GRU over the searches of sessions, from 0 in each session.

    Args:
        gru: `keras.layers.GRU`; with `return_sequences` every state is returned.
        searches: Float tensor `[N, m]` of `search_vectors`.
        real: bool tensor `[N]`, true at searches; the GRU skips the others.
        members: int tensor `[B, n]` -> behaviors.

    Returns:
        States `[B, u]` after the last search, or `[B, n, u]`; bool `[B, n]`, true at searches.
        Without a search the state is 0.
    """
    inside = ops.take(real, members, axis=0)
    return gru(ops.take(searches, members, axis=0), mask=inside), inside
