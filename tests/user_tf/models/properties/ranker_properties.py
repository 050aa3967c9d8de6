"""Check every baseline, whatever its equations; USER has tests of its own in `tests/user_tf/models`.

One test file runs the checks for one group of rankers, since a test worker takes complete files.
"""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching import row_subsets
from data_pipeline.batching.spec import HISTORY_SLOTS, batch_fields
from tests.user_tf.layer_testing import randomize
from tests.user_tf.models import ranker_checks
from tests.user_tf.models.ranker_testing import (
    EMPTINESS,
    differentiate,
    evaluate,
    random_graph,
    score,
    tensors,
)
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.registry import RANKERS, build_ranker
from user_tf.training.steps.tf_step import reseed, seed_states

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10, dropout=0.2)
GROUPS = {
    "search": ["hrnn", "peps", "rpmn"],
    "query": ["htps", "htps_unified"],
    "click": ["gerl", "npa", "nrms", "nrms_unified"],
}
# A new ranker is checked here without another line.
GROUPS["other"] = sorted(set(RANKERS) - {"user"} - set().union(*GROUPS.values()))

SEED = np.array((1, 0))


def each_of(group):
    """Mark that runs the tests of a class for every ranker of a group."""
    return pytest.mark.parametrize("name", GROUPS[group])


def make(name, dtype="float64", sizes=SIZES, **settings):
    config = dataclasses.replace(SMALL, name=name, **settings)
    model = RANKERS[name](config, sizes, dtype=dtype, name=name)
    randomize(model.build_from_sizes(), seed=5)
    if name == "gerl":
        model.set_graph(*random_graph())
    if name == "unisar":
        # Scores of the size of the others' (25 otherwise), since tolerances are absolute.
        model.score.kernel.assign(model.score.kernel / 10)
    # Words of deviation 0.9: from smaller ones, second layers of attention see all but equal rows.
    model.set_word_vectors(3 * np.asarray(model.word_embedding.embeddings, np.float64))
    return model


@functools.cache
def shared(name, dtype="float64"):
    """A model for reading only."""
    return make(name, dtype)


@functools.cache
def in_graph(name):
    """Scores, loss and gradients in float32, traced once for Batches and histories of any size."""
    model = shared(name, "float32")
    signature = {field: tf.TensorSpec(*spec) for field, spec in batch_fields(SIZES).items()}
    signature[HISTORY_SLOTS] = tf.TensorSpec([None, None], tf.int32)
    graph = tf.function(lambda batch: differentiate(model, batch), input_signature=[signature])
    return lambda batch: graph(
        batch | {HISTORY_SLOTS: tf.cast(row_subsets.choose_history(batch), tf.int32)}
    )


