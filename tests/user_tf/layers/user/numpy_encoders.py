"""Compute the encoders of USER from their equations: one text, session or history at a time."""

import numpy as np

from tests.user_tf.layers.numpy_layers import (
    additive_attention,
    context_weights,
    part,
    sinusoid,
    softmax,
    transformer,
)


def text(tokens, weights, num_heads):
    """Word vectors C `[n, d]` and text vector r `[d]`; an empty text has r = 0."""
    embeddings = weights["embedding/embeddings"]
    if not tokens:
        return np.zeros((0, embeddings.shape[1])), np.zeros(embeddings.shape[1])
    x = embeddings[tokens]
    words = transformer(x, part(weights, "transformer"), num_heads)
    return words, additive_attention(words, part(weights, "pool"))


def co_attention(query, documents, weights, form="parallel"):
    """Query `[n, d]` and the words of all clicked titles `[m, d]` to one vector."""
    affinity = np.tanh(query @ weights["affinity_kernel"] @ documents.T)
    if form == "simple":
        query_logits, document_logits = affinity.sum(axis=1), affinity.sum(axis=0)
    else:
        query_map = query @ weights["query_kernel"]
        document_map = documents @ weights["documents_kernel"]
        query_hidden = np.tanh(query_map + affinity @ document_map)
        document_hidden = np.tanh(document_map + affinity.T @ query_map)
        query_logits = (query_hidden @ weights["query_score"])[:, 0]
        document_logits = (document_hidden @ weights["documents_score"])[:, 0]
    width = query.shape[1]
    pooled_query = softmax(query_logits) @ query if len(query) else np.zeros(width)
    pooled_documents = softmax(document_logits) @ documents if len(documents) else np.zeros(width)
    fused = np.concatenate([pooled_query, pooled_documents])
    return fused @ weights["fuse/kernel"] + weights["fuse/bias"]


def session(behaviors, types, weights, config, target=None, target_type=None):
    """All outputs of a session `[n (+ 1), d]`; with a target it is the last row."""
    x, passes = placed_session(behaviors, types, weights, config, target, target_type)
    for _ in range(passes):
        x = transformer(x, part(weights, "transformer"), config.num_heads)
    return x


def placed_session(behaviors, types, weights, config, target=None, target_type=None):
    """Rows of a session with positions and types, and how often they are transformed."""
    rows = list(behaviors) if target is None else [*behaviors, target]
    types = list(types) if target is None else [*types, target_type]
    x = np.array(rows)
    width = x.shape[1]
    if config.session_positions:
        x = x + [sinusoid(1 + i, width) for i in range(len(x))]
    if config.session_types:
        x = x + [weights["type_embedding/embeddings"][kind - 1] for kind in types]
    return x, 1 if target is None else config.session_passes


def session_weights(behaviors, types, weights, config, target, target_type):
    """Attention of the target to the behaviors of its session, in the last pass."""
    x, passes = placed_session(behaviors, types, weights, config, target, target_type)
    for _ in range(passes - 1):
        x = transformer(x, part(weights, "transformer"), config.num_heads)
    return context_weights(x, part(weights, "transformer"), config.num_heads)


def history(behaviors, row, weights, config, slots):
    """Last output of the history transformer over the behaviors `[n, d]` and one row `[d]`."""
    x = placed_history(behaviors, row, config, slots)
    return transformer(x, part(weights, "transformer"), config.num_heads)[-1]


def history_weights(behaviors, row, weights, config, slots):
    """Attention of one row `[d]` to the behaviors `[n, d]`."""
    x = placed_history(behaviors, row, config, slots)
    return context_weights(x, part(weights, "transformer"), config.num_heads)


def placed_history(behaviors, row, config, slots):
    """Behaviors and the row behind them, with positions."""
    number = len(behaviors)
    ids = {
        "forward": [*range(1, number + 1), number + 1],
        "fixed": [*range(1, number + 1), slots + 1],
        "recency": [*range(number + 1, 1, -1), 1],
    }.get(config.history_positions)
    x = np.array([*behaviors, row])
    if ids:
        x = x + [sinusoid(position, x.shape[1]) for position in ids]
    return x
