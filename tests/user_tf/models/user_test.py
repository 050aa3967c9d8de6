"""USER against its equations, and the properties every packed ranker must have."""

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching.spec import batch_fields
from tests.user_tf.layer_testing import randomize, weights_of
from tests.user_tf.models import numpy_user, ranker_checks
from tests.user_tf.models.ranker_testing import (
    EMPTINESS,
    differentiate,
    empty_history,
    empty_sessions,
    empty_texts,
    evaluate,
    no_clicks,
    no_current_session,
    score,
    tensors,
)
from tests.user_tf.random_batch import SIZES, random_batch
from user_tf.config import ModelConfig
from user_tf.models.batch_ops import padded_history, padded_session
from user_tf.models.ranker import Sizes
from user_tf.models.registry import build_ranker
from user_tf.models.user import User

SMALL = ModelConfig(width=8, num_heads=2, key_dim=3, intermediate_dim=10)

SETTINGS = {
    "default": {},
    "simple co-attention": {"co_attention": "simple"},
    "two layers": {"word_layers": 2, "session_layers": 2, "history_layers": 2},
    "two passes": {"session_passes": 2},
    "three passes of two layers": {"session_passes": 3, "session_layers": 2},
    "fixed positions": {"history_positions": "fixed"},
    "recency positions, two layers": {"history_positions": "recency", "history_layers": 2},
    "no positions, no types": {
        "history_positions": "off",
        "session_positions": False,
        "session_types": False,
    },
    "word positions": {"word_positions": True},
    "no session encoder": {"session_encoder": False},
    "no history encoder": {"history_encoder": False},
    "neither encoder": {"session_encoder": False, "history_encoder": False},
    "tanh, no KNRM": {"score_tanh": True, "knrm": False},
}


def make(dtype="float64", sizes=SIZES, **settings):
    config = dataclasses.replace(SMALL, **settings)
    return randomize(User(config, sizes, dtype=dtype, name="user").build_from_sizes(), seed=5)


@functools.cache
def shared(name="default", dtype="float64"):
    """A model for reading only: building one takes a second."""
    return make(dtype, **SETTINGS[name])


@pytest.mark.parametrize("name", SETTINGS)
def test_scores_equal_the_equations_written_target_by_target(name):
    model = shared(name)
    batch = random_batch(1)
    expected = numpy_user.scores(batch, weights_of(model), model.config)
    real = batch["task"] > 0
    np.testing.assert_allclose(score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SETTINGS)
def test_every_weight_gets_a_gradient(name):
    # Initial weights: large random ones saturate the co-attention's tanh.
    keras.utils.set_random_seed(1)
    config = dataclasses.replace(SMALL, **SETTINGS[name])
    model = User(config, SIZES, dtype="float64", name="user").build_from_sizes()
    total = {}
    for seed in (1, 2):
        for path, gradient in evaluate(model, random_batch(seed))[2].items():
            total[path] = total.get(path, 0) + np.linalg.norm(gradient)
    assert all(norm > 1e-7 for norm in total.values()), total


@pytest.mark.parametrize("name", [n for n in SETTINGS if n not in ("default", "two layers")])
def test_a_setting_is_no_synonym_of_the_default(name):
    """In the oracle, which the model equals; layers are counted there by their weights."""
    batch, weights = random_batch(1), weights_of(shared())
    config = dataclasses.replace(SMALL, **SETTINGS[name])
    if not (config.session_encoder and config.history_encoder and config.knrm):
        assert len(shared(name).trainable_variables) < len(weights)
        return
    changed = numpy_user.scores(batch, weights, config)
    default = numpy_user.scores(batch, weights, SMALL)
    assert not np.allclose(changed, default, atol=1e-6)


