"""The equations of USER+, written target by target and behavior by behavior."""

import numpy as np

from tests.user_tf.layers.numpy_layers import cosine, part, softmax
from tests.user_tf.layers.user import numpy_encoders
from tests.user_tf.models import numpy_user


def softplus(x):
    return np.log1p(np.exp(x))


def gelu(x):
    from math import erf

    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def aspects(tokens, weights, number):
    """Return r_a of a text, `[A, w]`; 0 for an empty one."""
    projection = part(weights, "aspect_encoder")["projection"]
    width = projection.shape[1] // number
    if not tokens:
        return np.zeros((number, width))
    words = weights["text_encoder/embedding/embeddings"][tokens]
    result = []
    for aspect in range(number):
        shares = softmax(words @ part(weights, "aspect_encoder")["attention"][:, aspect])
        columns = slice(aspect * width, (aspect + 1) * width)
        vector = sum(
            share * (word @ projection[:, columns])
            for share, word in zip(shares, words, strict=True)
        )
        result.append(vector / np.sqrt(max(vector @ vector, 1e-6)))
    return np.array(result)


class Target:
    """Hold what one target knows: its events by group, and how alike two texts are."""

    def __init__(self, batch, weights, config, target):
        self.batch, self.weights, self.config, self.target = batch, weights, config, target
        self.task = batch["task"][target]
        self.query = batch["query_text"][target]
        past = batch["session_behaviors"][batch["past_sessions"][target]].ravel()
        places = [(b, False) for b in past if b]
        places += [(b, True) for b in batch["current_behaviors"][target] if b]
        # (kind, current, age, text, document)
        self.events = []
        for number, (behavior, current) in enumerate(places):
            age = len(places) - 1 - number
            kind = "browse" if batch["behavior_type"][behavior] == 1 else "query"
            text, doc = batch["behavior_text"][behavior], batch["behavior_doc"][behavior]
            self.events.append((kind, current, age, text, doc))
            if kind == "query":
                clicks = zip(
                    batch["behavior_clicked"][behavior],
                    batch["behavior_clicked_docs"][behavior],
                    strict=True,
                )
                self.events += [("click", current, age, text, doc) for text, doc in clicks]
        self.events = [event for event in self.events if self.tokens(event[3])]

    def tokens(self, text):
        return [token for token in self.batch["text_tokens"][text] if token]

    def vector(self, text):
        encoder = part(self.weights, "text_encoder")
        return numpy_encoders.text(self.tokens(text), encoder, self.config.num_heads)[1]

    def kernel(self, one, other):
        """k_a of two texts, `[A]`."""
        a = aspects(self.tokens(one), self.weights, self.config.aspects)
        b = aspects(self.tokens(other), self.weights, self.config.aspects)
        sharpness = softplus(self.weights["kernel/sharpness"])
        return np.exp(sharpness * ((a * b).sum(axis=1) - 1))

    def weight(self, age, text):
        """w_he, `[H]`."""
        decay = softplus(self.weights["memory/decay"])
        unlike = 0.0
        if self.task == 2:
            unlike = cosine(self.vector(self.query), self.vector(text)) - 1
        return np.exp(softplus(self.weights["memory/query_weight"]) * unlike - decay * age)


def density(found, known, layer):
    """m, `[A, G]`, of sum_e w k `[A, G]` and sum_e w `[G]`."""
    c, p = softplus(layer["prior_weight"]), softplus(layer["prior"])
    return np.log((found + c[None] * p[:, None]) / (known + c)[None])


def group_sums(target, candidate, kinds):
    """sum_e w k_a `[A, G H]` and sum_e w `[G H]` over the groups of `kinds`, current ones first."""
    found, known = [], []
    for kind in kinds:
        for current in (True, False):
            k_sum = np.zeros((target.config.aspects, 4))
            w_sum = np.zeros(4)
            for is_kind, is_current, age, text, _ in target.events:
                if (is_kind, is_current) == (kind, current):
                    weight = target.weight(age, text)
                    w_sum += weight
                    k_sum += np.outer(target.kernel(candidate, text), weight)
            found.append(k_sum)
            known.append(w_sum)
    return np.concatenate(found, axis=1), np.concatenate(known)


