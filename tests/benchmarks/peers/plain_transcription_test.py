"""The plain transcription computes USER's equations: on equal weights both give equal scores."""

import dataclasses

import keras
import numpy as np
import pytest

from benchmarks.peers.plain_transcription import PlainTranscription, pad_layout
from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.models.ranker_testing import (
    empty_history,
    empty_texts,
    no_clicks,
    no_current_session,
    score,
)
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.user import User

CONFIG = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10)
# Layer of the transcription by the part of USER whose weights it takes.
DENSE = {
    "words": ("text_encoder/embedding/embeddings",),
    "users": ("user_embedding/embeddings",),
    "types": ("session_encoder/type_embedding/embeddings",),
    "pool_hidden": ("text_encoder/pool/hidden/kernel", "text_encoder/pool/hidden/bias"),
    "pool_score": ("text_encoder/pool/score/kernel",),
    "affinity": ("behavior_encoder/co_attention/affinity_kernel",),
    "query_map": ("behavior_encoder/co_attention/query_kernel",),
    "title_map": ("behavior_encoder/co_attention/documents_kernel",),
    "query_score": ("behavior_encoder/co_attention/query_score",),
    "title_score": ("behavior_encoder/co_attention/documents_score",),
    "fuse": (
        "behavior_encoder/co_attention/fuse/kernel",
        "behavior_encoder/co_attention/fuse/bias",
    ),
    "knrm_score": ("knrm/score/kernel", "knrm/score/bias"),
    "score": ("scorer/linear/kernel",),
}
BLOCKS = {
    "word_block": "text_encoder",
    "session_block": "session_encoder",
    "history_block": "history_encoder",
}


def assign(layer, arrays):
    """Sets the weights of a layer, whose attention splits inner widths by head."""
    weights = layer.weights
    assert len(weights) == len(arrays)
    for weight, array in zip(weights, arrays, strict=True):
        weight.assign(np.reshape(array, weight.shape))


def take_weights(plain, weights):
    """Sets all weights of the transcription to USER's."""
    for name, paths in DENSE.items():
        assign(getattr(plain, name), [weights[path] for path in paths])
    for name, encoder in BLOCKS.items():
        block, place = getattr(plain, name), f"{encoder}/transformer/block_0"
        parts = ("query", "key", "value", "output")
        arrays = []
        for part in parts:
            kernel = weights[f"{place}/attention/{part}_kernel"]
            # USER has no key bias: the softmax cancels it.
            zeros = np.zeros(kernel.shape[1])
            arrays += [kernel, weights.get(f"{place}/attention/{part}_bias", zeros)]
        assign(block.attention, arrays)
        for layer, part in (("hidden", "hidden"), ("outer", "output")):
            kernel, bias = (weights[f"{place}/{part}/{kind}"] for kind in ("kernel", "bias"))
            assign(getattr(block, layer), [kernel, bias])
        for layer, part in (("attention_norm",) * 2, ("outer_norm", "feed_forward_norm")):
            gamma, beta = (weights[f"{place}/{part}/{kind}"] for kind in ("gamma", "beta"))
            assign(getattr(block, layer), [gamma, beta])


@pytest.fixture(name="pair", scope="module")
def _pair():
    """USER and the transcription with the same weights, in float64."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        user = randomize(User(CONFIG, SIZES, name="user").build_from_sizes(), seed=5)
        plain = PlainTranscription(CONFIG, SIZES)
        plain(pad_layout(random_batch(1)))
        take_weights(plain, weights_of(user))
        yield user, plain
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    "change", [None, empty_history, empty_texts, no_clicks, no_current_session]
)
def test_scores_equal_those_of_user_on_equal_weights(pair, change):
    user, plain = pair
    batch = random_batch(3)
    if change:
        change(batch)
    layout = pad_layout(batch)
    mask = layout["candidate_mask"]
    expected = score(user, batch)[batch["task"] > 0]
    assert mask.sum() > 10
    np.testing.assert_allclose(np.asarray(plain(layout))[mask], expected[mask], atol=1e-5)


def test_every_history_is_padded_to_the_same_number_of_behaviors_and_tokens():
    for seed in (1, 2):
        layout = pad_layout(random_batch(seed))
        real = len(layout["task"])
        slots = (20 + 1) * SIZES.session_behaviors
        assert layout["behavior_text"].shape == (real, slots, 30)
        assert layout["candidate_text"].shape[2] == layout["titles"].shape[2] == 30


def test_a_history_too_long_for_the_layout_is_refused():
    sizes = dataclasses.replace(SIZES, past_sessions=21)
    with pytest.raises(ValueError, match=r"`batch` must have .* at most 20 .*Got 21\. Fix:"):
        pad_layout(random_batch(1, sizes))
