"""Call rankers in tests, compute their gradients, and write a Batch in other equivalent ways."""

import numpy as np
import tensorflow as tf

from data_pipeline.batching import row_subsets, spec
from data_pipeline.dataset.click_graph import ClickGraph
from tests.user_tf.random_batch import SIZES
from user_tf.models.baselines.gerl import NEIGHBORS


def tensors(batch):
    return {name: tf.constant(value) for name, value in batch.items()}


def score(model, batch, **kwargs):
    return np.asarray(model(tensors(batch), **kwargs))


def evaluate(model, batch, training=False):
    """Return scores, the real groups' summed listwise softmax loss, its dense gradients by path."""
    scores, loss, gradients = differentiate(model, tensors(batch), training)
    paths = [variable.path for variable in model.trainable_variables]
    gradients = [np.asarray(gradient) for gradient in gradients]
    return np.asarray(scores), np.asarray(loss), dict(zip(paths, gradients, strict=True))


def differentiate(model, batch, training=False):
    """Differentiate the loss; in training the model's own losses are part of it."""
    with tf.GradientTape() as tape:
        scores = model(batch, training=training)
        logits = tf.where(batch["candidate_mask"], scores, -1e9)
        labels = tf.cast(batch["labels"], scores.dtype)
        losses = -tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=1)
        loss = tf.reduce_sum(losses * tf.cast(batch["target_weight"], scores.dtype))
        loss = loss + sum(model.losses)
    variables = [variable.value for variable in model.trainable_variables]
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    return scores, loss, [tf.convert_to_tensor(gradient) for gradient in gradients]


def only(batch, target):
    """Return the Batch of one target alone, with tables of just what it points at, in another order."""
    alone = {name: np.asarray(value) for name, value in batch.items()}
    for name in PER_TARGET:
        alone[name] = alone[name][[target]]

    def keep(pointers, tables, pointed):
        """Drop the rows of `tables` that no pointer reaches and renumber the pointers."""
        used = np.unique(np.concatenate([alone[name].ravel() for name in pointers]))
        used = np.concatenate([[0], used[used > 0][::-1]])
        number = np.zeros(pointed, np.int32)
        number[used] = np.arange(len(used))
        for name in tables:
            alone[name] = alone[name][used]
        for name in pointers:
            alone[name] = number[alone[name]]

    keep(["past_sessions"], ["session_behaviors"], len(batch["session_behaviors"]))
    keep(["session_behaviors", "current_behaviors"], BEHAVIORS, len(batch["behavior_type"]))
    keep(TEXTS, ["text_tokens"], len(batch["text_tokens"]))
    return alone


BEHAVIORS = spec.names("behaviors")
TEXTS = spec.TEXT_POINTERS
PER_TARGET = spec.names("targets")


def longer(batch, by=3):
    """Return the same Batch with more padding at the end of every table, and longer texts."""
    grown = {}
    for name, value in batch.items():
        pads = [(0, by if letter in "XNSTLC" else 0) for letter in spec.BY_NAME[name].letters]
        grown[name] = np.pad(value, pads, constant_values=spec.padding(name))
    return grown


def with_row_subsets(batch, more=0):
    """Return the same Batch with row subsets, each with `more` rows of padding."""
    batch = tensors(batch)
    chosen = {
        name: tf.pad(tf.cast(value, tf.int32), [[0, more]])
        for name, value in row_subsets.choose(batch, 3).items()
    }
    history = tf.cast(row_subsets.choose_history(batch), tf.int32)
    chosen[spec.HISTORY_SLOTS] = tf.pad(history, [[0, 0], [0, more]])
    return batch | chosen | row_subsets.place(batch | chosen)


def random_graph(seed=0, sizes=SIZES):
    """Return a click graph whose rows have from no neighbor to all, and documents' words."""
    rng = np.random.default_rng(seed)

    def neighbors(rows):
        near = np.zeros((rows, NEIGHBORS), np.int64)
        for row in range(1, rows):
            others = rng.permutation(np.setdiff1d(np.arange(1, rows), [row]))[:NEIGHBORS]
            number = rng.integers(0, len(others) + 1)
            near[row, :number] = others[:number]
        return near

    graph = ClickGraph(neighbors(sizes.users), neighbors(sizes.documents))
    tokens = rng.integers(1, sizes.vocabulary, size=(sizes.documents, sizes.text_length))
    lengths = rng.integers(0, sizes.text_length + 1, size=(sizes.documents, 1))
    lengths[0] = 0
    return graph, tokens * (np.arange(sizes.text_length) < lengths)


def empty_history(batch):
    batch["past_sessions"][:] = 0


def empty_sessions(batch):
    batch["session_behaviors"][:] = 0


def no_current_session(batch):
    batch["current_behaviors"][:] = 0


def no_clicks(batch):
    batch["behavior_clicked"][:] = 0


def empty_texts(batch):
    batch["text_tokens"][:] = 0


def empty_queries(batch):
    batch["query_text"][:] = 0


def empty_candidates(batch):
    batch["candidate_text"][:] = 0


def empty_past_queries_with_clicks(batch):
    batch["behavior_text"][:] = 0


def unknown_words(batch):
    real = batch["text_tokens"] > 0
    batch["text_tokens"][real] = SIZES.vocabulary - 1


def unknown_users(batch):
    batch["user"][:] = 0


def new_documents(batch):
    batch["candidate_doc"][:] = 0


def nothing_real(batch):
    for name, value in spec.empty_batch(SIZES).items():
        batch[name] = np.zeros((*batch[name].shape[: value.ndim],), value.dtype)


def clicks_without_words(batch):
    batch["behavior_clicked"][:] = len(batch["text_tokens"]) - 1


EMPTINESS = [
    empty_history,
    empty_sessions,
    no_current_session,
    no_clicks,
    empty_texts,
    empty_queries,
    empty_candidates,
    empty_past_queries_with_clicks,
    unknown_words,
    unknown_users,
    new_documents,
    clicks_without_words,
    nothing_real,
]