class RankerProperties:
    """Tests of one ranker by name; a subclass is marked with its group."""

    def test_weights_are_made_from_the_sizes_alone_under_unique_paths(self, name):
        model = make(name)
        before = [w.path for w in model.variables]
        scores = score(model, random_batch(1))
        assert [w.path for w in model.variables] == before
        trainable = [w.path for w in model.trainable_variables]
        assert len(set(trainable)) == len(trainable)
        assert scores.shape == random_batch(1)["candidate_text"].shape
        assert np.isfinite(scores).all()

    def test_every_weight_gets_a_gradient(self, name):
        total = {}
        for seed in (1, 2):
            _, _, gradients = evaluate(shared(name), random_batch(seed), training=True)
            for path, gradient in gradients.items():
                total[path] = total.get(path, 0) + np.linalg.norm(gradient)
        assert all(norm > 1e-7 for norm in total.values()), total

    def test_a_packed_batch_equals_each_target_alone(self, name):
        ranker_checks.assert_packed_equals_alone(shared(name))

    def test_longer_padding_changes_nothing(self, name):
        ranker_checks.assert_longer_padding_changes_nothing(shared(name))

    def test_more_slots_for_sessions_and_behaviors_change_nothing(self, name):
        sizes = dataclasses.replace(SIZES, session_behaviors=6, past_sessions=5)
        ranker_checks.assert_more_slots_change_nothing(shared(name), make(name, sizes=sizes))

    def test_permuting_candidates_permutes_scores(self, name):
        ranker_checks.assert_permuting_candidates_permutes_scores(shared(name), rtol=1e-9)

    @pytest.mark.parametrize("emptiness", EMPTINESS, ids=lambda f: f.__name__)
    def test_every_kind_of_emptiness_gives_finite_scores_and_bounded_gradients(
        self, name, emptiness
    ):
        batch = random_batch(8)
        emptiness(batch)
        ranker_checks.assert_emptiness_is_bounded(in_graph(name), batch)

    def test_a_graph_of_unknown_sizes_equals_eager(self, name):
        for seed, targets, candidates in ((1, 7, 4), (2, 5, 3)):
            batch = random_batch(seed, targets=targets, candidates=candidates, length=4 + seed)
            scores = in_graph(name)(tensors(batch))[0]
            np.testing.assert_allclose(scores, score(shared(name, "float32"), batch), atol=1e-5)

    @pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_row_subsets_and_xla_change_nothing(self, name, compiled):
        ranker_checks.assert_row_subsets_change_nothing(shared(name), more=3, compiled=compiled)

    def test_half_precision_stays_near_float32_and_keeps_scores_in_it(self, name):
        batch = random_batch(10)
        scores, _, gradients = evaluate(make(name, "mixed_bfloat16"), batch)
        assert scores.dtype == np.float32
        assert np.abs(scores - score(shared(name, "float32"), batch)).mean() < 0.2
        assert all(np.isfinite(gradient).all() for gradient in gradients.values())

    @pytest.mark.slow
    def test_training_learns_and_repeats_from_its_seeds(self, name):
        """With lists of recommendations and of searches, as either kind of baseline needs."""
        batch = tensors(random_batch(11))

        def build():
            keras.utils.set_random_seed(2)
            return build_ranker(dataclasses.replace(SMALL, name=name, dropout=0.1), SIZES)

        model, optimizer = build(), keras.optimizers.Adam(0.02)
        states = seed_states(model)
        optimizer.build(model.trainable_variables)
        for initial, again in zip(model.get_weights(), build().get_weights(), strict=True):
            np.testing.assert_array_equal(initial, again)

        @tf.function
        def step(number):
            reseed(states, SEED, number, tf.constant(0))
            with tf.GradientTape() as tape:
                scores = tf.where(batch["candidate_mask"], model(batch, training=True), -1e9)
                loss = -tf.reduce_sum(batch["labels"] * tf.nn.log_softmax(scores))
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
            return loss

        state = [*model.variables, *optimizer.variables]
        start = [variable.numpy() for variable in state]

        def train():
            for variable, value in zip(state, start, strict=True):
                variable.assign(value)
            return [float(step(tf.constant(number, tf.int64))) for number in range(25)]

        losses = train()
        assert losses[-1] < 0.8 * losses[0]
        np.testing.assert_array_equal(train(), losses)

    def test_config_round_trip_makes_the_same_model(self, name):
        model = shared(name)
        copy = type(model).from_config(model.get_config())
        assert copy.get_config() == model.get_config()
        copy.build_from_sizes().set_weights(model.get_weights())
        batch = random_batch(12)
        np.testing.assert_array_equal(score(copy, batch), score(model, batch))

    def test_word_vectors_initialize_the_word_table_which_train_words_freezes(self, name):
        vectors = np.random.default_rng(0).normal(size=(SIZES.vocabulary, 8)).astype(np.float32)
        config = dataclasses.replace(SMALL, name=name)
        model = build_ranker(config, SIZES, vectors)
        np.testing.assert_array_equal(model.word_embedding.embeddings, vectors)
        kept = build_ranker(dataclasses.replace(config, train_words=False), SIZES, vectors)
        trainable = len(model.trainable_variables)
        assert len(kept.trainable_variables) == trainable - 1
        assert kept.word_embedding.embeddings.path not in [w.path for w in kept.trainable_variables]

    def test_datasets_without_features_work(self, name):
        sizes = dataclasses.replace(SIZES, features=0)
        assert np.isfinite(score(make(name, sizes=sizes), random_batch(1, sizes))).all()
