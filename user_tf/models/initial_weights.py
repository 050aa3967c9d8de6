"""Set initial weights with which an untrained ranker already compares history and candidates.

Intents and candidates are then in one space from the first step, and logs of some thousand groups
are enough to learn from. The papers do not give initial weights.
"""

import numpy as np
from keras import ops

COSINE_WEIGHT = 4.0
NEAR_ZERO = 0.01


def average_attention(attention):
    """Let attention begin as the average of the rows it sees.

    W_v gets orthonormal rows or columns and W_o = W_v^T, so that W_v W_o is the identity (a
    projection where num_heads x key_dim < d).

    Args:
        attention: A built `user_tf.layers.multi_head_attention.MultiHeadAttention`.
    """
    value = ops.convert_to_numpy(attention.value_kernel)
    left, _, right = np.linalg.svd(value, full_matrices=False)
    attention.value_kernel.assign(left @ right)
    attention.output_kernel.assign((left @ right).T)


def average_transformer(transformer):
    """Let every layer begin as `average_attention`, with a feed-forward part near zero.

    Args:
        transformer: A built `user_tf.layers.transformer.Transformer`.
    """
    for block in transformer.blocks:
        average_attention(block.attention)
        block.output_dense.kernel.assign(block.output_dense.kernel * NEAR_ZERO)


def weigh_cosines(score, cosines, weight=COSINE_WEIGHT):
    """Let a linear score begin as `weight` times the sum of its cosines, with other signals near 0.

    Cosines lie in [-1, 1] and Adam moves a weight by about its learning rate a step, so from small
    weights the softmax would stay flat for thousands of steps.

    Args:
        score: A built `keras.layers.Dense` of all signals.
        cosines: Slice of the signals that are cosines.
        weight: Weight of each cosine. Default: 4.
    """
    start = NEAR_ZERO * ops.convert_to_numpy(score.kernel)
    start[cosines] = weight
    score.kernel.assign(start)


def average_user(ranker):
    """Let USER's encoders begin as averages, r_S as the mean of q^ and d^, the score as cosines.

    Args:
        ranker: A built `user_tf.models.user.User`.
    """
    for name in ("text_encoder", "session_encoder", "history_encoder"):
        if encoder := getattr(ranker, name, None):
            average_transformer(encoder.transformer)
    if hasattr(ranker, "behavior_encoder"):
        fuse = ranker.behavior_encoder.co_attention_layer.fuse.kernel
        half = np.eye(fuse.shape[1]) / 2
        fuse.assign(np.concatenate([half, half]))
    cosines = 4 if ranker.config.history_encoder else 1
    # The usual weight would put a bounded score at its bound, where nothing is learned.
    weight = 1 / cosines if ranker.config.score_tanh else COSINE_WEIGHT
    weigh_cosines(ranker.scorer.linear, slice(cosines), weight)
