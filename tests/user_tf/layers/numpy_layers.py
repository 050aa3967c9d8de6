"""Compute the shared layers from their equations: lists instead of padding, plain loops.

Slow on purpose, and free of the layers' code. `weights` maps variable paths, without the name of the
layer itself, to float64 arrays; `part` takes those of a layer inside.
"""

import numpy as np


def part(weights, *names):
    """Weights of the layer at a path, with the path taken off their names."""
    prefix = "/".join(names) + "/"
    return {
        name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)
    }


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def layer_norm(x, weights):
    variance = ((x - x.mean()) ** 2).mean()
    return weights["gamma"] * (x - x.mean()) / np.sqrt(variance + 1e-6) + weights["beta"]


def sinusoid(position, width):
    # The layer takes its table from Keras Hub, which rounds 1 / 10000 to float32.
    angles = [position * float(np.float32(1e-4)) ** (2 * (i // 2) / width) for i in range(width)]
    return np.array([np.cos(a) if i % 2 else np.sin(a) for i, a in enumerate(angles)])


def dense(x, weights):
    return x @ weights["kernel"] + weights["bias"]


def attention(x, weights, num_heads):
    """Self-attention of the rows of x `[n, d]`, head by head and row by row."""
    inner = weights["query_kernel"].shape[1]
    width = inner // num_heads
    outputs = np.zeros((len(x), inner))
    for head in range(num_heads):
        columns = slice(head * width, (head + 1) * width)
        query = x @ weights["query_kernel"][:, columns] + weights["query_bias"][columns]
        key = x @ weights["key_kernel"][:, columns]
        value = x @ weights["value_kernel"][:, columns] + weights["value_bias"][columns]
        for row in range(len(x)):
            outputs[row, columns] = softmax(key @ query[row] / np.sqrt(width)) @ value
    return outputs @ weights["output_kernel"] + weights["output_bias"]


def block(x, weights, num_heads):
    attended = attention(x, part(weights, "attention"), num_heads)
    y = np.array([layer_norm(row, part(weights, "attention_norm")) for row in x + attended])
    hidden = np.maximum(y @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
    changed = hidden @ weights["output/kernel"] + weights["output/bias"]
    return np.array([layer_norm(row, part(weights, "feed_forward_norm")) for row in y + changed])


def transformer(x, weights, num_heads):
    layer = 0
    while part(weights, f"block_{layer}"):
        x = block(x, part(weights, f"block_{layer}"), num_heads)
        layer += 1
    return x


def context_weights(x, weights, num_heads):
    """Return the attention of the last row of x to the rows before it, in the last layer."""
    layer = 0
    while part(weights, f"block_{layer + 1}"):
        x = block(x, part(weights, f"block_{layer}"), num_heads)
        layer += 1
    weights = part(weights, f"block_{layer}", "attention")
    query = x[-1] @ weights["query_kernel"] + weights["query_bias"]
    queries, keys = (
        np.split(query, num_heads),
        np.split(x @ weights["key_kernel"], num_heads, axis=1),
    )
    shares = [softmax(k @ q / np.sqrt(len(q))) for q, k in zip(queries, keys, strict=True)]
    before = np.mean(shares, axis=0)[:-1]
    return before / before.sum()


def additive_weights(x, weights):
    hidden = np.tanh(x @ weights["hidden/kernel"] + weights["hidden/bias"])
    return softmax((hidden @ weights["score/kernel"])[:, 0])


def additive_attention(x, weights):
    return additive_weights(x, weights) @ x


def self_attention(x, weights, num_heads):
    """Head by head and row by row, `[n, d]` -> `[n, num_heads * w]`."""
    outputs = []
    for query, key, value in zip(
        *(
            np.split(x @ weights[f"{name}_kernel"], num_heads, axis=1)
            for name in ("query", "key", "value")
        ),
        strict=True,
    ):
        outputs.append([softmax(key @ row / np.sqrt(len(row))) @ value for row in query])
    return np.concatenate(outputs, axis=1)


def attentive_encoder(x, weights, num_heads):
    """Rows `[n, d]` to one vector; without rows 0."""
    if not len(x):
        return np.zeros(weights["attention/value_kernel"].shape[1])
    attended = self_attention(np.array(x), part(weights, "attention"), num_heads)
    return additive_attention(attended, part(weights, "pool"))


def convolution(tokens, weights):
    """Contextual word vectors `[n, filters]` of a text, from each word and its two neighbors."""
    table, kernel = weights["embedding/embeddings"], weights["convolution/kernel"]
    zero = np.zeros(table.shape[1])
    rows = [zero, *(table[token] for token in tokens), zero]
    vectors = [
        sum(rows[i + k] @ kernel[k] for k in range(3)) + weights["convolution/bias"]
        for i in range(len(tokens))
    ]
    return np.maximum(vectors, 0)


def cosine(x, y):
    def unit(v):
        return v / max(np.sqrt(v @ v), 1e-3)

    return unit(x) @ unit(y)


def knrm(query, document, weights):
    means = [1.0, 0.9, 0.7, 0.5, 0.3, 0.1, -0.1, -0.3, -0.5, -0.7, -0.9]
    features = []
    for mean in means:
        deviation = 0.001 if mean == 1.0 else 0.1
        total = 0.0
        for q in query:
            count = sum(
                np.exp(-((cosine(q, d) - mean) ** 2) / (2 * deviation**2)) for d in document
            )
            total += 0.01 * np.log(max(count, 1e-10))
        features.append(total)
    return np.tanh(np.array(features) @ weights["score/kernel"] + weights["score/bias"])[0]