def match(target, slot):
    """Signals of a candidate by part, and what is known of its user's behaviors."""
    batch, weights = target.batch, target.weights
    texts = batch["candidate_text"][target.target]
    ranks, mask = batch["candidate_rank"][target.target], batch["candidate_mask"][target.target]
    own, own_known = group_sums(target, texts[slot], ("browse", "query"))
    clicks, clicks_known = group_sums(target, texts[slot], ("click",))
    decay = softplus(weights["list_context/decay"])
    near, near_known = np.zeros((target.config.aspects, 1)), np.zeros(1)
    for other in np.flatnonzero(mask):
        if other != slot:
            weight = np.exp(-decay * (ranks[other] - 1))
            near_known += weight
            near[:, 0] += weight * target.kernel(texts[slot], texts[other])
    query = np.zeros(target.config.aspects)
    if target.task == 2:
        query = np.log(target.kernel(texts[slot], target.query))
    doc = batch["candidate_doc"][target.target, slot]
    same = {"browse": np.zeros(4), "click": np.zeros(4)}
    for kind, _, age, text, other in target.events:
        if kind in same and other == doc:
            same[kind] += target.weight(age, text)
    densities = [
        density(own, own_known, part(weights, "text_match")).ravel(),
        density(clicks, clicks_known, part(weights, "click_match")).ravel(),
    ]
    signals = {
        "match": np.concatenate(densities),
        "same": np.log1p(np.concatenate([same["browse"], same["click"]])),
        "near": density(near, near_known, part(weights, "list_context", "density")).ravel(),
        "query": query,
    }
    return signals, np.log1p(np.concatenate([own_known, clicks_known]))


def centred(rows):
    return rows - rows.mean(axis=0)


def places(rows):
    """1 / (1 + how many candidates are better), by each signal; a tenth is fully better."""
    result = np.ones_like(rows)
    for (slot, signal), value in np.ndenumerate(rows):
        better = sum(min(1.0, max(0.0, 10 * (other - value))) for other in rows[:, signal])
        result[slot, signal] = 1 / (1 + better)
    return result


def scores(batch, weights, config, reads=1.0):
    """Scores `[T, C]` of a Batch, without what is read in texts if `reads` is 0; 0 at padding."""
    result = np.zeros(batch["candidate_text"].shape)
    signals = numpy_user.signals(batch, weights, config)
    for number in np.flatnonzero(batch["task"]):
        target = Target(batch, weights, config, number)
        slots = np.flatnonzero(batch["candidate_mask"][number])
        own = np.array([signals[number][slot] for slot in slots])
        features = batch["features"].shape[-1]
        found = [match(target, slot) for slot in slots]
        known = found[0][1]
        clipped = np.clip(own[:, own.shape[1] - features :], -5, 5)
        x = [reads * centred(own[:, : own.shape[1] - features]), centred(clipped)]
        for name in ("match", "same", "near", "query"):
            if name in config.parts:
                x.append(reads * centred(np.array([row[name] for row, _ in found])))
        if "places" in config.parts:
            x.append(places(clipped))
        x = np.concatenate(x, axis=1)
        context = np.concatenate([[target.task == 1, target.task == 2], known])
        head = part(weights, "head")
        for slot, row, raw in zip(slots, x, own, strict=True):
            hidden = np.concatenate([row, context]) @ head["dense/kernel"] + head["dense/bias"]
            result[number, slot] = (
                reads * (raw @ weights["scorer/linear/kernel"][:, 0])
                + row @ head["linear"][target.task]
                + gelu(hidden) @ head["output"][target.task]
            )
    return result
