"""A query and the documents clicked under it, read in the light of each other."""

import keras
from keras import ops

from user_tf.layers.masking import masked_softmax

FORMS = ("parallel", "simple")


class CoAttention(keras.layers.Layer):
    """Parallel co-attention (Lu et al., 2016) of a search's query and clicked titles.

        A   = tanh(C_Q W_c C_D^T)                                                     [n, m]
        H_Q = tanh(C_Q W_q + A (C_D W_d));   H_D = tanh(C_D W_d + A^T (C_Q W_q))
        a_Q = softmax(H_Q w_q);   a_D = softmax(H_D w_d)
        r_S = Linear([a_Q^T C_Q ; a_D^T C_D])

    `form="simple"` is that of the authors' released code: a_Q is the softmax of the row sums of A
    and a_D that of its column sums; W_q, W_d, w_q and w_d do not exist then. Both sides are masked:
    a padded row or column of A is zero and gets no weight.

    Args:
        form: `parallel` or `simple`.

    Call arguments:
        query: Float tensor `[B, n, d]`, word vectors of the query.
        documents: Float tensor `[B, m, d]`, word vectors of the clicked titles, one after the other.
        query_mask: Boolean tensor `[B, n]`, true at real tokens.
        documents_mask: Boolean tensor `[B, m]`. A side without real tokens is summed up as 0.

    Returns:
        Float tensor `[B, d]`.

    Raises:
        ValueError: `form` is none of the above.

    Example:
        >>> words = ops.ones((2, 3, 4))
        >>> mask = ops.ones((2, 3), "bool")
        >>> CoAttention()(words, words, query_mask=mask, documents_mask=mask).shape
        TensorShape([2, 4])
    """

    def __init__(self, form="parallel", **kwargs):
        super().__init__(**kwargs)
        if form not in FORMS:
            raise ValueError(
                f"`form` should be one of {FORMS}. Received: `form` = {form!r}. "
                "Set --model.co_attention to one of them."
            )
        self.form = form

    def build(self, query_shape, documents_shape):
        width = query_shape[-1]
        self.affinity_kernel = self.add_weight((width, width), name="affinity_kernel")
        if self.form == "parallel":
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
        affinity = ops.matmul(
            ops.matmul(query, self.affinity_kernel), ops.transpose(documents, (0, 2, 1))
        )
        affinity = ops.tanh(affinity) * both
        if self.form == "parallel":
            query_map = ops.matmul(query, self.query_kernel)
            documents_map = ops.matmul(documents, self.documents_kernel)
            query_hidden = ops.tanh(query_map + ops.matmul(affinity, documents_map))
            documents_hidden = ops.tanh(
                documents_map + ops.matmul(ops.transpose(affinity, (0, 2, 1)), query_map)
            )
            query_logits = ops.matmul(query_hidden, self.query_score)[..., 0]
            documents_logits = ops.matmul(documents_hidden, self.documents_score)[..., 0]
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
        return {**super().get_config(), "form": self.form}
