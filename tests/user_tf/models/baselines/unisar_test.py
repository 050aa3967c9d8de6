"""UniSAR against its equations, written target by target."""

import numpy as np
import pytest

from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.layers.numpy_layers import dense, layer_norm, part, sinusoid, softmax
from tests.user_tf.layers.user import numpy_encoders
from tests.user_tf.models.baselines.numpy_news import tokens_of
from tests.user_tf.models.ranker_testing import score, tensors
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.baselines import unisar

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10, dropout=0.0)
BROWSE, SEARCH = 1, 2


def make():
    model = unisar.Unisar(SMALL, SIZES, dtype="float64", name="unisar").build_from_sizes()
    return randomize(model, seed=5)


def attention(x, memory, weights):
    """Attention of the rows of x to those of memory, head by head."""
    heads = []
    for head in range(SMALL.num_heads):
        query, key, value = (
            rows @ weights[f"{name}/kernel"][:, head]
            for name, rows in (("query", x), ("key", memory), ("value", memory))
        )
        shares = [softmax(key @ row / np.sqrt(SMALL.key_dim)) for row in query]
        heads.append(np.array(shares) @ value @ weights["attention_output/kernel"][head])
    return sum(heads)


def block(x, columns, weights, memory=None):
    """Attend to `columns`, then to memory, then the feed-forward network; each with its norm."""
    for name, other in (("attention", columns), ("memory_attention", memory)):
        if other is not None:
            found = attention(x, other, part(weights, name))
            norm = part(weights, f"{name}_norm")
            x = np.array([layer_norm(row, norm) for row in x + found])
    hidden = np.maximum(dense(x, part(weights, "hidden")), 0)
    changed = dense(hidden, part(weights, "output"))
    return np.array([layer_norm(row, part(weights, "output_norm")) for row in x + changed])


def history(batch, target):
    """Behaviors before a target, oldest first."""
    past = [b for s in batch["past_sessions"][target] if s for b in batch["session_behaviors"][s]]
    return [b for b in (*past, *batch["current_behaviors"][target]) if b]


def interest(kind, x, kinds, candidate, weights):
    """Return what a candidate finds in the behaviors of one kind; 0 without any."""
    name = {BROWSE: "browse", SEARCH: "search"}[kind]
    own, other = x[kinds == kind], x[kinds != kind]
    if not len(own):
        return np.zeros(SMALL.width)
    same = block(own, own, part(weights, f"{name}_encoder"))
    crossed = np.zeros_like(own)
    if len(other):
        crossed = block(own, other, part(weights, "transition_encoder"))
    fused = block(same, same, part(weights, f"{name}_decoder"), memory=crossed)
    return softmax(fused @ weights[f"{name}_pool/kernel"] @ candidate) @ fused


def predict(x, task, weights):
    """Progressive layered extraction of one task, then the network of the score."""
    experts = part(weights, "experts")
    name = {1: "recommendation", 2: "search"}[task]
    found = [
        np.maximum(dense(x, part(experts, f"{of}_experts")), 0).reshape(4, -1)
        for of in ("shared", name)
    ]
    x = softmax(x @ experts[f"{name}_gate/kernel"]) @ np.concatenate(found)
    for layer in ("tower_0", "tower_1"):
        x = np.maximum(dense(x, part(experts, f"{name}_{layer}")), 0)
    for width in unisar.PREDICTION:
        x = np.maximum(dense(x, part(weights, f"hidden_{width}")), 0)
    return (x @ weights["score/kernel"])[0]


def oracle(batch, weights):
    def text(number):
        encoder = part(weights, "text_encoder")
        return numpy_encoders.text(tokens_of(batch, number), encoder, SMALL.num_heads)[1]

    def behavior(number):
        vector = text(batch["behavior_text"][number])
        titles = [t for t in batch["behavior_clicked"][number] if tokens_of(batch, t)]
        if batch["behavior_type"][number] == SEARCH and titles:
            vector = vector + np.mean([text(title) for title in titles], axis=0)
        return vector

    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        task, behaviors = batch["task"][target], history(batch, target)
        kinds = batch["behavior_type"][behaviors] if behaviors else np.zeros(0, int)
        x = np.array(
            [behavior(b) + sinusoid(1 + i, SMALL.width) for i, b in enumerate(behaviors)]
        ).reshape(-1, SMALL.width)
        query = text(batch["query_text"][target]) if task == 2 else weights["no_query"]
        user = weights["user_embedding/embeddings"][batch["user"][target]]
        for slot in np.flatnonzero(batch["candidate_mask"][target]):
            candidate = text(batch["candidate_text"][target, slot])
            interests = [interest(k, x, kinds, candidate, weights) for k in (BROWSE, SEARCH)]
            about = np.concatenate([*interests, candidate, user, query])
            result[target, slot] = predict(about, task, weights)
    return result


@pytest.mark.parametrize("seed", [1, 2])
def test_scores_equal_the_equations_written_target_by_target(seed):
    model, batch = make(), random_batch(seed)
    real = batch["candidate_mask"]
    expected = oracle(batch, weights_of(model))[real]
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(score(model, batch)[real], expected, rtol=1e-9, atol=1e-9)


def test_alignment_is_trained_and_does_not_score():
    model, batch = make(), tensors(random_batch(1))
    scores = np.asarray(model(batch))
    assert not model.losses
    np.testing.assert_array_equal(np.asarray(model(batch, training=True)), scores)
    assert float(model.losses[0]) > 0


def test_a_behavior_that_points_at_its_own_pair_is_aligned_best():
    left = np.eye(4)
    own = np.asarray(unisar.contrast(left, left, 0.1))
    swapped = np.asarray(unisar.contrast(left, left[::-1].copy(), 0.1))
    assert (own < 1e-3).all()
    assert (swapped > 9).all()
