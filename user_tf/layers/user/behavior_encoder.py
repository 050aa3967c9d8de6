"""Encode each historical behavior as one vector."""

import keras
from keras import ops

from data_pipeline.common.codes import BehaviorType
from user_tf.layers.rows import take_rows
from user_tf.layers.user.co_attention import CoAttention


@keras.saving.register_keras_serializable(package="user_tf")
class BehaviorEncoder(keras.layers.Layer):
    """Encode browses and searches (USER, historical behaviors).

        browse                 r_B of the article
        search without clicks  r_Q of the query
        search with clicks     CoAttention(C_Q, [C_D1; C_D2; ...])

    A clicked document with an empty title counts as no click.

    Args:
        co_attention: `parallel` or `simple`, see `CoAttention`. Default: `parallel`.

    Call arguments:
        words: Float tensor `[X, L, d]`, word vectors of the distinct texts.
        vectors: Float tensor `[X, d]`, their text vectors.
        words_mask: Boolean tensor `[X, L]`, true at real tokens; the others get no weight.
        types: int tensor `[N]`: 0 padding, 1 browse, 2 search.
        texts: int tensor `[N]` -> X, the browsed title or the query.
        clicked: int tensor `[N, 3]` -> X, clicked titles, 0 for none.
        searches: int tensor `[M]` -> N that holds every search with clicks: only these rows go
            through the co-attention. Default: all rows do.
        places: int tensor `[N]` -> M, the place in `searches` of each search with clicks.
        query_length: Tokens of the longest query; words beyond it are not read. Default: L.

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

    Reference:
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    def __init__(self, co_attention="parallel", **kwargs):
        super().__init__(**kwargs)
        self.co_attention = co_attention
        self.co_attention_layer = CoAttention(
            co_attention, dtype=self.dtype_policy, name="co_attention"
        )

    def build(self, words_shape):
        self.co_attention_layer.build(words_shape, words_shape)

    def call(
        self,
        words,
        vectors,
        words_mask,
        types,
        texts,
        clicked,
        searches=None,
        places=None,
        query_length=None,
    ):
        def rows(x):
            return x if searches is None else take_rows(x, searches)

        length, width = ops.shape(words)[1], words.shape[-1]
        slots = ops.shape(clicked)[1] * length
        longest = length if query_length is None else query_length
        # Row 0 is the empty text, so a missing title is masked by its own tokens.
        queries, titles = rows(texts), rows(clicked)
        documents_mask = ops.reshape(take_rows(words_mask, titles), (-1, slots))
        fused = self.co_attention_layer(
            take_rows(words, queries)[:, :longest],
            ops.reshape(take_rows(words, titles), (-1, slots, width)),
            query_mask=take_rows(words_mask, queries)[:, :longest],
            documents_mask=documents_mask,
        )
        clicks = ops.any(documents_mask, axis=1)
        if searches is not None:
            fused, clicks = (take_rows(x, places) for x in (fused, clicks))
        with_clicks = ops.logical_and(types == BehaviorType.SEARCH, clicks)
        return ops.where(with_clicks[:, None], fused, take_rows(vectors, texts))

    def get_config(self):
        return {**super().get_config(), "co_attention": self.co_attention}
