"""Time and floating-point operations of each stage of a training step."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from data_pipeline.batching.spec import bucket_lengths, bucket_name
from user_tf.config import ModelConfig
from user_tf.models.batch_ops import EncodedTexts, split_by_length
from user_tf.models.user import User
from user_tf.training.steps.loss import listwise_softmax

Run = Callable[[], Any]
TRAINING = 3
"""Products of a training step for each one of the forward pass: its gradients are two more."""


def seconds(run: Run, rounds: int) -> float:
    """Return the median seconds of a call, after one that compiles."""
    run()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def stages(model: User, optimizer: Any, batch: dict[str, tf.Tensor]) -> dict[str, Run]:
    """Return functions that run one stage each on the output of the stages before it.

    Word level, behavior, session, history and scorer are each the forward pass and its gradient
    for weights and inputs; optimizer is clipping and update of the step's gradients.
    """
    groups, batch = split_by_length(batch)
    texts = model.encode_texts(groups)
    behaviors = model.encode_behaviors(batch, texts)
    past = model.encode_past(batch, behaviors)
    intents = model.encode_intents(batch, texts, past)
    candidates = tf.gather(texts.vectors, batch["candidate_text"])
    rows = tf.concat([intents[:, None], candidates], 1)
    long = model.history_encoder(rows, history=past.history, padding_mask=past.history_mask)

    def score(words: Any, intents: Any, candidates: Any, long: Any) -> Any:
        scores = model.scorer(
            [intents, long[:, 0]],
            candidates=[candidates, long[:, 1:]],
            signals=model.signals(batch, texts._replace(words=words)),
        )
        return listwise_softmax(batch["labels"], scores, batch["candidate_mask"])

    def session(vectors: Any, behaviors: Any) -> Any:
        past = model.encode_past(batch, behaviors, True)
        return (
            model.encode_intents(batch, texts._replace(vectors=vectors), past, True),
            past.history,
        )

    gradients = [tf.zeros_like(variable.value) + 1e-3 for variable in model.trainable_variables]

    @tf.function
    def update() -> Any:
        clipped, _ = tf.clip_by_global_norm(gradients, 5.0)
        optimizer.apply(clipped, model.trainable_variables)

    return {
        "word": _both_ways(model, lambda: model.encode_texts(groups, True)[:2]),
        "behavior": _both_ways(
            model,
            lambda *x: model.encode_behaviors(batch, EncodedTexts(*x, texts.mask)),
            texts.words,
            texts.vectors,
        ),
        "session": _both_ways(model, session, texts.vectors, behaviors),
        "history": _both_ways(
            model,
            lambda rows, history: model.history_encoder(
                rows, history=history, padding_mask=past.history_mask, training=True
            ),
            rows,
            past.history,
        ),
        "scorer": _both_ways(model, score, texts.words, intents, candidates, long),
        "optimizer": update,
    }


def _both_ways(model: User, forward: Callable[..., Any], *inputs: tf.Tensor) -> Run:
    variables = [variable.value for variable in model.trainable_variables]

    @tf.function
    def run(*inputs: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.nest.flatten(forward(*inputs))
            total = tf.add_n([tf.reduce_sum(tf.cast(x, tf.float32)) for x in outputs])
        gradients = tape.gradient(total, [*inputs, *variables])
        # One number of each, so that nothing is pruned and nothing large is copied out.
        return [tf.reshape(tf.convert_to_tensor(g), [-1])[0] for g in gradients if g is not None]

    return lambda: run(*inputs)


def text_products(config: ModelConfig, batch: dict[str, tf.Tensor], precision: str) -> float:
    """Operations/s of the text encoder's projections alone, at their shapes, both ways."""
    dtype = "float32" if precision == "float32" else "bfloat16"
    groups, _ = split_by_length(batch)
    d, inner, hidden = config.width, config.num_heads * config.key_dim, config.intermediate_dim
    shapes = [(d, inner)] * 3 + [(inner, d), (d, hidden), (hidden, d)]
    kernels = [tf.cast(tf.random.normal(shape, stddev=0.1), dtype) for shape in shapes]
    inputs = [
        [
            tf.cast(tf.random.normal([tokens.shape[0] * tokens.shape[1], a]), dtype)
            for a, _ in shapes
        ]
        for tokens in groups
    ]

    @tf.function
    def run() -> Any:
        # A product's gradients are the products of its other factor and what comes back.
        ends = []
        for rows in inputs:
            for x, kernel in zip(rows, kernels, strict=True):
                y = tf.linalg.matmul(x, kernel)
                ends += [tf.linalg.matmul(y, kernel, transpose_b=True)[0, 0]]
                ends += [tf.linalg.matmul(x, y, transpose_a=True)[0, 0]]
        return tf.add_n(ends)

    operations = sum(
        3 * 2.0 * x.shape[0] * a * b
        for rows in inputs
        for x, (a, b) in zip(rows, shapes, strict=True)
    )
    return operations / seconds(run, 5)


