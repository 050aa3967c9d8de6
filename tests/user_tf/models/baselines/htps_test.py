"""HTPS against its equations, written target by target with lists instead of padding."""

import numpy as np
import pytest
import tensorflow as tf

from tests.user_tf.layer_testing import weights_of
from tests.user_tf.layers import numpy_layers
from tests.user_tf.layers.numpy_layers import cosine, knrm, part
from tests.user_tf.layers.user import numpy_encoders
from tests.user_tf.models.baselines.htps_testing import CONFIG, make, train_loss
from tests.user_tf.models.ranker_testing import (
    evaluate,
    score,
    tensors,
    with_row_subsets,
)
from tests.user_tf.random_batch import random_batch
from user_tf.models.baselines.htps import Htps, HtpsUnified
from user_tf.models.batch_ops import padded_history
from user_tf.training.steps.optimizer import SummedGradientAdam
from user_tf.training.steps.replicas import StepSettings
from user_tf.training.steps.tf_step import make_train_step

SEED = np.array((1, 0))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def oracle(batch, weights, browses):
    """Scores `[T, C]`, -log p of every target's next query `[T]`, attention as pairs of lists `[T]`."""
    table = weights["embedding/embeddings"]
    width, heads = table.shape[1], CONFIG.num_heads

    def tokens(index):
        return [token for token in batch["text_tokens"][index] if token]

    def contextual(index):
        rows = table[tokens(index)]
        return (
            numpy_layers.transformer(rows, part(weights, "word_encoder"), heads)
            if len(rows)
            else []
        )

    def text(index):
        return sum(contextual(index), np.zeros(width))

    def unit(index):
        titles = [text(title) for title in batch["behavior_clicked"][index] if title]
        return sum(titles, text(batch["behavior_text"][index]))

    def searches(members):
        return [index for index in members if batch["behavior_type"][index] == 2]

    def units(members):
        return [unit(index) for index in (members if browses else searches(members)) if index]

    def last(history, row, encoder):
        return numpy_encoders.history(history, row, part(weights, encoder), CONFIG, slots=0)

    def drawn(history, row, encoder):
        return numpy_encoders.history_weights(history, row, part(weights, encoder), CONFIG, slots=0)

    result, losses = np.zeros(batch["candidate_text"].shape), np.zeros(len(batch["task"]))
    attention = [([], [])] * len(batch["task"])
    for target in np.flatnonzero(batch["task"]):
        query_text = batch["query_text"][target]
        query = text(query_text)
        sessions = [batch["session_behaviors"][s] for s in batch["past_sessions"][target] if s]
        past = [index for members in sessions for index in members]
        current = batch["current_behaviors"][target]

        short = last(units(current), query, "short_encoder")
        long = last(units(past), short, "long_encoder")
        attention[target] = (
            drawn(units(past), short, "long_encoder"),
            drawn(units(current), query, "short_encoder"),
        )
        queries = [text(batch["behavior_text"][i]) for i in [*searches(past), *searches(current)]]
        kinds = [1] * len(searches(past)) + [2] * (len(searches(current)) + 1)
        encoded = numpy_encoders.session(
            [*queries, query], kinds, part(weights, "query_encoder"), CONFIG
        )
        intent = last(encoded, weights["mask_vector"], "next_encoder")
        gate = sigmoid(
            np.concatenate([query, intent, long]) @ weights["gate/kernel"] + weights["gate/bias"]
        )
        fused = gate * long + (1 - gate) * intent

        following = tokens(batch["next_query_text"][target])
        if following:
            odds = np.exp(table[1:] @ intent)
            losses[target] = -np.mean([np.log(odds[word - 1] / odds.sum()) for word in following])
        for slot, candidate in enumerate(batch["candidate_text"][target]):
            document = text(candidate)
            matched = [0.0, 0.0]
            if batch["task"][target] == 2:
                matched = [
                    knrm(
                        table[tokens(query_text)],
                        table[tokens(candidate)],
                        part(weights, "embedding_knrm"),
                    ),
                    knrm(contextual(query_text), contextual(candidate), part(weights, "word_knrm")),
                ]
            feature = batch["features"][target, slot] @ weights["feature/kernel"][:, 0]
            signals = [
                *(cosine(x, document) for x in (short, long, intent, fused, query)),
                *matched,
                np.tanh(feature + weights["feature/bias"][0]),
            ]
            result[target, slot] = signals @ weights["score/kernel"][:, 0]
    return result, losses, attention