def test_search_only_data_leaves_only_the_user_table_without_gradient():
    _, _, gradients = evaluate(shared(), random_batch(1, tasks=(2,)))
    idle = [path for path, g in gradients.items() if np.linalg.norm(g) <= 1e-7]
    assert idle == ["user/user_embedding/embeddings"]


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        ("default", "float64", 1e-9),
        ("default", "float32", 1e-4),
        ("two layers", "float64", 1e-9),
        ("two passes", "float64", 1e-9),
        ("no session encoder", "float64", 1e-9),
    ],
)
def test_a_packed_batch_equals_each_target_alone(name, dtype, tolerance):
    ranker_checks.assert_packed_equals_alone(shared(name, dtype), tolerance)


def test_scores_of_a_target_do_not_depend_on_the_rest_of_the_batch():
    model = shared()
    batch = random_batch(4)
    changed = {name: value.copy() for name, value in batch.items()}
    changed["user"][1:] = 0
    for name in ("current_behaviors", "past_sessions", "candidate_text", "query_text"):
        changed[name][1:] = changed[name][1:][::-1]
    changed["features"][1:] += 1
    np.testing.assert_allclose(
        score(model, changed)[0], score(model, batch)[0], rtol=1e-12, atol=1e-12
    )
    assert not np.allclose(score(model, changed)[1:-1], score(model, batch)[1:-1])


@pytest.mark.parametrize("name", ["default", "two layers", "simple co-attention"])
def test_longer_padding_changes_nothing(name):
    ranker_checks.assert_longer_padding_changes_nothing(shared(name))


@pytest.mark.parametrize(
    ("name", "more", "compiled"),
    [
        ("default", 0, False),
        ("default", 3, False),
        ("default", 3, True),
        ("simple co-attention", 0, False),
        ("no history encoder", 0, False),
    ],
)
def test_row_subsets_change_nothing(name, more, compiled):
    ranker_checks.assert_row_subsets_change_nothing(shared(name), more, compiled)


@pytest.mark.parametrize("positions", ["forward", "recency", "off"])
def test_more_slots_for_sessions_and_behaviors_change_nothing(positions):
    """Except with `fixed`, whose target stands at the last slot there is."""
    sizes = dataclasses.replace(SIZES, session_behaviors=6, past_sessions=5)
    model = make(history_positions=positions)
    larger = make(history_positions=positions, sizes=sizes)
    ranker_checks.assert_more_slots_change_nothing(model, larger)


def test_permuting_candidates_permutes_scores():
    ranker_checks.assert_permuting_candidates_permutes_scores(shared(), rtol=1e-12)


@functools.cache
def differentiated_in_graph(kind):
    """Traced once: eager calls would take most of the time of these tests."""
    if kind == "random weights, two layers":
        model = make(co_attention="simple", session_layers=2, history_layers=2)
    else:
        # As at the start of a training, where an empty text meets biases of zero.
        keras.utils.set_random_seed(1)
        model = User(SMALL, SIZES, dtype="float32", name="user").build_from_sizes()
    signature = {name: tf.TensorSpec(*field) for name, field in batch_fields(SIZES).items()}
    return tf.function(lambda batch: differentiate(model, batch), input_signature=[signature])


@pytest.mark.parametrize("kind", ["initial weights", "random weights, two layers"])
@pytest.mark.parametrize("emptiness", EMPTINESS, ids=lambda f: f.__name__)
def test_every_kind_of_emptiness_gives_finite_scores_and_bounded_gradients(emptiness, kind):
    for seed in (8, 9):
        batch = random_batch(seed)
        emptiness(batch)
        ranker_checks.assert_emptiness_is_bounded(differentiated_in_graph(kind), batch)


def test_empty_things_score_as_the_equations_say():
    """The oracle works on lists, so emptiness is not a special case of a mask there."""
    model = shared()
    for emptiness in (empty_history, empty_sessions, no_current_session, no_clicks, empty_texts):
        batch = random_batch(8)
        emptiness(batch)
        expected = numpy_user.scores(batch, weights_of(model), model.config)
        real = batch["task"] > 0
        np.testing.assert_allclose(
            score(model, batch)[real], expected[real], rtol=1e-9, atol=1e-9, err_msg=str(emptiness)
        )


