"""USER straight from its equations: every target alone, lists instead of padding, plain loops.

Slow on purpose, and free of the layers' code: the oracle of `user_test.py` and of the layer tests.
A text is a list of token ids, a behavior a tuple (type, text, clicked texts), a session a list of
behaviors. `weights` maps variable paths (without the model's own name) to float64 arrays; `part`
takes those of a layer.
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


def attention(x, weights, heads):
    """Self-attention of the rows of x `[n, d]`, head by head and row by row."""
    inner = weights["query_kernel"].shape[1]
    width = inner // heads
    outputs = np.zeros((len(x), inner))
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        query = x @ weights["query_kernel"][:, columns] + weights["query_bias"][columns]
        key = x @ weights["key_kernel"][:, columns]
        value = x @ weights["value_kernel"][:, columns] + weights["value_bias"][columns]
        for row in range(len(x)):
            outputs[row, columns] = softmax(key @ query[row] / np.sqrt(width)) @ value
    return outputs @ weights["output_kernel"] + weights["output_bias"]


def block(x, weights, heads):
    attended = attention(x, part(weights, "attention"), heads)
    y = np.array([layer_norm(row, part(weights, "attention_norm")) for row in x + attended])
    hidden = np.maximum(y @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
    changed = hidden @ weights["output/kernel"] + weights["output/bias"]
    return np.array([layer_norm(row, part(weights, "feed_forward_norm")) for row in y + changed])


def transformer(x, weights, heads):
    layer = 0
    while part(weights, f"block_{layer}"):
        x = block(x, part(weights, f"block_{layer}"), heads)
        layer += 1
    return x


def context_weights(x, weights, heads):
    """How the last row of x shares out its attention over the rows before it, in the last layer."""
    layer = 0
    while part(weights, f"block_{layer + 1}"):
        x = block(x, part(weights, f"block_{layer}"), heads)
        layer += 1
    weights = part(weights, f"block_{layer}", "attention")
    query = x[-1] @ weights["query_kernel"] + weights["query_bias"]
    queries, keys = np.split(query, heads), np.split(x @ weights["key_kernel"], heads, axis=1)
    shares = [softmax(k @ q / np.sqrt(len(q))) for q, k in zip(queries, keys, strict=True)]
    before = np.mean(shares, axis=0)[:-1]
    return before / before.sum()


def additive_weights(x, weights):
    hidden = np.tanh(x @ weights["hidden/kernel"] + weights["hidden/bias"])
    return softmax((hidden @ weights["score/kernel"])[:, 0])


def additive_attention(x, weights):
    return additive_weights(x, weights) @ x


def text(tokens, weights, heads, positions=False):
    """Word vectors C `[n, d]` and text vector r `[d]`; an empty text has r = 0."""
    embeddings = weights["embedding/embeddings"]
    if not tokens:
        return np.zeros((0, embeddings.shape[1])), np.zeros(embeddings.shape[1])
    x = embeddings[tokens]
    if positions:
        x = x + [sinusoid(1 + i, x.shape[1]) for i in range(len(x))]
    words = transformer(x, part(weights, "transformer"), heads)
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


def scores(batch, weights, config):
    """Scores `[T, C]` of a Batch; 0 for targets that are padding."""
    result = np.zeros(batch["candidate_text"].shape)
    for target in np.flatnonzero(batch["task"]):
        result[target] = _target(batch, weights, config, target)
    return result


def behavior_weights(batch, weights, config):
    """Weights of `User.attention`, place by place."""
    slots = batch["past_sessions"].shape[1] * batch["session_behaviors"].shape[1]
    result = np.zeros((len(batch["task"]), slots + batch["current_behaviors"].shape[1]))
    for target in np.flatnonzero(batch["task"]):
        seen = _seen(batch, weights, config, target)
        places = batch["session_behaviors"][batch["past_sessions"][target]].ravel()
        if config.history_encoder and len(seen["past"]):
            result[target, np.flatnonzero(places)] = history_weights(
                seen["past"], seen["intent"], part(weights, "history_encoder"), config, slots
            )
        if config.session_encoder and len(seen["vectors"]):
            result[target, slots + np.arange(len(seen["vectors"]))] = session_weights(
                seen["vectors"],
                seen["types"],
                part(weights, "session_encoder"),
                config,
                seen["initial"],
                batch["task"][target],
            )
    return result


def _seen(batch, weights, config, target):
    """What a target sees: vectors of its session and past, its intents, an encoder of texts."""

    def tokens(index):
        return [token for token in batch["text_tokens"][index] if token]

    def encode(index):
        return text(
            tokens(index), part(weights, "text_encoder"), config.num_heads, config.word_positions
        )

    def behavior(index):
        clicked = [t for t in batch["behavior_clicked"][index] if tokens(t)]
        words, vector = encode(batch["behavior_text"][index])
        if batch["behavior_type"][index] == 1 or not clicked:
            return vector
        documents = np.concatenate([encode(t)[0] for t in clicked])
        fuse = part(weights, "behavior_encoder", "co_attention")
        return co_attention(words, documents, fuse, config.co_attention)

    def behaviors_of(indices):
        indices = [i for i in indices if i]
        return [behavior(i) for i in indices], [batch["behavior_type"][i] for i in indices]

    task = batch["task"][target]
    initial = encode(batch["query_text"][target])[1]
    if task == 1:
        initial = weights["user_embedding/embeddings"][batch["user"][target]]
    intent, current, current_types = initial, [], []
    if config.session_encoder:
        current, current_types = behaviors_of(batch["current_behaviors"][target])
        layer = part(weights, "session_encoder")
        intent = session(current, current_types, layer, config, initial, task)[-1]

    past = []
    if config.history_encoder:
        for index in batch["past_sessions"][target]:
            vectors, types = behaviors_of(batch["session_behaviors"][index])
            if vectors and config.session_encoder:
                vectors = session(vectors, types, part(weights, "session_encoder"), config)
            past.extend(vectors)
    return {
        "encode": encode,
        "initial": initial,
        "intent": intent,
        "vectors": current,
        "types": current_types,
        "past": past,
    }


def signals(batch, weights, config):
    """By target, f of every candidate slot."""
    return {
        target: _signals(batch, weights, config, target) for target in np.flatnonzero(batch["task"])
    }


def _target(batch, weights, config, target):
    f = np.array(_signals(batch, weights, config, target))
    score = f @ weights["scorer/linear/kernel"][:, 0]
    return np.tanh(score) if config.score_tanh else score


def _signals(batch, weights, config, target):
    seen = _seen(batch, weights, config, target)
    task, intent, past = batch["task"][target], seen["intent"], seen["past"]
    query, _ = seen["encode"](batch["query_text"][target])
    slots = batch["past_sessions"].shape[1] * batch["session_behaviors"].shape[1]

    result = []
    for slot, candidate in enumerate(batch["candidate_text"][target]):
        words, vector = seen["encode"](candidate)
        signals = [cosine(intent, vector)]
        if config.history_encoder:
            layer = part(weights, "history_encoder")
            long_intent = history(past, intent, layer, config, slots)
            long_vector = history(past, vector, layer, config, slots)
            signals.append(cosine(intent, long_vector))
            signals.append(cosine(long_intent, vector))
            signals.append(cosine(long_intent, long_vector))
        if config.knrm:
            signals.append(knrm(query, words, part(weights, "knrm")) if task == 2 else 0.0)
        result.append([*signals, *batch["features"][target, slot]])
    return result