@pytest.mark.parametrize(("kind", "browses"), [(Htps, False), (HtpsUnified, True)])
@pytest.mark.parametrize("seed", [1, 2])
def test_scores_and_loss_equal_the_equations_written_target_by_target(kind, browses, seed):
    model, batch = make(kind), random_batch(seed)
    batch["target_weight"][1] = 0
    expected, losses, _ = oracle(batch, weights_of(model), browses)
    real = batch["task"] > 0
    np.testing.assert_allclose(score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9)
    assert (losses > 0).any() and (losses[real] == 0).any()
    found, _ = train_loss(model, tensors(batch))
    np.testing.assert_allclose(found, 0.5 * losses @ batch["target_weight"], rtol=1e-9)


@pytest.mark.parametrize(("kind", "browses"), [(Htps, False), (HtpsUnified, True)])
def test_attention_is_that_of_the_units_in_their_places(kind, browses):
    model, batch = make(kind), random_batch(2)
    _, _, expected = oracle(batch, weights_of(model), browses)
    for given in (tensors(batch), with_row_subsets(batch)):
        found = model.attention(given).numpy()
        slots = padded_history(given).mask.shape[1]
        behaviors = np.concatenate([padded_history(given).behaviors, batch["current_behaviors"]], 1)
        read = batch["behavior_type"][behaviors] > (0 if browses else 1)
        assert not found[~read].any()
        for target, (past, current) in enumerate(expected):
            weights = found[target, :slots], found[target, slots:]
            np.testing.assert_allclose(weights[0][read[target, :slots]], past, atol=1e-9)
            np.testing.assert_allclose(weights[1][read[target, slots:]], current, atol=1e-9)


def test_browses_are_read_in_the_unified_variant_only():
    batch = random_batch(3)
    changed = {name: value.copy() for name, value in batch.items()}
    browses = batch["behavior_type"] == 1
    assert browses.any()
    changed["behavior_text"][browses] = 1
    np.testing.assert_array_equal(score(make(), changed), score(make(), batch))
    unified = make(HtpsUnified)
    assert not np.allclose(score(unified, changed), score(unified, batch))


def test_scores_do_not_depend_on_what_comes_after_the_target():
    batch = random_batch(3)
    changed = {name: value.copy() for name, value in batch.items()}
    changed["next_query_text"][:] = np.roll(batch["next_query_text"], 1)
    for training in (False, True):
        np.testing.assert_array_equal(
            score(make(), changed, training=training), score(make(), batch, training=training)
        )


@pytest.mark.slow
def test_the_compiled_training_step_adds_the_loss_in_half_precision_too():
    model, batch = make(dtype="mixed_bfloat16"), random_batch(4)
    _, ranking, _ = evaluate(model, batch)
    added, _ = train_loss(model, tensors(batch))
    expected = float(ranking + added) / batch["target_weight"].sum()
    optimizer = SummedGradientAdam(learning_rate=0.01)
    optimizer.build(model.trainable_variables)
    spec = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in batch.items()}
    where = tf.distribute.get_strategy()
    step = make_train_step(model, optimizer, where, spec, StepSettings(5.0, jit=True))
    result = step(tensors(batch), tf.constant(0, tf.int64), SEED)
    assert added > 0.3 * ranking
    np.testing.assert_allclose(result.loss, expected, rtol=0.02)
    assert np.isfinite(result.gradient_norm)
