"""One vector for each historical behavior."""

import keras
from keras import ops

from data_pipeline.common.codes import BehaviorType
from user_tf.layers.user.co_attention import CoAttention


class BehaviorEncoder(keras.layers.Layer):
    """Vectors of browses and searches (USER, historical behaviors).

        browse: r of the article;   search without clicks: r of the query
        search with clicks: CoAttention(C_Q, [C_D1; C_D2; ...])

    A clicked document with an empty title counts as no click.

    Args:
        co_attention: `parallel` or `simple`, see `CoAttention`.

    Call arguments:
        words: Float tensor `[X, L, d]`, word vectors of the distinct texts.
        vectors: Float tensor `[X, d]`, their text vectors.
        words_mask: Boolean tensor `[X, L]`, true at real tokens.
        types: int tensor `[N]`: 0 padding, 1 browse, 2 search.
        texts: int tensor `[N]` -> X, the browsed title or the query.
        clicked: int tensor `[N, 3]` -> X, clicked titles, 0 for none.
        searches: int tensor `[M]` -> N that holds every search with clicks, or None: only these
            rows go through the co-attention.
        places: int tensor `[N]` -> M, where each search with clicks stands in `searches`.

    Returns:
        Float tensor `[N, d]`.

    Example:
        >>> encoder = BehaviorEncoder()
        >>> encoder(
        ...     ops.ones((3, 2, 4)),
        ...     vectors=ops.ones((3, 4)),
        ...     words_mask=ops.ones((3, 2), "bool"),
        ...     types=ops.array([0, 1, 2]),
        ...     texts=ops.array([0, 1, 2]),
        ...     clicked=ops.array([[0, 0, 0], [0, 0, 0], [1, 0, 0]]),
        ... ).shape
        TensorShape([3, 4])
    """

    def __init__(self, co_attention="parallel", **kwargs):
        super().__init__(**kwargs)
        self.co_attention = CoAttention(co_attention, dtype=self.dtype_policy, name="co_attention")

    def build(self, words_shape):
        self.co_attention.build(words_shape, words_shape)

    def call(self, words, vectors, words_mask, types, texts, clicked, searches=None, places=None):
        def rows(x):
            return x if searches is None else ops.take(x, searches, axis=0)

        length, width = ops.shape(words)[1], words.shape[-1]
        slots = clicked.shape[-1] * length
        # Row 0 is the empty text, so a missing title is masked by its own tokens.
        queries, titles = rows(texts), rows(clicked)
        documents_mask = ops.reshape(ops.take(words_mask, titles, axis=0), (-1, slots))
        fused = self.co_attention(
            ops.take(words, queries, axis=0),
            ops.reshape(ops.take(words, titles, axis=0), (-1, slots, width)),
            query_mask=ops.take(words_mask, queries, axis=0),
            documents_mask=documents_mask,
        )
        clicks = ops.any(documents_mask, axis=1)
        if searches is not None:
            fused, clicks = (ops.take(x, places, axis=0) for x in (fused, clicks))
        with_clicks = ops.logical_and(types == BehaviorType.SEARCH, clicks)
        return ops.where(with_clicks[:, None], fused, ops.take(vectors, texts, axis=0))

    def get_config(self):
        return {**super().get_config(), "co_attention": self.co_attention.form}