def test_recommendations_see_no_query_and_searches_no_user():
    model = shared()
    batch = random_batch(9, tasks=(1,))
    before = score(model, batch)
    batch["query_text"][:] = 3
    np.testing.assert_array_equal(score(model, batch)[:-1], before[:-1])
    batch = random_batch(9, tasks=(2,))
    before = score(model, batch)
    batch["user"][:] = 2
    np.testing.assert_array_equal(score(model, batch)[:-1], before[:-1])


def test_an_infinite_user_vector_does_not_reach_searches():
    model = make()
    batch = random_batch(9)
    table = np.asarray(model.user_embedding.embeddings)
    model.user_embedding.embeddings.assign(np.full_like(table, np.inf))
    scores = score(model, batch)
    assert np.isfinite(scores[batch["task"] == 2]).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_near_float32_and_keeps_scores_in_it(policy):
    batch = random_batch(10)
    exact, half = shared(dtype="float32"), make(policy)
    scores = score(half, batch)
    assert scores.dtype == np.float32
    assert half.text_encoder.transformer.blocks[0].hidden.compute_dtype == policy[6:]
    assert half.scorer.compute_dtype == half.knrm.compute_dtype == "float32"
    assert np.abs(scores - score(exact, batch)).mean() < 0.2
    _, _, gradients = evaluate(half, batch)
    assert all(np.isfinite(g).all() for g in gradients.values())


@pytest.mark.parametrize("name", ["default", "two layers", "word positions"])
def test_a_graph_of_unknown_sizes_equals_eager(name):
    model = shared(name)
    signature = {n: tf.TensorSpec(*field) for n, field in batch_fields(SIZES).items()}
    graph = tf.function(lambda batch: model(batch), input_signature=[signature])
    for seed, targets, candidates in ((1, 7, 4), (2, 5, 3)):
        batch = random_batch(seed, targets=targets, candidates=candidates, length=4 + seed)
        np.testing.assert_allclose(graph(tensors(batch)), score(model, batch), atol=1e-9)


def test_xla_equals_eager():
    model, batch = shared(), random_batch(2)
    compiled = tf.function(lambda batch: differentiate(model, batch), jit_compile=True)
    scores, loss, gradients = compiled(tensors(batch))
    expected_scores, expected_loss, expected_gradients = evaluate(model, batch)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-9)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-9)
    for gradient, expected in zip(gradients, expected_gradients.values(), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-9)


def test_training_lowers_the_loss_and_uses_dropout():
    keras.utils.set_random_seed(2)
    model = build_ranker(dataclasses.replace(SMALL, dropout=0.1), SIZES)
    optimizer = keras.optimizers.SGD(0.05)
    batch = tensors(random_batch(11))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            scores = tf.where(batch["candidate_mask"], model(batch, training=True), -1e9)
            loss = -tf.reduce_sum(batch["labels"] * tf.nn.log_softmax(scores))
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
        return loss

    losses = [float(step()) for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]
    assert not np.allclose(model(batch, training=True), model(batch, training=True))
    np.testing.assert_array_equal(model(batch), model(batch))


@pytest.mark.parametrize(
    ("settings", "gone"),
    [
        ({"history_encoder": False}, ["history_encoder"]),
        ({"session_encoder": False}, ["session_encoder"]),
        ({"knrm": False}, ["knrm"]),
        ({"session_types": False}, ["type_embedding"]),
        (
            {"session_encoder": False, "history_encoder": False},
            ["session_encoder", "history_encoder", "behavior_encoder"],
        ),
    ],
)
def test_weights_that_could_not_learn_do_not_exist(settings, gone):
    paths = [w.path for w in make(**settings).trainable_variables]
    full = [w.path for w in shared().trainable_variables]
    for name in gone:
        assert any(name in path for path in full)
        assert not any(name in path for path in paths)
    assert "user/user_embedding/embeddings" in paths


def test_paths_of_weights_are_unique():
    paths = [w.path for w in make(word_layers=2).variables if "seed_generator" not in w.path]
    assert len(paths) == len(set(paths))


def test_config_round_trip_makes_the_same_model():
    model = make(co_attention="simple", history_positions="recency")
    copy = User.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    copy.build_from_sizes().set_weights(model.get_weights())
    batch = random_batch(12)
    np.testing.assert_array_equal(score(copy, batch), score(model, batch))


