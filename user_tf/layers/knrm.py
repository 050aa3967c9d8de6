"""Match the words of a query softly with those of its candidates."""

import keras
from keras import ops

from user_tf.layers.masking import normalize, precise_dtype
from user_tf.layers.rows import flatten_rows, take_rows

# One kernel for exact matches, ten over the range of the cosine.
MEANS = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9)
DEVIATIONS = (0.001,) + (0.1,) * 10
SMALLEST_COUNT = 1e-10
# As a cosine it is so far from every mean that no kernel sees it.
_PADDED = 100.0


@keras.saving.register_keras_serializable(package="user_tf")
class Knrm(keras.layers.Layer):
    """Match contextual words by kernel pooling.

        M_ij = cos(q_i, d_j);   K_k(q_i) = sum_j exp(-(M_ij - mu_k)^2 / (2 s_k^2))
        phi_k = sum_i 0.01 log(max(K_k(q_i), 1e-10));   score = tanh(w . phi + b)

    with 11 kernels: mu = 1 (s = 0.001) and 0.9, 0.7, ..., -0.9 (s = 0.1). Everything is computed in at
    least float32.

    Call arguments:
        words: Float tensor `[X, L, d]`, word vectors of the distinct texts.
        words_mask: Boolean tensor `[X, L]`, true at real tokens; the others count on neither side.
        queries: int tensor `[T]` -> X.
        candidates: int tensor `[T, C]` -> X.
        query_length: Tokens of the longest query; words beyond it are not read. Default: L.

    Returns:
        `[T, C]` in (-1, 1), in at least float32. An empty query gives tanh(b) for all candidates.

    Example:
        >>> words = ops.concatenate([ops.zeros((1, 2, 4)), ops.ones((2, 2, 4))])
        >>> mask = ops.array([[False, False], [True, True], [True, False]])
        >>> knrm = Knrm()
        >>> knrm(words, words_mask=mask, queries=ops.array([1]), candidates=ops.array([[2, 0]])).shape
        TensorShape([1, 2])

    Reference:
        Xiong et al., End-to-End Neural Ad-hoc Ranking with Kernel Pooling, SIGIR 2017.
    """

    def build(self, words_shape):
        self.score = keras.layers.Dense(
            1, activation="tanh", dtype=precise_dtype(self.compute_dtype), name="score"
        )
        self.score.build((None, None, len(MEANS)))

    def call(self, words, words_mask, queries, candidates, query_length=None):
        number, length, width = ops.shape(candidates)[1], ops.shape(words)[1], words.shape[-1]
        longest = length if query_length is None else query_length
        # Normalised once for each distinct text; the norm itself is exact, unlike a half's.
        words = normalize(words)
        query = take_rows(words, queries)[:, :longest]
        # The candidates of a target side by side: [T, d, C * L], one product for each target.
        documents = ops.reshape(take_rows(words, candidates), (-1, number * length, width))
        similarity = ops.matmul(query, ops.transpose(documents, (0, 2, 1)))
        similarity = ops.reshape(similarity, (-1, longest, number, length))
        documents_mask = take_rows(words_mask, candidates)[:, None]
        similarity = ops.where(documents_mask, similarity, ops.cast(_PADDED, words.dtype))
        # One kernel at a time: [T, L, C, L] is the largest tensor, not 11 times that.
        counts = []
        for mean, deviation in zip(MEANS, DEVIATIONS, strict=True):
            kernel = ops.exp(ops.square(similarity - mean) * (-0.5 / deviation**2))
            counts.append(ops.sum(kernel, axis=-1))
        logs = 0.01 * ops.log(ops.maximum(ops.stack(counts, axis=-1), SMALLEST_COUNT))
        query_mask = ops.cast(take_rows(words_mask, queries)[:, :longest], words.dtype)
        features = ops.sum(logs * query_mask[:, :, None, None], axis=1)
        return ops.reshape(self.score(flatten_rows(features)), (-1, number))
