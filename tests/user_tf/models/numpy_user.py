"""Compute USER from its equations: every target alone, lists instead of padding, plain loops.

Slow on purpose, and free of the model's code: the oracle of USER's tests. A text is a list of token
ids, a session a list of vectors of behaviors. `weights` maps variable paths, without the model's own
name, to float64 arrays.
"""

import numpy as np

from tests.user_tf.layers.numpy_layers import cosine, knrm, part
from tests.user_tf.layers.user import numpy_encoders


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
            result[target, np.flatnonzero(places)] = numpy_encoders.history_weights(
                seen["past"], seen["intent"], part(weights, "history_encoder"), config, slots
            )
        if config.session_encoder and len(seen["vectors"]):
            result[target, slots + np.arange(len(seen["vectors"]))] = (
                numpy_encoders.session_weights(
                    seen["vectors"],
                    seen["types"],
                    part(weights, "session_encoder"),
                    config,
                    seen["initial"],
                    batch["task"][target],
                )
            )
    return result


def _seen(batch, weights, config, target):
    """Return what a target sees: vectors of its session and past, its intents, an encoder of texts."""

    def tokens(index):
        return [token for token in batch["text_tokens"][index] if token]

    def encode(index):
        return numpy_encoders.text(tokens(index), part(weights, "text_encoder"), config.num_heads)

    def behavior(index):
        clicked = [t for t in batch["behavior_clicked"][index] if tokens(t)]
        words, vector = encode(batch["behavior_text"][index])
        if batch["behavior_type"][index] == 1 or not clicked:
            return vector
        documents = np.concatenate([encode(t)[0] for t in clicked])
        fuse = part(weights, "behavior_encoder", "co_attention")
        return numpy_encoders.co_attention(words, documents, fuse, config.co_attention)

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
        intent = numpy_encoders.session(current, current_types, layer, config, initial, task)[-1]

    past = []
    if config.history_encoder:
        for index in batch["past_sessions"][target]:
            vectors, types = behaviors_of(batch["session_behaviors"][index])
            if vectors and config.session_encoder:
                vectors = numpy_encoders.session(
                    vectors, types, part(weights, "session_encoder"), config
                )
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
            long_intent = numpy_encoders.history(past, intent, layer, config, slots)
            long_vector = numpy_encoders.history(past, vector, layer, config, slots)
            signals.append(cosine(intent, long_vector))
            signals.append(cosine(long_intent, vector))
            signals.append(cosine(long_intent, long_vector))
        if config.knrm:
            signals.append(knrm(query, words, part(weights, "knrm")) if task == 2 else 0.0)
        result.append([*signals, *batch["features"][target, slot]])
    return result