def test_packed_tables_become_padded_sequences():
    batch = tensors(
        {
            "behavior_type": np.array([0, 1, 2, 1], np.int32),
            "session_behaviors": np.array([[0, 0, 0], [1, 0, 0], [2, 3, 0]], np.int32),
            "past_sessions": np.array([[1, 2], [2, 0]], np.int32),
            "current_behaviors": np.array([[3, 1, 0], [0, 0, 0]], np.int32),
        }
    )
    history = padded_history(batch)
    # Target 0 has sessions [1] and [2, 3]; the first leaves two empty slots behind it.
    np.testing.assert_array_equal(history.behaviors, [[1, 0, 0, 2, 3, 0], [2, 3, 0, 0, 0, 0]])
    np.testing.assert_array_equal(history.types, [[1, 0, 0, 2, 1, 0], [2, 1, 0, 0, 0, 0]])
    np.testing.assert_array_equal(history.positions, [[1, 0, 0, 2, 3, 0], [1, 2, 0, 0, 0, 0]])
    session = padded_session(batch)
    np.testing.assert_array_equal(session.positions, [[1, 2, 0], [0, 0, 0]])
    np.testing.assert_array_equal(session.mask, [[True, True, False], [False] * 3])


def test_word_vectors_start_the_word_table_unless_they_are_off():
    vectors = np.random.default_rng(0).normal(size=(SIZES.vocabulary, 8)).astype(np.float32)
    model = build_ranker(SMALL, SIZES, vectors)
    np.testing.assert_array_equal(model.word_embedding.embeddings, vectors)
    model = build_ranker(dataclasses.replace(SMALL, word_vectors=False), SIZES, vectors)
    assert not np.allclose(model.word_embedding.embeddings, vectors)
    with pytest.raises(ValueError, match=r"`word_vectors` must .* Got \[40, 7\].*width"):
        build_ranker(SMALL, SIZES, vectors[:, :7])


def test_an_unknown_ranker_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"`model.name` .*'user'.* Received: 'usr'"):
        build_ranker(dataclasses.replace(SMALL, name="usr"), SIZES)


def test_datasets_without_features_work():
    sizes = Sizes(vocabulary=40, users=6, clicked_titles=3, session_behaviors=4, past_sessions=3)
    model = make(sizes=sizes)
    assert model.scorer.linear.kernel.shape == (5, 1)
    assert np.isfinite(score(model, random_batch(1, sizes))).all()


JAX_PROGRAM = """
import sys
import jax, numpy as np
from user_tf.models.user import User
data = np.load(sys.argv[1])
model = User.from_config(eval(str(data["config"]))).build_from_sizes()
for weight in model.trainable_variables:
    weight.assign(data["weight:" + weight.path])
batch = {name[6:]: data[name] for name in data.files if name.startswith("batch:")}
trainable = [v.value for v in model.trainable_variables]
others = [v.value for v in model.non_trainable_variables]
forward = jax.jit(lambda t, n, batch: model.stateless_call(t, n, batch)[0])
np.save(sys.argv[2], np.asarray(forward(trainable, others, batch)))
"""


def test_the_jax_back_end_gives_the_scores_of_tensorflow(tmp_path):
    # Two layers at history level, so that both ways through the transformer are taken.
    model, batch = make("float32", history_layers=2), random_batch(13)
    np.savez(
        tmp_path / "in.npz",
        config=repr(model.get_config()),
        **{"weight:" + w.path: np.asarray(w) for w in model.trainable_variables},
        **{"batch:" + n: v for n, v in batch.items()},
    )
    root = str(pathlib.Path(__file__).parents[3])
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = root + os.pathsep + environment.get("PYTHONPATH", "")
    subprocess.run(
        [sys.executable, "-c", JAX_PROGRAM, tmp_path / "in.npz", tmp_path / "out.npy"],
        check=True,
        env=environment,
    )
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), score(model, batch), atol=1e-4)
