"""Initial weights under which an untrained USER already compares what was read with candidates."""

import numpy as np
from keras import ops

COSINE_WEIGHT = 4.0
NEAR_ZERO = 0.01


def start_as_average(user):
    """Sets the initial weights of a built `User` so that its encoders begin as averages.

    * attention: W_v has orthonormal rows or columns and W_o = W_v^T, so that W_v W_o is the
      identity (a projection where heads x head_width < d) and attention averages what it sees;
    * feed-forward: the second matrix starts near 0, so the sublayer passes its input on;
    * co-attention: r_S starts as the mean of q^ and d^;
    * score: every cosine starts with the weight 4, KNRM and F near 0. Cosines lie in [-1, 1] and
      Adam moves a weight by about its learning rate a step, so from small weights the softmax
      would stay flat for thousands of steps.

    Intents and candidates then live in one space from the first step, and logs of some thousand
    groups are enough to learn from. The paper does not say how weights start.

    Args:
        user: A built `user_tf.models.user.User`.
    """
    encoders = ("text_encoder", "session_encoder", "history_encoder")
    for encoder in (getattr(user, name, None) for name in encoders):
        for block in encoder.transformer.blocks if encoder else ():
            _transpose(block.attention)
            _scale(block.output_dense.kernel, NEAR_ZERO)
    if hasattr(user, "behavior_encoder"):
        fuse = user.behavior_encoder.co_attention.fuse.kernel
        half = np.eye(fuse.shape[1]) / 2
        fuse.assign(np.concatenate([half, half]))
    kernel = user.scorer.linear.kernel
    matches = 4 if user.config.history_encoder else 1
    start = NEAR_ZERO * ops.convert_to_numpy(kernel)
    start[:matches] = COSINE_WEIGHT
    kernel.assign(start)


def _transpose(attention):
    value = ops.convert_to_numpy(attention.value_kernel)
    left, _, right = np.linalg.svd(value, full_matrices=False)
    attention.value_kernel.assign(left @ right)
    attention.output_kernel.assign((left @ right).T)


def _scale(weight, factor):
    weight.assign(weight * factor)
