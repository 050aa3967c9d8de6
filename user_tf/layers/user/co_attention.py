"""Fuse a query and the documents clicked under it by their attention to each other."""

import keras
from keras import ops

from user_tf.layers.masking import masked_softmax
from user_tf.layers.rows import project

FORMS = ("parallel", "simple")


@keras.saving.register_keras_serializable(package="user_tf")
class CoAttention(keras.layers.Layer):
    """Apply parallel co-attention to the query and the clicked titles of a search.

        A   = tanh(C_Q W_c C_D^T)                                             [n, m]   (USER, Eq. 4)
        H_Q = tanh(C_Q W_q + A (C_D W_d));   H_D = tanh(C_D W_d + A^T (C_Q W_q))     (Eq. 5-6)
        a_Q = softmax(H_Q w_q);   a_D = softmax(H_D w_d)
        r_S = Linear([a_Q^T C_Q ; a_D^T C_D])

    `co_attention="simple"` is the form of the authors' released code: a_Q is the softmax of the row
    sums of A and a_D that of its column sums; W_q, W_d, w_q and w_d do not exist then. Both sides
    are masked: a padded row or column of A is zero and gets no weight.

    Args:
        co_attention: `parallel` or `simple`. Default: `parallel`.

    Call arguments:
        query: Float tensor `[B, n, d]`, word vectors of the query.
        documents: Float tensor `[B, m, d]`, word vectors of the clicked titles, one after the other.
        query_mask: Boolean tensor `[B, n]`, true at real tokens.
        documents_mask: Boolean tensor `[B, m]`. A side without real tokens gives the vector 0.

    Returns:
        Float tensor `[B, d]`.

    Raises:
        ValueError: `co_attention` is neither.

    Example:
        >>> words = ops.ones((2, 3, 4))
        >>> mask = ops.ones((2, 3), "bool")
        >>> CoAttention()(words, words, query_mask=mask, documents_mask=mask).shape
        TensorShape([2, 4])

    References:
        Lu et al., Hierarchical Question-Image Co-Attention for Visual Question Answering, NeurIPS 2016.
        Yao et al., USER: A Unified Information Search and Recommendation Model based on Integrated
        Behavior Sequence, CIKM 2021.
    """

    def __init__(self, co_attention="parallel", **kwargs):
        super().__init__(**kwargs)
        if co_attention not in FORMS:
            raise ValueError(
                f"`co_attention` must be one of {FORMS}. Got {co_attention!r}. "
                "Fix: set --model.co_attention to one of them."
            )
        self.co_attention = co_attention

    def build(self, query_shape, documents_shape):
        width = query_shape[-1]
        self.affinity_kernel = self.add_weight((width, width), name="affinity_kernel")
        if self.co_attention == "parallel":
            self.query_kernel = self.add_weight((width, width), name="query_kernel")
            self.documents_kernel = self.add_weight((width, width), name="documents_kernel")
            self.query_score = self.add_weight((width, 1), name="query_score")
            self.documents_score = self.add_weight((width, 1), name="documents_score")
        self.fuse = keras.layers.Dense(width, dtype=self.dtype_policy, name="fuse")
        self.fuse.build((None, 2 * width))

    def call(self, query, documents, query_mask, documents_mask):
        both = ops.cast(query_mask[:, :, None], self.compute_dtype) * ops.cast(
            documents_mask[:, None, :], self.compute_dtype
        )

        def by_word(words, kernel):
            return ops.reshape(project(words, kernel), ops.shape(words))

        def score(hidden, kernel):
            return ops.reshape(project(hidden, kernel), ops.shape(hidden)[:2])

        affinity = ops.matmul(
            by_word(query, self.affinity_kernel), ops.transpose(documents, (0, 2, 1))
        )
        affinity = ops.tanh(affinity) * both
        if self.co_attention == "parallel":
            query_map = by_word(query, self.query_kernel)
            documents_map = by_word(documents, self.documents_kernel)
            query_hidden = ops.tanh(query_map + ops.matmul(affinity, documents_map))
            documents_hidden = ops.tanh(
                documents_map + ops.matmul(ops.transpose(affinity, (0, 2, 1)), query_map)
            )
            query_logits = score(query_hidden, self.query_score)
            documents_logits = score(documents_hidden, self.documents_score)
        else:
            query_logits = ops.sum(affinity, axis=2)
            documents_logits = ops.sum(affinity, axis=1)
        return self.fuse(
            ops.concatenate(
                [
                    self._pool(query_logits, query, query_mask),
                    self._pool(documents_logits, documents, documents_mask),
                ],
                axis=-1,
            )
        )

    def _pool(self, logits, words, mask):
        weights = ops.cast(masked_softmax(logits, mask), self.compute_dtype)
        return ops.matmul(weights[:, None, :], words)[:, 0]

    def get_config(self):
        return {**super().get_config(), "co_attention": self.co_attention}
