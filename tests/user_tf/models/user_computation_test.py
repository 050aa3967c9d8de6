"""USER in half precision, in a graph, under XLA and on the JAX back end."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from data_pipeline.batching.spec import batch_fields
from tests.user_tf.models.ranker_testing import (
    differentiate,
    evaluate,
    score,
    tensors,
)
from tests.user_tf.models.user_testing import make, shared
from tests.user_tf.random_batch import SIZES, random_batch


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


@pytest.mark.parametrize("name", ["default", "two layers"])
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