def product_rate(precision: str, rounds: int = 20) -> float:
    """Operations/s of this machine in a product of two [1536, 1536] matrices: the best round."""
    x = tf.cast(tf.random.normal([1536, 1536]), precision)
    product = tf.function(lambda: tf.reduce_sum(tf.linalg.matmul(x, x)))
    product()
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - started)
    return 2.0 * 1536**3 / best


def count_operations(config: ModelConfig, batch: dict[str, Any]) -> dict[str, float]:
    """Count the operations of one forward pass by stage, work on padding included.

    Only matrix products count: [a, b] x [b, c] is 2abc operations. Softmax, norms, activations and
    gathers do not.

    Args:
        config: Widths; one layer a transformer.
        batch: A Batch; with row subsets only the rows they name are counted.

    Example:
        >>> batch = {name: np.zeros(shape, int) for name, shape in {
        ...     "text_tokens": (10, 4), "behavior_type": (6,), "behavior_clicked": (6, 3),
        ...     "session_behaviors": (3, 5), "task": (2,), "past_sessions": (2, 20),
        ...     "candidate_text": (2, 5)}.items()}
        >>> sorted(count_operations(ModelConfig(), batch))
        ['behavior', 'history', 'scorer', 'session', 'word']
    """
    d, inner, hidden = config.width, config.num_heads * config.key_dim, config.intermediate_dim
    shape = {name: np.shape(value) for name, value in batch.items()}
    groups = {length: shape[bucket_name(length)][0] for length in bucket_lengths(shape)}
    longest = shape["text_tokens"][1]
    groups = groups or {longest: shape["text_tokens"][0]}
    clicked = shape.get("clicked_searches", shape["behavior_type"])[0]
    titles = shape["behavior_clicked"][1] * longest
    searches = shape.get("search_targets", shape["task"])[0]
    sessions, session = shape["session_behaviors"]
    targets, candidates = shape["candidate_text"]
    slots = shape["past_sessions"][1] * session

    def full(rows: float, length: int) -> float:
        projections = 4 * d * inner + 2 * d * hidden
        return 2.0 * rows * (projections + 2 * length * inner)

    def last_position(rows: float, context: int) -> float:
        # Keys and values are moved to the side of the row, see MultiHeadAttention.
        projections = 4 * d * inner + 2 * d * hidden
        return 2.0 * rows * (projections + 2 * config.num_heads * context * d)

    pairs = longest * titles * d
    return {
        "word": sum(full(x * n, n) + 2.0 * x * n * (d * d + 2 * d) for n, x in groups.items()),
        "behavior": 2.0 * clicked * (2 * longest * d * d + titles * d * d + 3 * pairs + 2 * d * d),
        "session": full(sessions * session, session) + last_position(targets, session),
        "history": last_position(targets * (1 + candidates), slots),
        "scorer": 2.0 * searches * candidates * longest * longest * d,
    }
